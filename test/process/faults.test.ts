// LOG-5, LOG-4: what breaks while the service runs: requests, code, the database. It goes on, and keeps its detail to itself.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { createApplication } from '../helpers/application.ts'
import { createDatabase } from '../helpers/database.ts'
import { startDatabaseLine } from '../helpers/database-line.ts'
import { openSignIn, openSignUp } from '../helpers/forms.ts'
import { dataDirectory, freePorts, type Run, run } from '../helpers/process.ts'
import { rawRequest, sendRaw } from '../helpers/raw.ts'
import { password, type Service } from '../helpers/service.ts'
import { Visitor } from '../helpers/visitor.ts'
import { waitFor } from '../helpers/wait.ts'

const { url, sql } = await createDatabase(t)
const line = await startDatabaseLine(t, url)
const dataDir = dataDirectory(t)
const port = await freePorts()
const issuer = `http://localhost:${port}`

// On a signal code breaks that belongs to no request: a rejection that nobody waits for, and an exception.
const preload = `process.on('SIGUSR2', () => {
  Promise.reject(new Error('planted rejection'))
  setTimeout(() => { throw new Error('planted exception') }, 10)
})`
const service: Run = run(
  t,
  {
    PORT: String(port),
    DATA_DIR: dataDir,
    DATABASE_URL: line.url,
    ARGON2_MEMORY_KIB: '7168',
    ARGON2_ITERATIONS: '1',
    LOG_LEVEL: 'warn',
    DATABASE_POOL_SIZE: '4',
    REQUESTS_PER_ADDRESS_PER_MINUTE: '100000'
  },
  { preload }
)
await service.says(/Mailbox/)
const clients = JSON.parse(readFileSync(join(dataDir, 'demo-clients.json'), 'utf8')) as {
  client_id: string
}[]
const facade = {
  issuer,
  clients: Object.fromEntries(clients.map(client => [client.client_id, client]))
} as unknown as Service
const application = await createApplication(facade)

const works = async (t: Test, what: string) => {
  const { visitor, page } = await openSignIn(facade, { application })
  const answer = await visitor.post(page, 'sign-in-form', { email: 'nobody@example.org', password })
  t.equal(answer.status, 422, `${what}: and the next person is served`)
  t.equal(service.child.exitCode, null, 'by the same process')
}

/** A refresh, as an application's server sends it. */
async function tokenRequest() {
  const response = await fetch(`${issuer}/token`, {
    method: 'POST',
    headers: { authorization: `Basic ${btoa(`demo-web:${application.clientSecret}`)}` },
    body: new URLSearchParams({ grant_type: 'refresh_token', refresh_token: 'x'.repeat(43) })
  })
  return { status: response.status, headers: response.headers, text: await response.text() }
}

const leak = /node_modules|\/src\/|\.ts:|at [\w.]+ \(|postgres|select |insert |relation|accounts|ECONN|FST_/i

t.test('LOG-5: an exception and a rejection that nothing caught are logged, and nobody notices', async t => {
  service.child.kill('SIGUSR2')
  await waitFor(
    () => /planted rejection/.test(service.output()) && /planted exception/.test(service.output())
  )
  await works(t, 'afterwards')
  const lines = service
    .output()
    .split('\n')
    .filter(line => line.includes('planted'))
  for (const line of lines) t.match(JSON.parse(line), { level: 60, err: { message: /planted/, stack: /\w/ } })
})

t.test(
  'LOG-4: when code or schema is broken the answer has an id to quote and nothing else; the log has the rest',
  async t => {
    const { visitor, page } = await openSignIn(facade, { application })
    const signUp = await openSignUp(facade, { application, visitor })
    await sql`alter table accounts rename to accounts_gone`
    try {
      for (const [from, form, fields] of [
        [page, 'sign-in-form', { email: 'a@example.org', password }],
        [signUp.page, 'sign-up-form', { email: 'b@example.org', name: 'B', password }]
      ] as const) {
        const answer = await visitor.post(from, form, fields)
        t.equal(answer.status, 500, form)
        t.notMatch(answer.text, leak)
        t.notMatch(answer.text, /example\.org|battery/)
        const id = /id="request-id">([\w-]{36})</.exec(answer.text)?.[1]
        t.ok(id)
        await waitFor(() => service.output().includes(String(id)))
        t.notMatch(service.output(), 'battery', 'no password in the log')
      }
      const asJson = await visitor.request(page.url, { headers: { accept: 'application/json' } })
      t.equal(asJson.status, 500)
      t.match(JSON.parse(asJson.text), { error: { code: 'server_error', requestId: /^[\w-]{36}$/ } })
      t.notMatch(asJson.text, leak)
      const protocol = await tokenRequest()
      t.match(String(protocol.status), /^(400|500)$/)
      t.notMatch(protocol.text, leak)
    } finally {
      await sql`alter table accounts_gone rename to accounts`
    }
    await works(t, 'once it is mended')
  }
)

t.test('LOG-5: connections to the database that are cut are made anew', async t => {
  for (let round = 0; round < 3; round++) {
    await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() and application_name like 'gatehouse%'`
    const answers = await Promise.all(
      Array.from({ length: 8 }, async () => await new Visitor().request((await application.begin()).url))
    )
    for (const { status, headers } of answers) {
      t.match(String(status), /^(303|503)$/)
      if (status === 503) t.ok(Number(headers.get('retry-after')) > 0)
    }
  }
  await waitFor(async () => (await new Visitor().request((await application.begin()).url)).status === 303)
  await works(t, 'after the cuts')
})

t.test(
  'LOG-5: without its database it says so, with when to come back, and serves what needs none',
  async t => {
    const { visitor, page } = await openSignIn(facade, { application })
    await line.cut()
    try {
      const startedAt = performance.now()
      for (const [what, answer] of [
        ['a page', await visitor.request(page.url)],
        ['a form', await visitor.post(page, 'sign-in-form', { email: 'a@example.org', password })],
        ['a new sign-in', await new Visitor().request((await application.begin()).url)],
        ['a link', await visitor.request(`${issuer}/verify-email/x`)],
        ['readiness', await visitor.request(`${issuer}/readyz`)],
        ['a token request', await tokenRequest()]
      ] as const) {
        t.equal(answer.status, 503, `${what}: ${answer.status}`)
        t.ok(Number(answer.headers.get('retry-after')) > 0, `${what}: Retry-After`)
        t.notMatch(answer.text, leak, what)
      }
      t.ok(performance.now() - startedAt < 10_000, 'at once')
      for (const path of [
        '/healthz',
        '/jwks',
        '/.well-known/openid-configuration',
        '/',
        '/assets/gatehouse.css'
      ])
        t.equal((await visitor.request(`${issuer}${path}`)).status, 200, path)
    } finally {
      await line.mend()
    }
    await waitFor(async () => (await visitor.request(`${issuer}/readyz`)).status === 200)
    await works(t, 'once it is back')
  }
)

t.test('LOG-5: requests that break off, or make no sense, end nothing but themselves', async t => {
  const form = 'Content-Type: application/x-www-form-urlencoded'
  const random = (length: number) =>
    Buffer.from(Array.from({ length }, () => Math.floor(Math.random() * 256)))
  const paths = [
    '/token',
    '/auth',
    '/par',
    '/introspect',
    '/session/end/confirm',
    '/interaction/x/sign-in',
    '/verify-email/x',
    '/userinfo'
  ]
  await Promise.all(
    paths.flatMap(path => [
      sendRaw(
        issuer,
        rawRequest(path, { method: 'POST', headers: [form, 'Content-Length: 100'], body: 'a=1' }),
        50
      ),
      sendRaw(
        issuer,
        rawRequest(path, { method: 'POST', headers: [form, 'Transfer-Encoding: chunked'], body: '5\r\na=1' }),
        50
      ),
      sendRaw(
        issuer,
        Buffer.concat([
          Buffer.from(`POST ${path} HTTP/1.1\r\nHost: x\r\n${form}\r\nContent-Length: 500\r\n\r\n`),
          random(500)
        ]),
        50
      ),
      sendRaw(issuer, rawRequest(`${path}?${'%ff%00&=&[]='.repeat(50)}`), 50),
      sendRaw(issuer, random(2000), 50)
    ])
  )
  await works(t, 'after the noise')
  for (const line of service
    .output()
    .split('\n')
    .filter(line => line.startsWith('{')))
    t.doesNotThrow(() => JSON.parse(line))
})

t.test('it ends cleanly when asked to, with all of that behind it', async t => {
  service.child.kill('SIGTERM')
  t.equal(await service.exit, 0)
})
console.error(
  service
    .output()
    .split('\n')
    .filter(l => /request failed|protocol failed|could not be/.test(l))
    .map(l => l.slice(0, 420))
    .join('\n')
)
