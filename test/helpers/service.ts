// A whole running service for a test: real database, real HTTP on loopback, the development mailbox, a clock that can be moved.
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, request as httpRequest } from 'node:http'
import { createServer as createTcpServer, type Server as TcpServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startDemoApp } from '../../examples/demo-app/app.ts'
import { type App, startApp } from '../../src/app.ts'
import { registerClient } from '../../src/clients/service.ts'
import { type Environment, loadConfig } from '../../src/config/load.ts'
import { connect, type Pool } from '../../src/db/connect.ts'
import { type DemoClient, ensureDemoClients } from '../../src/development/clients-service.ts'
import { listMailbox, type MailboxMessage } from '../../src/development/service.ts'
import { createLog } from '../../src/http/log.ts'
import { clockShift } from './clock.ts'
import { createDatabase } from './database.ts'
import { Visitor } from './visitor.ts'

type Test = { teardown: (work: () => unknown) => void }

export type ServiceOptions = {
  /** Settings by name, over those of a development installation whose hashes take a millisecond. */
  environment?: Environment
  /** Two: behind a round-robin that sends each request to the other node than the one before. */
  nodes?: 1 | 2
  /** Runs the demo application too, at the address that demo-web is registered with. */
  demo?: boolean
  /** Takes every line of the log, of any level; without it nothing is logged. */
  onLog?: (line: string) => void
}

export type Service = {
  issuer: string
  app: App
  apps: App[]
  pool: Pool
  dataDir: string
  /** Where the demo application is, with the option `demo`. */
  demoUrl: string
  /** The demo clients, by id; none outside development. */
  clients: Record<string, DemoClient>
  /** Every statement that the service's pools send, but for BEGIN and COMMIT. Cut with `length = 0`. */
  statements: string[]
  /** Moves the time of this process, the library's too. */
  advance: (seconds: number) => void
  /** Mails to an address, newest first; waits until there are `count`. */
  mailTo: (address: string, count?: number) => Promise<MailboxMessage[]>
  register: (metadata: Record<string, unknown>, clientId?: string) => Promise<DemoClient>
}

export async function startService(
  t: Test,
  { environment = {}, nodes = 1, demo = false, onLog }: ServiceOptions = {}
): Promise<Service> {
  const { url, sql } = await createDatabase(t)
  const dataDir = mkdtempSync(join(tmpdir(), 'gatehouse-test-'))
  const port = await freePort()
  const loaded = loadConfig(
    {
      PORT: String(port),
      DATA_DIR: dataDir,
      // Already open; named since production asks for it.
      DATABASE_URL: url,
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      ARGON2_MEMORY_KIB: '7168',
      ARGON2_ITERATIONS: '1',
      REQUESTS_PER_ADDRESS_PER_MINUTE: '100000',
      FAILURES_PER_NETWORK_PER_HOUR: '100000',
      SIGN_UPS_PER_NETWORK_PER_HOUR: '100000',
      ...environment
    },
    { writeSecrets: false }
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
  const { config } = loaded
  const statements: string[] = []
  // Job workers look for work at moments of their own; what a request queues is an insert.
  const isBackground = (text: string) => /\bpgboss\b/.test(text) && !/insert into pgboss\.job\b/i.test(text)
  const onStatement = (text: string) => {
    if (text !== '' && !/^\s*(begin|commit|rollback|listen|unlisten)/i.test(text) && !isBackground(text))
      statements.push(text)
  }

  const shift = clockShift()
  const apps: App[] = []
  for (let node = 0; node < nodes; node++) {
    const pool = connect({ url, poolSize: 5, onStatement })
    const app = await startApp({
      config,
      pool,
      now: () => new Date(),
      logger: onLog === undefined ? createLog('silent') : createLog('trace', { write: onLog }),
      // Recurring jobs have tests of their own; here they would mix their statements with the requests'.
      jobs: { pollSeconds: 1, recurring: [] }
    })
    apps.push(app)
    t.teardown(async () => {
      await app.close()
      await pool.end({ timeout: 1 })
    })
  }
  const [app] = apps as [App]
  const demoClients = config.development ? await ensureDemoClients(app.ctx, { demoPort: port + 1 }) : []
  if (nodes === 1) await app.http.listen({ host: 'localhost', port })
  else
    await startRoundRobin(
      t,
      port,
      await Promise.all(apps.map(({ http }) => http.listen({ host: '127.0.0.1', port: 0 })))
    )
  const [demoClient] = demoClients
  if (demo && demoClient !== undefined) {
    const { close } = await startDemoApp({ issuer: config.issuer, client: demoClient, port: port + 1 })
    t.teardown(close)
  }
  t.teardown(() => {
    shift.reset()
    rmSync(dataDir, { recursive: true, force: true })
  })
  return {
    issuer: config.issuer,
    app,
    apps,
    pool: sql,
    dataDir,
    demoUrl: `http://localhost:${port + 1}`,
    clients: Object.fromEntries(demoClients.map(client => [client.client_id, client])),
    statements,
    advance: seconds => shift.advance(seconds * 1000),
    mailTo: (address, count = 1) => waitForMail(app, address, count),
    register: async (metadata, clientId) => {
      const outcome = await registerClient(app.ctx, metadata, clientId === undefined ? {} : { clientId })
      if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults))
      return {
        ...metadata,
        client_id: outcome.client_id,
        ...(outcome.client_secret === null ? {} : { client_secret: outcome.client_secret })
      }
    }
  }
}

async function waitForMail(app: App, address: string, count: number): Promise<MailboxMessage[]> {
  const until = performance.now() + 10_000
  for (;;) {
    const mails = (await listMailbox(app.ctx)).filter(({ to }) => to === address)
    if (mails.length >= count) return mails
    if (performance.now() > until) throw new Error(`${mails.length} of ${count} mails to ${address} came`)
    await new Promise(resolve => setTimeout(resolve, 20))
  }
}

/** A free port whose neighbour is free too: the demo application goes there. */
async function freePort(): Promise<number> {
  const [first, second] = [createTcpServer(), createTcpServer()]
  const open = (server: TcpServer, port: number) =>
    new Promise<boolean>(resolve =>
      server
        .once('error', () => resolve(false))
        .once('listening', () => resolve(true))
        .listen(port, 'localhost')
    )
  const close = (server: TcpServer) => new Promise(resolve => server.close(resolve))
  await open(first, 0)
  const { port } = first.address() as { port: number }
  const both = await open(second, port + 1)
  await close(first)
  if (!both) return await freePort()
  await close(second)
  return port
}

/** A load balancer of the simplest kind. */
async function startRoundRobin(t: Test, port: number, targets: string[]): Promise<void> {
  let turn = 0
  const server = createServer((incoming, outgoing) => {
    const target = new URL(targets[turn++ % targets.length] ?? '')
    const { method, url, headers } = incoming
    const forwarded = httpRequest(
      { host: target.hostname, port: target.port, method, path: url, headers },
      answer => {
        outgoing.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(outgoing)
      }
    )
    forwarded.on('error', () => outgoing.writeHead(502).end())
    incoming.pipe(forwarded)
  })
  // As the nodes do: a connection that is closed between two requests of a slow machine fails the second.
  server.keepAliveTimeout = 65_000
  await new Promise<void>(resolve => server.listen(port, 'localhost', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
}

export const password = 'correct horse battery staple'

/** Signs up at the page that `visitor` is on, confirms by the mail's code, and returns the page after that. */
export async function signUp(
  service: Service,
  visitor: Visitor,
  {
    page,
    email,
    name = 'Ada Lovelace'
  }: { page: Awaited<ReturnType<Visitor['visit']>>; email: string; name?: string }
) {
  const signUpUrl = new URL(
    /id="to-sign-up"[^>]*href="([^"]+)"|href="([^"]+)"[^>]*id="to-sign-up"/
      .exec(page.text)
      ?.slice(1)
      .find(Boolean) ?? '',
    page.url
  )
  const form = await visitor.visit(signUpUrl.href)
  const waiting = await visitor.submit(form, 'sign-up-form', { email, name, password })
  const [mail] = await service.mailTo(email)
  const code = /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
  return await visitor.submit(waiting, 'verify-form', { code })
}

export { Visitor }
