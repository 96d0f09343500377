// Refresh tokens: each is good once, a retry on a bad network costs nobody anything, a theft ends the grant (RFC 9700 §4.14.2).
import t from 'tap'
import { removeClient } from '../../src/clients/service.ts'
import {
  atOnce,
  type Body,
  countStatuses,
  introspect,
  obtainTokens,
  offline,
  post,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

const invalidGrant = { status: 400, error: 'invalid_grant' }
const dayInSeconds = 86_400

t.test('a refresh token', async t => {
  const service = await startService(t)
  const client = await registerPortal(service, { token_endpoint_auth_method: 'none' })
  const confidential = await registerPortal(service, { client_name: 'Confidential' })
  const visitor = await signedInVisitor(service, client)
  const begin = async (as = client) => await obtainTokens(service, { client: as, visitor, params: offline })
  const use = async (token: string | undefined, as = client, over = {}): Promise<Body> => {
    const { status, body } = await refresh(service, as, token, over)
    if (status !== 200) throw new Error(JSON.stringify(body))
    return body
  }
  const outcome = async (token: string | undefined, as = client) => {
    const { status, body } = await refresh(service, as, token)
    return { status, error: body.error }
  }
  const living = async () => (await service.pool`select from refresh_tokens where consumed_at is null`).length

  await t.test('OID-7: is replaced at each use, also for a confidential application', async t => {
    for (const as of [client, confidential]) {
      const first = await begin(as)
      const second = await use(first.refresh_token, as)
      const third = await use(second.refresh_token, as)
      t.equal(
        new Set([first, second, third].map(({ refresh_token }) => refresh_token)).size,
        3,
        'three tokens'
      )
      t.equal((await userinfo(service, third.access_token)).status, 200)
      t.equal(third.scope, first.scope)
    }
  })

  await t.test('OID-7: a retry within ten seconds gets the same successor, and all of it works', async t => {
    const first = await begin()
    const second = await use(first.refresh_token)
    service.advance(9)
    const retried = await use(first.refresh_token)
    t.equal(retried.refresh_token, second.refresh_token)
    t.not(retried.access_token, second.access_token)
    for (const { access_token } of [first, second, retried])
      t.equal((await userinfo(service, access_token)).status, 200)
    const third = await use(retried.refresh_token)
    t.equal((await use(third.refresh_token)).token_type, 'Bearer')
  })

  for (const count of [2, 20])
    await t.test(`OID-7: ${count} uses at once make one family, and each gets a working answer`, async t => {
      await service.pool`delete from refresh_tokens`
      const first = await begin()
      const replies = await atOnce(count, () => refresh(service, client, first.refresh_token))
      t.strictSame(countStatuses(replies), { 200: count })
      t.equal(new Set(replies.map(({ body }) => body.refresh_token)).size, 1, 'one successor')
      t.equal(await living(), 1, 'one family')
      for (const { body } of replies) t.equal((await userinfo(service, body.access_token)).status, 200)
      t.equal((await outcome(replies[0]?.body.refresh_token)).status, 200)
    })

  await t.test('OID-7: used again after the window it ends the grant, for thief and owner alike', async t => {
    const first = await begin()
    const second = await use(first.refresh_token)
    const third = await use(second.refresh_token)
    service.advance(11)
    t.strictSame(await outcome(first.refresh_token), invalidGrant)
    t.strictSame(await outcome(third.refresh_token), invalidGrant)
    for (const { access_token } of [first, second, third])
      t.equal((await userinfo(service, access_token)).status, 401)
    t.strictSame(await outcome(first.refresh_token), invalidGrant, 'and once more')
  })

  await t.test('OID-7: twenty late reuses at once: none gets anything', async t => {
    const first = await begin()
    const second = await use(first.refresh_token)
    service.advance(11)
    const replies = await atOnce(20, () => refresh(service, client, first.refresh_token))
    t.strictSame(countStatuses(replies), { 400: 20 })
    t.strictSame(await outcome(second.refresh_token), invalidGrant)
  })

  await t.test('OID-7: belongs to its application', async t => {
    const first = await begin()
    t.strictSame(await outcome(first.refresh_token, confidential), invalidGrant)
    t.equal((await outcome(first.refresh_token)).status, 200, 'which it still serves')
    const own = await begin(confidential)
    const unauthenticated = await post(service, '/token', {
      grant_type: 'refresh_token',
      refresh_token: own.refresh_token,
      client_id: confidential.client_id
    })
    t.equal(unauthenticated.status, 401)
    const wrongSecret = await refresh(service, { ...confidential, client_secret: 'x' }, own.refresh_token)
    t.equal(wrongSecret.status, 401)
    t.equal((await outcome(own.refresh_token, confidential)).status, 200)
  })

  await t.test('OID-7: asks for less, never for more', async t => {
    const first = await begin()
    const wider = await refresh(service, client, first.refresh_token, { scope: 'openid email phone' })
    t.equal(wider.body.error, 'invalid_scope')
    const narrow = await use(first.refresh_token, client, { scope: 'openid' })
    t.equal(narrow.scope, 'openid')
    // RFC 6749 §6: the refresh token itself keeps the scope that it was given.
    t.equal((await use(narrow.refresh_token)).scope, first.scope)
  })

  await t.test('OID-7: a failed attempt does not spend it', async t => {
    const first = await begin()
    t.equal((await refresh(service, client, first.refresh_token, { scope: 'openid nope' })).status, 400)
    t.equal((await refresh(service, client, first.refresh_token, { resource: 'urn:demo:api' })).status, 400)
    service.advance(11)
    t.equal((await outcome(first.refresh_token)).status, 200)
  })

  await t.test('OID-7: needs the grant: taken back, it is over', async t => {
    const first = await begin()
    await service.pool`delete from grants where client_id = ${client.client_id}`
    t.strictSame(await outcome(first.refresh_token), invalidGrant)
  })

  await t.test('OID-7: a disabled account gets no more tokens, enabled again it does', async t => {
    const first = await begin()
    await service.pool`update accounts set disabled_at = ${new Date()}`
    t.strictSame(await outcome(first.refresh_token), invalidGrant)
    t.equal((await userinfo(service, first.access_token)).status, 401)
    t.strictSame((await introspect(service, confidential, first.access_token)).body, { active: false })
    await service.pool`update accounts set disabled_at = null`
    t.equal((await outcome(first.refresh_token)).status, 200)
  })

  await t.test('OID-7: a removed application gets no more tokens within a second', async t => {
    const removed = await registerPortal(service, { client_name: 'Removed' })
    const first = await begin(removed)
    await removeClient(service.app.ctx, removed.client_id)
    const started = performance.now()
    await waitFor(async () => (await outcome(first.refresh_token, removed)).status === 401)
    t.ok(performance.now() - started < 1000)
  })

  await t.test('OID-7: chars off by one are nobody’s', async t => {
    const { refresh_token: token = '' } = await begin()
    const other = `${token.slice(0, -1)}${token.endsWith('A') ? 'B' : 'A'}`
    t.strictSame(await outcome(other), invalidGrant)
    t.strictSame(await outcome(undefined), { status: 400, error: 'invalid_request' })
    t.equal((await outcome(token)).status, 200)
  })

  await t.test('OID-7: unused for 14 days it ends; used, the chain ends after 90 days', async t => {
    const idle = await begin()
    let current = await begin()
    for (let day = 13; day < 90; day += 13) {
      service.advance(13 * dayInSeconds)
      current = await use(current.refresh_token)
      if (day === 13) t.equal((await outcome(idle.refresh_token)).status, 200)
      if (day === 26) t.strictSame(await outcome(idle.refresh_token), invalidGrant)
    }
    // Day 78 now: the last one is good until day 90 and not for 14 days more.
    service.advance(11.9 * dayInSeconds)
    current = await use(current.refresh_token)
    service.advance(0.2 * dayInSeconds)
    t.strictSame(await outcome(current.refresh_token), invalidGrant)
  })
})

t.test(
  'OID-7: the evidence of a use is in the database: another node knows it, and so does a restart',
  async t => {
    const service = await startService(t, { nodes: 2 })
    const client = await registerPortal(service)
    const visitor = await signedInVisitor(service, client)
    const first = await obtainTokens(service, { client, visitor, params: offline })
    const second = (await refresh(service, client, first.refresh_token)).body
    // Nothing of a node's memory is left: what answers now has read it all from the database.
    for (const app of service.apps) await app.oidc.reload()
    service.advance(11)
    t.equal((await refresh(service, client, first.refresh_token)).body.error, 'invalid_grant')
    t.equal((await refresh(service, client, second.refresh_token)).body.error, 'invalid_grant')
  }
)
