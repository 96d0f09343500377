// `npm start` on a fresh machine, Ctrl-C, and again: with a database of its own in DATA_DIR.
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createApplication, newcomer, signInAgain } from '../helpers/application.ts'
import { createDatabase } from '../helpers/database.ts'
import { serverOf } from '../helpers/embedded.ts'
import { facadeOf } from '../helpers/facade.ts'
import { dataDirectory, freePorts, isFree, type Run, run } from '../helpers/process.ts'
import { startMailServer } from '../helpers/smtp.ts'
import { Visitor } from '../helpers/visitor.ts'

const cheap = { ARGON2_MEMORY_KIB: '7168', ARGON2_ITERATIONS: '1' }

async function ready(service: Run): Promise<number> {
  const startedAt = performance.now()
  await service.says(/Mailbox +http:\S+\n/)
  return performance.now() - startedAt
}

t.test(
  'a first start is ready soon, Ctrl-C leaves nothing behind, and a second start finds everything',
  async t => {
    const dataDir = join(dataDirectory(t), 'data')
    const port = await freePorts()
    const settings = { PORT: String(port), DATA_DIR: dataDir, ...cheap }
    const first = run(t, settings)
    const firstMs = await ready(first)
    // 10 s and 3 s are meant for a machine that does nothing else; tests run beside each other.
    t.ok(firstMs < 20_000, `${Math.round(firstMs)} ms the first time`)
    for (const line of [
      `Gatehouse +http://localhost:${port}`,
      `Demo application +http://localhost:${port + 1}`,
      `Mailbox +http://localhost:${port}/dev/mailbox`
    ])
      t.match(first.output(), new RegExp(line))
    for (const url of [
      `http://localhost:${port}/healthz`,
      `http://localhost:${port}/`,
      `http://localhost:${port + 1}/`,
      `http://localhost:${port}/dev/mailbox`
    ])
      t.equal((await fetch(url)).status, 200, url)
    for (const secret of ['encryption-key', 'demo-clients.json'])
      t.equal(statSync(join(dataDir, secret)).mode & 0o777, 0o600, `${secret} is for its owner`)

    const before = facadeOf(port, dataDir)
    const { tokens, visitor } = await newcomer(before, await createApplication(before))
    const keys = await (await fetch(`${before.issuer}/jwks`)).text()
    const server = serverOf(join(dataDir, 'postgres'))
    t.ok(server, 'PostgreSQL runs')

    first.child.kill('SIGINT')
    t.equal(await first.exit, 0, first.output())
    t.equal(serverOf(join(dataDir, 'postgres')), null, 'no PostgreSQL is left')
    t.ok((await isFree(port)) && (await isFree(port + 1)), 'no port is left open')
    t.notMatch(first.output(), /"level":(50|60)/, 'and nothing complained')

    const second = run(t, settings)
    const secondMs = await ready(second)
    t.ok(secondMs < 12_000, `${Math.round(secondMs)} ms after that`)
    const after = facadeOf(port, dataDir)
    t.strictSame(after.clients, before.clients, 'the same applications and secrets')
    t.equal(await (await fetch(`${after.issuer}/jwks`)).text(), keys, 'the same keys')
    const application = await createApplication(after)
    const again = await signInAgain(application, new Visitor(), { email: 'ada@example.org' })
    t.equal(again.claims()?.sub, tokens.claims()?.sub, 'the same account')
    const stillIn = await application.begin({ prompt: 'none', scope: 'openid' })
    t.match((await visitor.visit(stillIn.url)).location, /[?&]code=/, 'and the session of the browser stands')
    second.child.kill('SIGTERM')
    t.equal(await second.exit, 0)
  }
)

t.test('Ctrl-C during the start ends it as cleanly', async t => {
  const dataDir = join(dataDirectory(t), 'data')
  const service = run(t, { PORT: String(await freePorts()), DATA_DIR: dataDir, ...cheap })
  await service.says(/embedded PostgreSQL is up/)
  service.child.kill('SIGINT')
  t.equal(await service.exit, 0, service.output())
  t.equal(serverOf(join(dataDir, 'postgres')), null, 'no PostgreSQL is left')
})

t.test('DATABASE_URL: that database is used, and no other is made', async t => {
  const { url, sql } = await createDatabase(t)
  const dataDir = dataDirectory(t)
  const service = run(t, { PORT: String(await freePorts()), DATA_DIR: dataDir, DATABASE_URL: url, ...cheap })
  await ready(service)
  t.equal(existsSync(join(dataDir, 'postgres')), false)
  t.equal((await sql`select from signing_keys`).length, 3)
  service.child.kill('SIGINT')
  t.equal(await service.exit, 0)
})

t.test('ISSUER: everything that is emitted starts with it, whatever the port', async t => {
  const { url } = await createDatabase(t)
  const port = await freePorts()
  const issuer = 'http://127.0.0.1:8080'
  const service = run(t, {
    PORT: String(port),
    DATA_DIR: dataDirectory(t),
    DATABASE_URL: url,
    ISSUER: issuer,
    ...cheap
  })
  await service.says(new RegExp(`Gatehouse +${issuer}`))
  const discovery = (await (
    await fetch(`http://localhost:${port}/.well-known/openid-configuration`)
  ).json()) as Record<string, unknown>
  t.equal(discovery.issuer, issuer)
  for (const [name, value] of Object.entries(discovery).filter(
    ([name]) => name.endsWith('_endpoint') || name === 'jwks_uri'
  ))
    t.match(value, new RegExp(`^${issuer}/`), name)
})

t.test('with SMTP_URL there is neither mailbox nor demo application', async t => {
  const { url } = await createDatabase(t)
  const mailServer = await startMailServer(t)
  const port = await freePorts()
  const dataDir = dataDirectory(t)
  const service = run(t, {
    PORT: String(port),
    DATA_DIR: dataDir,
    DATABASE_URL: url,
    SMTP_URL: mailServer.url,
    ...cheap
  })
  await service.says(new RegExp(`Gatehouse +http://localhost:${port}`))
  t.notMatch(service.output(), /Mailbox|Demo/)
  for (const path of ['/dev/mailbox', '/dev/mailbox.json'])
    t.equal((await fetch(`http://localhost:${port}${path}`)).status, 404)
  t.equal(await isFree(port + 1), true, 'nothing listens where the demo would')
  t.equal(existsSync(join(dataDir, 'demo-clients.json')), false)
})

t.test('in production neither exists, whatever else is set', async t => {
  const { url } = await createDatabase(t)
  const mailServer = await startMailServer(t)
  const port = await freePorts()
  const key = Buffer.from(Array.from({ length: 32 }, (_, i) => (i * 37) % 256)).toString('base64')
  const settings = {
    PORT: String(port),
    HOST: '127.0.0.1',
    DATA_DIR: '/nowhere',
    ISSUER: 'https://id.example.org',
    DATABASE_URL: url,
    SMTP_URL: mailServer.url,
    ENCRYPTION_KEY: key
  }
  const service = run(t, { ...settings, ...cheap })
  await service.says(/Gatehouse +https:\/\/id\.example\.org/)
  t.equal((await fetch(`http://127.0.0.1:${port}/dev/mailbox`)).status, 404)
  t.equal((await fetch(`http://127.0.0.1:${port}/healthz`)).status, 200)
  t.equal(await isFree(port + 1), true)
  t.match(service.output(), /^\{"level":30/m)
})
