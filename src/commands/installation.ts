// gatehouse migrate, gatehouse config check: the installation itself.
import { type Command, createTerminalLog, toTable } from './command.ts'
import { openDatabase, prepareDatabase, readConfig } from './database.ts'

const migrate: Command = {
  words: 'migrate',
  summary: 'Bring the database up to this release.',
  operands: [],
  options: {},
  optionHelp: [],
  run: async ({ terminal }) => {
    const log = createTerminalLog(terminal.writeErrorLine)
    const { url, stop } = await openDatabase(readConfig(terminal), log)
    try {
      const { applied } = await prepareDatabase(url, { log, now: terminal.now })
      return {
        lines:
          applied.length === 0 ? ['The database is up to date.'] : applied.map(name => `Applied ${name}.`),
        json: { applied }
      }
    } finally {
      await stop()
    }
  }
}

const configCheck: Command = {
  words: 'config check',
  summary: 'Check every setting. Opens no port and no connection, writes nothing.',
  operands: [],
  options: {},
  optionHelp: [],
  run: async ({ terminal }) => {
    const config = readConfig(terminal, { writeSecrets: false })
    const facts: [string, string][] = [
      ['issuer', config.issuer],
      ['mode', config.development ? 'development' : 'production'],
      ['listens on', `${config.host.includes(':') ? `[${config.host}]` : config.host}:${config.port}`],
      [
        'database',
        config.databaseUrl === null ? `embedded, in ${config.dataDir}` : withoutPassword(config.databaseUrl)
      ],
      ['mail', config.smtpUrl === null ? 'development mailbox' : withoutPassword(config.smtpUrl)]
    ]
    return {
      lines: [...toTable(facts), 'The settings are in order.'],
      json: {
        ok: true,
        ...Object.fromEntries(facts.map(([name, value]) => [name.replaceAll(' ', '_'), value]))
      }
    }
  }
}

function withoutPassword(text: string): string {
  const url = new URL(text)
  url.password = ''
  url.username = ''
  // Query parameters may hold one as well.
  url.search = ''
  return url.href
}

export const installationCommands: Command[] = [migrate, configCheck]
