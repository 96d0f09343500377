// The operator's own service is asked for further claims before tokens are made, and cannot make them say what is not its to say.
import { createHmac } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import type { DemoClient } from '../../src/development/clients-service.ts'
import {
  atOnce,
  type Body,
  countStatuses,
  introspect,
  obtainCode,
  obtainTokens,
  offline,
  post,
  readJwt,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { type Service, startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

const secret = 'a secret of the hook, long enough to be one'
const api = 'urn:hook:api'

type Asked = Record<string, unknown> & { grant_type?: string }
type Answer = { status?: number; body: string } | 'hangs'

async function startHook(t: Test) {
  const answer = (claims: object): Answer => ({ body: JSON.stringify(claims) })
  let next: Answer = answer({})
  const requests: { asked: Asked; body: string; signature: string; type: unknown }[] = []
  const server = createServer(async (request, reply) => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const body = Buffer.concat(chunks).toString()
    const { 'gatehouse-signature': signature = '', 'content-type': type } = request.headers
    requests.push({ asked: JSON.parse(body), body, signature: String(signature), type })
    if (next === 'hangs') return
    const { status = 200, body: text } = next
    reply.writeHead(status, { 'content-type': 'application/json', location: '/elsewhere' }).end(text)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  const environment = {
    TOKEN_HOOK_URL: `http://127.0.0.1:${(server.address() as AddressInfo).port}/claims`,
    TOKEN_HOOK_SECRET: secret,
    OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8'
  }
  return {
    environment,
    requests,
    answers: (claims: object) => {
      next = answer(claims)
    },
    behaves: (behaviour: Answer) => {
      next = behaviour
    },
    last: () => requests.at(-1)?.asked
  }
}

async function setUp(service: Service) {
  await registerResource(service.app.ctx, { identifier: api, scopes: ['read'] })
  const register = async (over: Record<string, unknown> = {}) =>
    await registerPortal(service, { resources: [api], ...over })
  const client = await register()
  const visitor = await signedInVisitor(service, client)
  const [row] = await service.pool<{ id: string }[]>`select id from accounts`
  const begin = async (as: DemoClient = client): Promise<Body> =>
    await obtainTokens(service, { client: as, visitor, params: offline })
  const codeFor = async (as: DemoClient = client) =>
    await obtainCode(service, { client: as, visitor, params: offline })
  return { register, client, visitor, begin, codeFor, accountId: row?.id ?? '' }
}

t.test('the token hook', async t => {
  const hook = await startHook(t)
  const lines: string[] = []
  const service = await startService(t, {
    environment: hook.environment,
    onLog: line => void lines.push(line)
  })
  const { client, visitor, register, begin, codeFor, accountId } = await setUp(service)

  await t.test('is asked once for each answer with tokens, and told what they are for', async t => {
    hook.answers({ access_token: { tenant: 'a', level: 3 }, id_token: { tenant: 'i', tags: ['x'] } })
    hook.requests.length = 0
    const code = await codeFor()
    t.equal(hook.requests.length, 0, 'not for a code')
    const tokens = (await redeem(service, client, code)).body
    t.match(
      hook.requests.map(({ asked }) => asked),
      [
        {
          id: /^[0-9a-f-]{36}$/,
          type: 'token.issue',
          issuer: service.issuer,
          grant_type: 'authorization_code',
          client_id: client.client_id,
          account_id: accountId,
          sub: accountId,
          scopes: ['openid', 'email', 'offline_access'],
          audience: null,
          claims: { acr: 'urn:gatehouse:acr:1fa' }
        }
      ]
    )
    t.match(readJwt(tokens.id_token).payload, { tenant: 'i', tags: ['x'], sub: accountId })
    t.match((await introspect(service, client, tokens.access_token)).body, {
      tenant: 'a',
      level: 3,
      active: true
    })
    t.notOk('tenant' in (await userinfo(service, tokens.access_token)).body)
    t.equal(hook.requests.length, 1)

    hook.answers({ access_token: { tenant: 'b' } })
    const next = (await refresh(service, client, tokens.refresh_token)).body
    t.equal(hook.last()?.grant_type, 'refresh_token')
    t.equal((await introspect(service, client, next.access_token)).body.tenant, 'b')
    t.notOk('tenant' in readJwt(next.id_token).payload)

    const params = { scope: 'openid read', resource: api }
    const forApi = await redeem(service, client, await obtainCode(service, { client, visitor, params }), {
      resource: api
    })
    t.match(hook.last(), { audience: api })
    t.equal(readJwt(forApi.body.access_token).payload.tenant, 'b')

    const machine = await service.register({
      client_name: 'Machine',
      grant_types: ['client_credentials'],
      resources: [api]
    })
    const own = await post(
      service,
      '/token',
      { grant_type: 'client_credentials', resource: api, scope: 'read' },
      { client: machine }
    )
    t.match(hook.last(), {
      grant_type: 'client_credentials',
      account_id: null,
      sub: machine.client_id,
      scopes: ['read']
    })
    t.match(readJwt(own.body.access_token).payload, { tenant: 'b', sub: machine.client_id })
  })

  await t.test('can tell that it is we who ask, and when', async t => {
    await begin()
    const { body, signature, type } = hook.requests.at(-1) ?? { body: '', signature: '', type: '' }
    const [, at = '', given = ''] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(signature) ?? []
    t.ok(Math.abs(Number(at) - Date.now() / 1000) < 60)
    const sign = (text: string) => createHmac('sha256', secret).update(text).digest('hex')
    t.equal(given, sign(`${at}.${body}`))
    t.not(given, sign(`${at}.${body.slice(0, -1)}]`))
    t.not(given, sign(`${Number(at) + 1}.${body}`))
    t.equal(type, 'application/json')
    t.notMatch(body, secret)
  })

  await t.test('is told the subject that the application knows, and the account', async t => {
    const pairwise = await register({ subject_type: 'pairwise' })
    const { id_token } = await begin(pairwise)
    t.match(hook.last(), { sub: readJwt(id_token).payload.sub, account_id: accountId })
    t.not(hook.last()?.sub, accountId)
  })

  await t.test('cannot say what the protocol says, nor who somebody is', async t => {
    const forged = {
      ...{
        sub: 'root',
        iss: 'https://evil.example',
        aud: 'urn:other',
        exp: 9e9,
        scope: 'admin',
        client_id: 'x'
      },
      ...{
        email: 'root@example.org',
        email_verified: true,
        acr: 'phr',
        nonce: 'n',
        cnf: {},
        act: {},
        active: false
      },
      ...{ grant_id: 'g', 'not a name': 1, kept: 'yes' }
    }
    const body = JSON.stringify({ access_token: forged, id_token: forged }).replace(
      '"kept"',
      '"__proto__":{"x":1},"kept"'
    )
    hook.behaves({ body })
    const tokens = await begin()
    const told = [
      readJwt(tokens.id_token).payload,
      (await introspect(service, client, tokens.access_token)).body
    ]
    for (const claims of told) {
      t.match(claims, { sub: accountId, iss: service.issuer, kept: 'yes' })
      for (const name of ['email', 'email_verified', 'act', 'grant_id', 'not a name', 'cnf'])
        t.notOk(Object.hasOwn(claims, name), name)
      t.not(claims.scope, 'admin')
      t.not(claims.exp, 9e9)
    }
    t.ok(lines.some(line => line.includes('may not set') && line.includes('email_verified')))
  })

  await t.test('TOK-2: where it fails nothing is issued, nothing is used up, and it is recorded', async t => {
    const stored = async () =>
      (await service.pool`select from access_tokens union all select from refresh_tokens`).length
    const failures: Answer[] = [
      { status: 500, body: '{}' },
      { status: 302, body: '{}' },
      { body: 'oops' },
      { body: '[]' },
      { body: '{"access_token": ["x"]}' },
      { body: '{"access_token": {"a": "\\u0000"}}' },
      { body: JSON.stringify({ access_token: { a: 'x'.repeat(16 * 1024) } }) }
    ]
    const { refresh_token } = await begin()
    let current = refresh_token
    for (const failure of failures) {
      const code = await codeFor()
      const before = await stored()
      hook.behaves(failure)
      for (const attempt of [() => redeem(service, client, code), () => refresh(service, client, current)]) {
        const { status, body, headers } = await attempt()
        t.equal(status, 503, JSON.stringify(failure).slice(0, 60))
        t.equal(body.error, 'temporarily_unavailable')
        t.equal(headers.get('retry-after'), '10')
        t.notOk('access_token' in body)
      }
      t.equal(await stored(), before)
      hook.answers({ access_token: { tenant: 'c' } })
      t.equal((await redeem(service, client, code)).status, 200, 'the code is good')
      const again = await refresh(service, client, current)
      t.equal(again.status, 200, 'the refresh token is good')
      current = again.body.refresh_token
    }
    const events =
      await service.pool`select client_id, account_id, details from audit_events where type = 'token_hook.failed'`
    t.equal(events.length, 2 * failures.length)
    t.match(events[0], { clientId: client.client_id, accountId, details: { reason: 'status 500' } })
  })

  await t.test('that hangs is waited for half a second, with no transaction open', async t => {
    const code = await codeFor()
    hook.behaves('hangs')
    const asked = hook.requests.length
    const started = performance.now()
    const refused = redeem(service, client, code)
    await waitFor(() => hook.requests.length > asked)
    const [open] = await service.pool`
      select count(*)::int as count from pg_stat_activity
      where datname = current_database() and state = 'idle in transaction'`
    t.equal(open?.count, 0)
    t.equal((await refused).status, 503)
    t.ok(performance.now() - started < 1500)
    hook.answers({})
    t.equal((await redeem(service, client, code)).status, 200)
  })

  await t.test('that fails three times in a row is left alone for ten seconds, then tried once', async t => {
    hook.behaves({ status: 500, body: '' })
    for (const _failure of [1, 2, 3]) t.equal((await redeem(service, client, await codeFor())).status, 503)
    const asked = hook.requests.length
    hook.answers({})
    const code = await codeFor()
    const replies = await atOnce(5, async () => await redeem(service, client, code))
    t.strictSame(countStatuses(replies), { 503: 5 })
    t.equal(hook.requests.length, asked, 'nobody waited for it')
    service.advance(11)
    t.equal((await redeem(service, client, code)).status, 200)
    t.equal(hook.requests.length, asked + 1)
  })

  await t.test('tells no secret to the log', async t => {
    t.notOk(lines.some(line => line.includes(secret)))
  })
})

t.test('a hook that may fail (TOKEN_HOOK_FAILURE=open)', async t => {
  const hook = await startHook(t)
  const environment = { ...hook.environment, TOKEN_HOOK_FAILURE: 'open' }
  const service = await startService(t, { environment })
  const { client, begin } = await setUp(service)
  hook.answers({ id_token: { tenant: 'a' } })
  t.equal(readJwt((await begin()).id_token).payload.tenant, 'a')
  for (const behaviour of [{ status: 500, body: '' }, 'hangs', { body: 'x' }] as Answer[]) {
    hook.behaves(behaviour)
    const tokens = await begin()
    t.notOk('tenant' in readJwt(tokens.id_token).payload)
    t.equal((await userinfo(service, tokens.access_token)).status, 200)
  }
  const asked = hook.requests.length
  t.equal((await refresh(service, client, (await begin()).refresh_token)).status, 200)
  t.equal(hook.requests.length, asked, 'left alone for a while')
})
