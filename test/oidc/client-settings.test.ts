// What a client is registered with takes effect: lifetimes, formats, how its refresh tokens are kept, when its secret ends.
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import { replaceClient } from '../../src/clients/service.ts'
import type { DemoClient } from '../../src/development/clients-service.ts'
import {
  atOnce,
  authorizationUrl,
  type Body,
  callbackOf,
  countStatuses,
  type Fields,
  introspect,
  obtainTokens,
  offline,
  post,
  readJwt,
  refresh,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

const daySeconds = 86_400
const invalidGrant = { status: 400, error: 'invalid_grant' }

t.test('a client’s own settings', async t => {
  const service = await startService(t)
  const { ctx } = service.app
  const api = 'urn:settings:api'
  const hasty = 'urn:settings:hasty'
  await registerResource(ctx, { identifier: api, scopes: ['read'] })
  await registerResource(ctx, { identifier: hasty, scopes: ['read'], accessTokenLifetimeSeconds: 120 })
  const machine = async (over: Record<string, unknown>) =>
    await service.register({
      client_name: 'Machine',
      grant_types: ['client_credentials'],
      resources: [api, hasty],
      ...over
    })
  const forItself = async (client: DemoClient, over: Fields = {}) =>
    (await post(service, '/token', { grant_type: 'client_credentials', ...over }, { client })).body
  const visitor = await signedInVisitor(service, await registerPortal(service))
  const begin = async (client: DemoClient, params: Fields = offline): Promise<Body> =>
    await obtainTokens(service, { client, visitor, params })
  const outcome = async (client: DemoClient, token: string | undefined) => {
    const { status, body } = await refresh(service, client, token)
    return { status, error: body.error }
  }
  const use = async (client: DemoClient, token: string | undefined): Promise<Body> => {
    const { status, body } = await refresh(service, client, token)
    if (status !== 200) throw new Error(JSON.stringify(body))
    return body
  }

  await t.test('access tokens last as the client says, and never longer than the resource says', async t => {
    const short = await machine({ access_token_lifetime_seconds: 60 })
    const long = await machine({ access_token_lifetime_seconds: 3600 })
    for (const [client, resource, seconds] of [
      [short, undefined, 60],
      [short, api, 60],
      [short, hasty, 60],
      [long, undefined, 3600],
      [long, api, 3600],
      [long, hasty, 120]
    ] as const) {
      const body = await forItself(client, { resource })
      t.equal(body.expires_in, seconds, `${resource}`)
      if (resource === undefined) continue
      const { payload } = readJwt(body.access_token)
      t.equal(Number(payload.exp) - Number(payload.iat), seconds)
    }
  })

  await t.test('an opaque access token is over when the client’s lifetime is', async t => {
    const client = await machine({ access_token_lifetime_seconds: 60 })
    const { access_token } = await forItself(client)
    service.advance(58)
    t.equal((await introspect(service, client, access_token)).body.active, true)
    service.advance(3)
    t.strictSame((await introspect(service, client, access_token)).body, { active: false })
  })

  await t.test('ID tokens last as the client says', async t => {
    const client = await registerPortal(service, { id_token_lifetime_seconds: 90 })
    const { payload } = readJwt((await begin(client, { scope: 'openid' })).id_token)
    t.equal(Number(payload.exp) - Number(payload.iat), 90)
  })

  await t.test('access tokens have the form that the client asks for', async t => {
    const opaque = await machine({ access_token_format: 'opaque' })
    const { access_token } = await forItself(opaque, { resource: api })
    t.notMatch(access_token, /\./)
    t.match((await introspect(service, opaque, access_token)).body, { active: true, aud: api })
    await registerResource(ctx, { identifier: 'urn:opaque', accessTokenFormat: 'opaque' })
    const structured = await machine({ access_token_format: 'jwt', resources: ['urn:opaque'] })
    const jwt = (await forItself(structured, { resource: 'urn:opaque' })).access_token
    t.match(readJwt(jwt), { header: { typ: 'at+jwt', alg: 'ES256' }, payload: { aud: 'urn:opaque' } })
  })

  await t.test(
    'OID-7: refresh tokens end after the client’s idle time, and the chain after its whole',
    async t => {
      const client = await registerPortal(service, {
        refresh_token_idle_seconds: 3600,
        refresh_token_absolute_seconds: 7200
      })
      const idle = await begin(client)
      let current = await begin(client)
      service.advance(3500)
      current = await use(client, current.refresh_token)
      service.advance(200)
      t.strictSame(await outcome(client, idle.refresh_token), invalidGrant)
      service.advance(3300)
      current = await use(client, current.refresh_token)
      service.advance(250)
      t.strictSame(await outcome(client, current.refresh_token), invalidGrant)
    }
  )

  await t.test('OID-7: a life longer than the installation’s is a grant’s too', async t => {
    const client = await registerPortal(service, {
      refresh_token_idle_seconds: 100 * daySeconds,
      refresh_token_absolute_seconds: 200 * daySeconds
    })
    const visitor = await signedInVisitor(service, client, { email: 'patient@example.org' })
    let current = await obtainTokens(service, { client, visitor, params: offline })
    service.advance(99 * daySeconds)
    current = await use(client, current.refresh_token)
    service.advance(99 * daySeconds)
    current = await use(client, current.refresh_token)
    service.advance(3 * daySeconds)
    t.strictSame(await outcome(client, current.refresh_token), invalidGrant)
  })
})

t.test('a client’s own way with refresh tokens', async t => {
  const service = await startService(t)
  const visitor = await signedInVisitor(service, await registerPortal(service))
  const begin = async (client: DemoClient): Promise<Body> =>
    await obtainTokens(service, { client, visitor, params: offline })
  const outcome = async (client: DemoClient, token: string | undefined) => {
    const { status, body } = await refresh(service, client, token)
    return { status, error: body.error }
  }

  await t.test('OID-7: without rotation the token stays, at once and again and again', async t => {
    const client = await registerPortal(service, { refresh_token_rotation: false })
    const { refresh_token } = await begin(client)
    const replies = await atOnce(20, () => refresh(service, client, refresh_token))
    t.strictSame(countStatuses(replies), { 200: 20 })
    t.strictSame(new Set(replies.map(({ body }) => body.refresh_token)), new Set([refresh_token]))
    service.advance(30)
    t.equal((await outcome(client, refresh_token)).status, 200, 'no reuse: it was never used up')
    const changed = `${refresh_token?.slice(0, -1)}${refresh_token?.endsWith('A') ? 'B' : 'A'}`
    t.strictSame(await outcome(client, changed), invalidGrant)
  })

  await t.test(
    'OID-7: without rotation the idle time counts from the last use, the whole from the first',
    async t => {
      const client = await registerPortal(service, {
        refresh_token_rotation: false,
        refresh_token_idle_seconds: 1000,
        refresh_token_absolute_seconds: 2500
      })
      const [unused, used] = [await begin(client), await begin(client)]
      service.advance(900)
      t.equal((await outcome(client, used.refresh_token)).status, 200)
      service.advance(900)
      t.strictSame(await outcome(client, unused.refresh_token), invalidGrant)
      t.equal((await outcome(client, used.refresh_token)).status, 200)
      service.advance(600)
      t.equal((await outcome(client, used.refresh_token)).status, 200)
      service.advance(150)
      t.strictSame(await outcome(client, used.refresh_token), invalidGrant)
    }
  )

  await t.test('OID-7: without rotation a use costs a write only now and then', async t => {
    const client = await registerPortal(service, { refresh_token_rotation: false })
    const { refresh_token } = await begin(client)
    await outcome(client, refresh_token)
    service.statements.length = 0
    await outcome(client, refresh_token)
    const changes = service.statements.filter(statement => /update refresh_tokens/.test(statement))
    t.strictSame(changes, [])
  })

  await t.test(
    'OID-7: a public client whose tokens are bound to no key is not registered without rotation',
    async t => {
      await t.rejects(
        registerPortal(service, { refresh_token_rotation: false, token_endpoint_auth_method: 'none' }),
        /refresh_token_rotation/
      )
      await registerPortal(service, {
        refresh_token_rotation: false,
        token_endpoint_auth_method: 'none',
        dpop_bound_access_tokens: true
      })
      const client = await registerPortal(service, { token_endpoint_auth_method: 'none' })
      await service.pool`update clients set refresh_token_rotation = false where client_id = ${client.client_id}`
      service.app.oidc.current().registry.clients.drop(client.client_id)
      const { refresh_token } = await begin(client)
      t.not((await refresh(service, client, refresh_token)).body.refresh_token, refresh_token, 'nor served')
    }
  )

  await t.test('OID-7: the window for a retry is the client’s', async t => {
    const none = await registerPortal(service, { refresh_token_grace_seconds: 0 })
    const first = await begin(none)
    const second = await refresh(service, none, first.refresh_token)
    service.advance(1)
    t.strictSame(await outcome(none, first.refresh_token), invalidGrant)
    t.strictSame(await outcome(none, second.body.refresh_token), invalidGrant, 'a reuse ends the grant')

    const patient = await registerPortal(service, { refresh_token_grace_seconds: 100 })
    const begun = await begin(patient)
    const next = await refresh(service, patient, begun.refresh_token)
    service.advance(99)
    const retried = await refresh(service, patient, begun.refresh_token)
    t.equal(retried.body.refresh_token, next.body.refresh_token)
    service.advance(2)
    t.strictSame(await outcome(patient, begun.refresh_token), invalidGrant)
  })

  await t.test(
    'OID-7: twenty uses at once without a window: one wins, and keeps what it was given',
    async t => {
      const client = await registerPortal(service, { refresh_token_grace_seconds: 0 })
      const first = await begin(client)
      const replies = await atOnce(20, () => refresh(service, client, first.refresh_token))
      const won = replies.filter(({ status }) => status === 200)
      t.equal(new Set(won.map(({ body }) => body.refresh_token)).size, 1)
    }
  )
})

t.test('a client’s secret', async t => {
  const service = await startService(t)
  const { ctx } = service.app
  const endsAt = Math.floor(Date.now() / 1000) + 3600
  const endings: Record<string, unknown>[] = [
    { token_endpoint_auth_method: 'client_secret_basic' },
    { token_endpoint_auth_method: 'client_secret_basic', id_token_signed_response_alg: 'HS256' }
  ]
  const visitor = await signedInVisitor(service, await registerPortal(service))
  const clients = await Promise.all(
    endings.map(async over => await registerPortal(service, { ...over, client_secret_expires_at: endsAt }))
  )
  const begun = await Promise.all(
    clients.map(async client => await obtainTokens(service, { client, visitor, params: offline }))
  )
  service.advance(3590)
  for (const [index, client] of clients.entries())
    t.equal((await refresh(service, client, begun[index]?.refresh_token)).status, 200, 'good until then')
  // Fifteen seconds are left to clocks that disagree.
  service.advance(30)

  await t.test('ends when it is registered to, with the answer that a wrong one gets', async t => {
    for (const [index, client] of clients.entries()) {
      const wrong = { ...client, client_secret: 'x'.repeat(43) }
      const [expired, guessed] = [
        await refresh(service, client, begun[index]?.refresh_token),
        await refresh(service, wrong, begun[index]?.refresh_token)
      ]
      t.equal(expired.status, 401)
      t.equal(expired.body.error, 'invalid_client')
      t.strictSame(expired.body, guessed.body)
      t.equal((await introspect(service, client, begun[index]?.access_token)).status, 401)
      t.equal((await post(service, '/revoke', { token: 'x' }, { client })).status, 401)
      t.equal((await post(service, '/par', { response_type: 'code' }, { client })).status, 401)
    }
  })

  await t.test('does not keep anybody from signing in; the code is of no use', async t => {
    const [client] = clients as [DemoClient]
    const back = callbackOf(await visitor.visit(authorizationUrl(service, client)))
    t.ok(back.searchParams.has('code'))
  })

  await t.test('can be put off by the operator', async t => {
    const [client] = clients as [DemoClient]
    const { client_id, client_secret, ...metadata } = client
    const renewed = { ...metadata, client_secret_expires_at: endsAt + daySeconds }
    t.match(await replaceClient(ctx, client_id, renewed), { ok: true, client_secret: null })
    await waitFor(async () => (await post(service, '/revoke', { token: 'x' }, { client })).status === 200)
  })
})
