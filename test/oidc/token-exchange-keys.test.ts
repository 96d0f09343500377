// Tokens that are bound to a key, exchanged (RFC 9449, RFC 8705), and what ends a token that was made by exchange.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import t from 'tap'
import { createApplication, openid } from '../helpers/application.ts'
import { back, exchange, front, opaque, registerParts, tokenType } from '../helpers/exchange.ts'
import { signJws } from '../helpers/jws.ts'
import {
  atOnce,
  countStatuses,
  introspect,
  post,
  refresh,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('token exchange with keys, and the life of its tokens', async t => {
  const service = await startService(t)
  const { app, gateway, registerGateway, policy, obtain } = await registerParts(service)
  const visitor = await signedInVisitor(service, app)
  type Key = { publicKey: KeyObject; privateKey: KeyObject }
  const createKey = (): Key => generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const proofOf = ({ publicKey, privateKey }: Key, jti: string = crypto.randomUUID()) => {
    const header = { typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }) }
    const iat = Math.floor(Date.now() / 1000)
    return { dpop: signJws(header, { htm: 'POST', htu: `${service.issuer}/token`, iat, jti }, privateKey) }
  }
  const jktOf = async (token: string | undefined, as = gateway) =>
    ((await introspect(service, as, token)).body.cnf as { jkt?: string } | undefined)?.jkt
  /** Of a person, bound to a key by the application that they signed in to. */
  const bound = async (key: Key, resource = front) => {
    const { config, begin } = await createApplication(service, app)
    const handle = openid.getDPoPHandle(config, {
      privateKey: await subtleKey(key.privateKey, 'sign'),
      publicKey: await subtleKey(key.publicKey, 'verify')
    })
    const { url, finish } = await begin({ scope: 'read see', resource, prompt: '' })
    return (await finish((await visitor.visit(url)).location, { DPoP: handle })).access_token
  }
  const ownBound = async (client: typeof gateway, key: Key) => {
    const ask = { grant_type: 'client_credentials', resource: front }
    return (await post(service, '/token', ask, { client, headers: proofOf(key) })).body.access_token
  }

  await t.test(
    'RFC 9449: the result is bound to the key that the exchanging client proves to have',
    async t => {
      const subject_token = (await obtain(visitor, { scope: 'openid read', resource: front })).access_token
      for (const audience of [back, opaque]) {
        const key = createKey()
        const { body } = await exchange(service, gateway, { subject_token, audience, headers: proofOf(key) })
        t.equal(body.token_type, 'DPoP')
        t.equal(typeof (await jktOf(body.access_token)), 'string')
      }
      const strict = await registerGateway(policy, { dpop_bound_access_tokens: true })
      const { status } = await exchange(service, strict, { subject_token, audience: back })
      t.equal(status, 400, 'and a client that must have one gets nothing without')
    }
  )

  await t.test('RFC 9449: a bound token never becomes one that anybody may use', async t => {
    for (const resource of [front, opaque]) {
      const subject_token = await bound(createKey(), resource)
      t.type(await jktOf(subject_token), 'string')
      const without = await exchange(service, gateway, { subject_token, audience: back })
      t.match(without, { status: 400, body: { error: 'invalid_request' } })
      const key = createKey()
      const ask = { subject_token, audience: back, headers: proofOf(key) }
      const { body } = await exchange(service, gateway, ask)
      t.not(await jktOf(body.access_token), await jktOf(subject_token), 'the guard has a key of its own')
      t.equal(body.token_type, 'DPoP')
    }
  })

  await t.test('RFC 9449: a client that stole a bound token of its own kind cannot exchange it', async t => {
    const self = await registerGateway(policy)
    const ownPolicy = { ...policy, subject_clients: [self.client_id] }
    await service.pool`update clients set token_exchange = ${service.pool.json(ownPolicy)} where client_id = ${self.client_id}`
    service.app.oidc.current().registry.clients.drop()
    const key = createKey()
    const subject_token = await ownBound(self, key)
    for (const headers of [undefined, proofOf(createKey())]) {
      const ask = { subject_token, audience: back, ...(headers === undefined ? {} : { headers }) }
      t.equal((await exchange(service, self, ask)).status, 400)
    }
    t.equal(
      (await exchange(service, self, { subject_token, audience: back, headers: proofOf(key) })).status,
      200
    )
    const person = (await obtain(visitor, { scope: 'openid read', resource: front })).access_token
    const actor = { actor_token: await ownBound(gateway, key), actor_token_type: tokenType('access_token') }
    const ask = { subject_token: person, audience: back, ...actor }
    t.equal((await exchange(service, gateway, ask)).status, 400, 'nor act by one')
    t.equal((await exchange(service, gateway, { ...ask, headers: proofOf(key) })).status, 200)
  })

  await t.test('RFC 9449 §11.1: of twenty at once with one proof, one gets a token', async t => {
    const subject_token = (await obtain(visitor, { scope: 'openid read', resource: front })).access_token
    const headers = proofOf(createKey())
    const replies = await atOnce(20, () =>
      exchange(service, gateway, { subject_token, audience: opaque, headers })
    )
    t.strictSame(countStatuses(replies), { 200: 1, 400: 19 })
  })

  await t.test("revoking a token by exchange leaves the person's sign-in alone", async t => {
    const params = { scope: 'openid offline_access read', prompt: 'consent', resource: front }
    const tokens = await obtain(visitor, params)
    for (const audience of [back, opaque]) {
      const { body } = await exchange(service, gateway, { subject_token: tokens.access_token, audience })
      const token = body.access_token
      await post(service, '/revoke', { token }, { client: app })
      t.match((await introspect(service, gateway, token)).body, { active: true }, 'the application cannot')
      await post(service, '/revoke', { token }, { client: gateway })
      t.strictSame((await introspect(service, gateway, token)).body, { active: false })
    }
    t.equal((await introspect(service, gateway, tokens.access_token)).body.active, true)
    t.equal((await refresh(service, app, tokens.refresh_token)).status, 200)
  })

  await t.test('a token by exchange ends with the grant that the person gave', async t => {
    const params = { scope: 'openid offline_access read', prompt: 'consent', resource: front }
    const { access_token: subject_token, refresh_token: token } = await obtain(visitor, params)
    const made = await Promise.all(
      [back, opaque].map(
        async audience => (await exchange(service, gateway, { subject_token, audience })).body
      )
    )
    await post(service, '/revoke', { token }, { client: app })
    for (const { access_token } of made)
      t.strictSame((await introspect(service, gateway, access_token)).body, { active: false })
  })

  await t.test('… also where that grant is all that went', async t => {
    const { access_token: subject_token } = await obtain(visitor, { scope: 'openid read', resource: front })
    const { body } = await exchange(service, gateway, { subject_token, audience: opaque })
    t.match((await introspect(service, gateway, body.access_token)).body, { active: true })
    await service.pool`update grants set payload = payload || '{"exp": 1}'`
    t.strictSame((await introspect(service, gateway, body.access_token)).body, { active: false })
    await service.pool`delete from grants`
    t.strictSame((await introspect(service, gateway, body.access_token)).body, { active: false })
  })

  await t.test('an opaque token by exchange ends with the session that its first one ends with', async t => {
    const { access_token: subject_token } = await obtain(visitor, { scope: 'openid see', resource: opaque })
    const { body } = await exchange(service, gateway, { subject_token, audience: opaque })
    const again = await exchange(
      service,
      await registerGateway({ ...policy, subject_clients: [gateway.client_id] }),
      { subject_token: body.access_token, audience: opaque }
    )
    t.equal(again.status, 200)
    t.match((await introspect(service, gateway, body.access_token)).body, { active: true })
    await service.pool`delete from sessions`
    for (const token of [subject_token, body.access_token, again.body.access_token])
      t.strictSame((await introspect(service, gateway, token)).body, { active: false })
    t.equal((await userinfo(service, body.access_token)).status >= 400, true)
  })

  await t.test('an account that is disabled or cut off has no tokens by exchange either', async t => {
    const other = await signedInVisitor(service, app, { email: 'bob@example.org' })
    const { access_token: subject_token } = await obtain(other, { scope: 'openid read', resource: front })
    const made = await Promise.all(
      [back, opaque].map(
        async audience => (await exchange(service, gateway, { subject_token, audience })).body
      )
    )
    const areActive = async () =>
      await Promise.all(
        made.map(async ({ access_token }) => (await introspect(service, gateway, access_token)).body.active)
      )
    t.strictSame(await areActive(), [true, true])
    await service.pool`update accounts set disabled_at = now() where email_key = 'bob@example.org'`
    t.strictSame(await areActive(), [false, false])
    await service.pool`update accounts set disabled_at = null, tokens_valid_from = now() + interval '1 minute'`
    t.strictSame(await areActive(), [false, false])
  })
})

const subtleKey = async (key: KeyObject, usage: 'sign' | 'verify') =>
  await crypto.subtle.importKey(
    'jwk',
    key.export({ format: 'jwk' }) as never,
    { name: 'ECDSA', namedCurve: 'P-256' },
    true,
    [usage]
  )
