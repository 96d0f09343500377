// A code is good once, for a minute, for the application, place and verifier that it was made for (RFC 6749 §4.1.2).
import t from 'tap'
import {
  atOnce,
  beginPost,
  type Code,
  countStatuses,
  introspect,
  obtainCode,
  offline,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo,
  whileLocked
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('an authorization code', async t => {
  const service = await startService(t)
  const client = await registerPortal(service, {
    redirect_uris: ['https://portal.example/callback', 'https://portal.example/other']
  })
  const visitor = await signedInVisitor(service, client)
  const ask = async (params = {}) => await obtainCode(service, { client, visitor, params })

  const refused = async (code: Code, over: Record<string, string | undefined>, as = client) => {
    const { status, body } = await redeem(service, as, code, over)
    return { status, error: body.error }
  }
  const invalidGrant = { status: 400, error: 'invalid_grant' }

  for (const count of [20, 50])
    await t.test(`OID-2: of ${count} redemptions at once one gets tokens`, async t => {
      const code = await ask(offline)
      const replies = await atOnce(count, () => redeem(service, client, code))
      t.strictSame(countStatuses(replies), { 200: 1, 400: count - 1 })
      for (const { status, body } of replies) if (status === 400) t.equal(body.error, 'invalid_grant')
      t.ok((await service.pool`select from refresh_tokens where consumed_at is null`).length <= 1)
      await service.pool`delete from refresh_tokens`
    })

  await t.test('OID-2: losing a race costs the winner nothing', async t => {
    const code = await ask(offline)
    // A locked table holds all of them at their start, so that each is under way when one of them wins.
    const replies = await whileLocked(service, 'oidc_artifacts', {
      count: 20,
      work: () => redeem(service, client, code)
    })
    t.strictSame(countStatuses(replies), { 200: 1, 400: 19 })
    const winner = replies.find(({ status }) => status === 200)?.body
    t.equal((await userinfo(service, winner?.access_token)).status, 200)
    t.equal((await refresh(service, client, winner?.refresh_token)).status, 200)
  })

  await t.test('OID-2: also when the loser is read after the winner is done', async t => {
    const code = await ask(offline)
    const slow = await beginPost(service, '/token', {
      client,
      fields: {
        grant_type: 'authorization_code',
        code: code.code,
        redirect_uri: code.redirectUri,
        code_verifier: code.verifier
      }
    })
    const winner = await redeem(service, client, code)
    t.equal(winner.status, 200)
    t.equal(await slow.finish(), 400)
    t.equal((await userinfo(service, winner.body.access_token)).status, 200)
    t.equal((await refresh(service, client, winner.body.refresh_token)).status, 200)
  })

  await t.test('OID-2: used again later it is refused, and all that it gave is revoked', async t => {
    const code = await ask(offline)
    const { body } = await redeem(service, client, code)
    const refreshed = (await refresh(service, client, body.refresh_token)).body
    t.equal((await userinfo(service, refreshed.access_token)).status, 200)

    t.strictSame(await refused(code, {}), invalidGrant)
    t.equal((await userinfo(service, body.access_token)).status, 401)
    t.equal((await userinfo(service, refreshed.access_token)).status, 401)
    t.strictSame((await introspect(service, client, refreshed.access_token)).body, { active: false })
    t.equal((await refresh(service, client, refreshed.refresh_token)).body.error, 'invalid_grant')
    t.strictSame(await refused(code, {}), invalidGrant, 'and once more')
  })

  await t.test('OID-3: it belongs to its application, redirect URI and verifier', async t => {
    const other = await registerPortal(service, { client_name: 'Other' })
    const code = await ask()
    t.strictSame(await refused(code, {}, other), invalidGrant, 'another application')
    t.strictSame(
      await refused(code, { redirect_uri: 'https://portal.example/other' }),
      invalidGrant,
      'another URI of the same application'
    )
    t.strictSame(await refused(code, { redirect_uri: `${code.redirectUri}/` }), invalidGrant)
    t.strictSame(
      await refused(code, { redirect_uri: undefined }),
      { status: 400, error: 'invalid_request' },
      'no redirect URI'
    )
    const almost = `${code.verifier.slice(0, -1)}${code.verifier.endsWith('A') ? 'B' : 'A'}`
    t.strictSame(await refused(code, { code_verifier: almost }), invalidGrant, 'one character off')
    t.strictSame(await refused(code, { code_verifier: undefined }), invalidGrant, 'no verifier')
    const offByOne = `${code.code.slice(0, -1)}${code.code.endsWith('A') ? 'B' : 'A'}`
    t.strictSame(await refused({ ...code, code: offByOne }, {}), invalidGrant)
    // None of these spent it: guessing at another's code must not rob its owner.
    t.equal((await redeem(service, client, code)).status, 200)
  })

  await t.test('OID-3: it is good for 60 seconds', async t => {
    const inTime = await ask()
    const late = await ask()
    service.advance(58)
    t.equal((await redeem(service, client, inTime)).status, 200)
    service.advance(3)
    t.strictSame(await refused(late, {}), invalidGrant)
  })

  await t.test('it is worth nothing once its session, account or grant has ended', async t => {
    const code = await ask()
    await service.pool`delete from sessions`
    t.strictSame(await refused(code, {}), invalidGrant)

    const cutOff = await ask({ prompt: undefined }).catch(() => null)
    t.equal(cutOff, null, 'the browser is asked to sign in again')
  })
})
