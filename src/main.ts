// The process: reads the settings, starts what they ask for, says where it is, and ends cleanly.
import { startApp } from './app.ts'
import { openDatabase, prepareDatabase } from './commands/database.ts'
import { loadConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import { connect, connectForLookups } from './db/connect.ts'
import { ensureDemoClients } from './development/clients-service.ts'
import { createLog } from './http/log.ts'

const now = () => new Date()

/** Starts everything and returns the way to end it. What was started before a failure is ended. */
async function start(config: Config): Promise<() => Promise<void>> {
  const log = createLog(config.logLevel)
  const endings: (() => Promise<void>)[] = []
  const end = async () => {
    for (const ending of endings.splice(0).reverse())
      await ending().catch(error => log.error({ err: error }, 'a part did not end cleanly'))
  }
  try {
    const database = await openDatabase(config, log)
    endings.push(database.stop)
    await prepareDatabase(database.url, { log, now })
    const pool = connect({ url: database.url, poolSize: config.databasePoolSize })
    const lookups = connectForLookups({ url: database.url })
    endings.push(
      () => pool.end({ timeout: 5 }),
      () => lookups.end({ timeout: 5 })
    )
    const app = await startApp({ config, pool, lookups, now, logger: log })
    endings.push(app.close)
    const clients = config.developmentMailbox
      ? await ensureDemoClients(app.ctx, { demoPort: config.port + 1 })
      : []
    await app.http.listen({ host: config.host, port: config.port })
    if (config.developmentMailbox) endings.push(await startDemo(config, clients))
    return end
  } catch (error) {
    await end()
    throw error
  }
}

/** The demo application, loaded only where it may exist. */
async function startDemo(config: Config, clients: { client_id: string }[]): Promise<() => Promise<void>> {
  const { startDemoApp } = await import('../examples/demo-app/app.ts')
  const client = clients.find(({ client_id }) => client_id === 'demo-web')
  const demo = await startDemoApp({ issuer: config.issuer, client: client as never, port: config.port + 1 })
  process.stdout.write(
    [
      '',
      `  Gatehouse          ${config.issuer}`,
      `  Demo application   ${demo.url}`,
      `  Mailbox            ${config.issuer}/dev/mailbox`,
      '',
      ''
    ].join('\n')
  )
  return demo.close
}

const loaded = loadConfig()
if (!loaded.ok) {
  process.stderr.write('Gatehouse cannot start. Settings to correct:\n')
  for (const { setting, message } of loaded.faults) process.stderr.write(`  ${setting} ${message}\n`)
  process.exit(1)
}

try {
  const end = await start(loaded.config)
  let ending = false
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.on(signal, () => {
      // A second Ctrl-C does not wait.
      if (ending) process.exit(1)
      ending = true
      void end().then(() => process.exit(0))
    })
  }
} catch (error) {
  process.stderr.write(`Gatehouse could not start: ${(error as Error).message}\n`)
  if (loaded.config.logLevel === 'debug' || loaded.config.logLevel === 'trace')
    process.stderr.write(`${(error as Error).stack}\n`)
  process.exit(1)
}
