// The process: reads the settings, starts what they ask for, says where it is, and ends cleanly.
//
// Everything but the settings is loaded when they are known to be right, so that faults in them are told at once.
import { join } from 'node:path'
import { loadConfig } from './config/load.ts'
import type { Config } from './config/schema.ts'
import type { Context } from './context.ts'

const now = () => new Date()
type Log = Context['log']

/** Starts everything and returns the way to end it. What was started before a failure is ended. */
async function start(config: Config, log: Log): Promise<() => Promise<void>> {
  const [
    { startApp },
    { openDatabase, prepareDatabase },
    { connect, connectForLookups },
    { ensureDemoClients }
  ] = await Promise.all([
    import('./app.ts'),
    import('./commands/database.ts'),
    import('./db/connect.ts'),
    import('./development/clients-service.ts')
  ])
  const endings: (() => Promise<void>)[] = []
  const end = async () => {
    for (const ending of endings.splice(0).reverse())
      await ending().catch(error => log.error({ err: error }, 'a part did not end cleanly'))
  }
  try {
    const database = await openDatabase(config, log)
    endings.push(database.stop)
    await prepareDatabase(database.url, { log, now }).catch(error => {
      throw explainDatabase(config, error)
    })
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
    const person = config.conformance ? await ensurePerson(app.ctx) : null
    const demo = config.developmentMailbox ? await startDemo(config, clients) : null
    if (demo !== null) endings.push(demo.close)
    announce(config, { demo, person })
    return end
  } catch (error) {
    await end()
    throw error
  }
}

/** Codes of sockets and DNS, PostgreSQL's classes 28 (who are you) and 3D (no such database), full or starting up. */
function explainDatabase({ databaseUrl }: Config, error: Error & { code?: string }): Error {
  const unreachable = /^(E[A-Z]+|CONNECT\w*|28...|3D...|53...|57P..)$/.test(error.code ?? '')
  if (databaseUrl === null || !unreachable) return error
  const detail = error.message === '' ? error.code : error.message
  return new Error(`the database that DATABASE_URL names does not let us in: ${detail}`, { cause: error })
}

type Demo = { url: string; close: () => Promise<void> }

/** The demo application, loaded only where it may exist. */
async function startDemo(config: Config, clients: { client_id: string }[]): Promise<Demo> {
  const { startDemoApp } = await import('../examples/demo-app/app.ts')
  const client = clients.find(({ client_id }) => client_id === 'demo-web')
  return await startDemoApp({ issuer: config.issuer, client: client as never, port: config.port + 1 })
}

/** The conformance profile's test account, loaded only where it may exist. */
async function ensurePerson(ctx: Context): Promise<{ email: string }> {
  const { ensureTestPerson } = await import('./development/conformance-service.ts')
  return await ensureTestPerson(ctx)
}

type Started = { demo: Demo | null; person: { email: string } | null }

function announce({ issuer, dataDir }: Config, { demo, person }: Started): void {
  const lines = [
    `  Gatehouse          ${issuer}`,
    ...(demo === null
      ? []
      : [`  Demo application   ${demo.url}`, `  Mailbox            ${issuer}/dev/mailbox`]),
    ...(person === null
      ? []
      : [`  Test account       ${person.email}, see ${join(dataDir, 'conformance.json')}`])
  ]
  process.stdout.write(['', ...lines, '', ''].join('\n'))
}

const loaded = loadConfig()
if (!loaded.ok) {
  process.stderr.write('Gatehouse cannot start. Settings to correct:\n')
  for (const { setting, message } of loaded.faults) process.stderr.write(`  ${setting} ${message}\n`)
  process.exit(1)
}

const { config } = loaded
const { createLog } = await import('./http/log.ts')
const log = createLog(config.logLevel)
let running = false

// The last resort: what one request broke must not end everybody else's. Unhandled rejections come here too.
process.on('uncaughtException', error => {
  log.fatal({ err: error }, 'an error that nothing caught')
  if (!running) process.exit(1)
})

const started = start(config, log)
let endingSince: number | null = null
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.on(signal, () => {
    // A second Ctrl-C does not wait. The terminal and npm may each pass on the first: together they are one.
    if (endingSince !== null && performance.now() - endingSince > 1000) process.exit(1)
    if (endingSince !== null) return
    endingSince = performance.now()
    // One that comes while we start waits until there is something to end; a failed start ends by itself.
    started.then(
      end => end().then(() => process.exit(0)),
      () => {}
    )
  })
}

try {
  await started
  running = true
} catch (error) {
  process.stderr.write(`Gatehouse could not start: ${(error as Error).message}\n`)
  if (config.logLevel === 'debug' || config.logLevel === 'trace')
    process.stderr.write(`${(error as Error).stack}\n`)
  process.exit(1)
}
