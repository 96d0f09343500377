// A workload gets its client's token for one of its own issuer's (RFC 7523 §2.1), and every way to pretend to be one.
import { createHmac, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import type { WorkloadInput } from '../../src/clients/workload-model.ts'
import { removeWorkload, trustWorkload } from '../../src/clients/workload-service.ts'
import { removeExpired } from '../../src/jobs/retention-service.ts'
import { protocolRetention } from '../../src/oidc/retention-service.ts'
import { createApplication, openid } from '../helpers/application.ts'
import { startIssuer, subject } from '../helpers/issuer.ts'
import { signJws } from '../helpers/jws.ts'
import { atOnce, countStatuses, introspect, post, readJwt } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const grantType = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const api = 'urn:test:api'

t.test('the JWT bearer grant', async t => {
  const service = await startService(t, { environment: { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8,::1' } })
  const { ctx } = service.app
  const issuer = await startIssuer(t, service.issuer)
  await registerResource(ctx, { identifier: api, scopes: ['deploy', 'read'] })
  await registerResource(ctx, { identifier: 'urn:test:other', scopes: ['read'] })
  const register = async (over: Record<string, unknown> = {}) =>
    await service.register({
      client_name: 'Deployment',
      grant_types: [grantType],
      token_endpoint_auth_method: 'none',
      resources: [api],
      scope: 'deploy',
      ...over
    })
  const client = await register()
  const trust = async (over: Partial<WorkloadInput> = {}) => {
    const outcome = await trustWorkload(ctx, {
      clientId: client.client_id,
      issuer: issuer.url,
      audience: null,
      subject,
      claims: {},
      jwks: null,
      reusable: false,
      ...over
    })
    if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults))
    return outcome.workload
  }
  const present = async (assertion: string, over: Record<string, string | undefined> = {}, as = client) =>
    await post(service, '/token', { grant_type: grantType, assertion, ...over }, { client: as })
  const isRefused = async (title: string, assertion: string) => {
    const { status, body } = await present(assertion)
    t.match({ status, body }, { status: 400, body: { error: 'invalid_grant' } }, title)
    t.equal(body.error_description, 'grant request is invalid', title)
    t.equal(body.access_token, undefined, title)
  }
  const workload = await trust()

  await t.test(
    'RFC 7523 §2.1: a workload gets a token of its client, as openid-client asks for it',
    async t => {
      const { config } = await createApplication(service, { ...client, redirect_uris: [] })
      const assertion = await issuer.sign()
      const answer = await openid.genericGrantRequest(config, grantType, { assertion, resource: api })
      t.match(answer, { token_type: 'bearer', scope: undefined })
      t.equal(answer.refresh_token, undefined)
      t.match(readJwt(answer.access_token).payload, {
        iss: service.issuer,
        sub: client.client_id,
        client_id: client.client_id,
        aud: api
      })
      const scoped = await present(await issuer.sign(), { resource: api, scope: 'deploy read' })
      t.equal(scoped.body.scope, 'deploy', 'no more than the client may have')
      const opaque = await present(await issuer.sign())
      t.notMatch(opaque.body.access_token, /\./)
      const events = await service.pool`
      select client_id, details from audit_events where type = 'workload.token_issued' order by id`
      t.equal(events.length, 3)
      t.match(events[0], {
        clientId: client.client_id,
        details: { workload: workload.id, issuer: issuer.url, subject, audience: api }
      })
      t.notOk(JSON.stringify(events).includes(assertion.split('.')[2] ?? ''))
    }
  )

  await t.test('TOK-2: for its own resources alone, one at a time', async t => {
    for (const resource of ['urn:test:other', 'urn:nobody'])
      t.equal((await present(await issuer.sign(), { resource })).body.error, 'invalid_target')
    const assertion = await issuer.sign()
    const two = new URLSearchParams({
      grant_type: grantType,
      assertion,
      client_id: client.client_id,
      resource: api
    })
    two.append('resource', 'urn:test:other')
    t.equal((await post(service, '/token', two)).body.error, 'invalid_target')
    t.equal((await present(assertion, { resource: api })).status, 200, 'and that did not spend the assertion')
  })

  await t.test('an assertion is taken once, of twenty at once by one', async t => {
    const assertion = await issuer.sign()
    t.strictSame(countStatuses(await atOnce(20, () => present(assertion))), { 200: 1, 400: 19 })
    await isRefused('again', assertion)
    const unnamed = await issuer.sign({ jti: undefined })
    t.strictSame(
      countStatuses(await atOnce(20, () => present(unnamed))),
      { 200: 1, 400: 19 },
      'without jti, too'
    )
    const jti = crypto.randomUUID()
    t.equal((await present(await issuer.sign({ jti }))).status, 200)
    await isRefused(
      'another one of that name',
      await issuer.sign({ jti, exp: Math.floor(Date.now() / 1000) + 301 })
    )
    const nearEnd = await issuer.sign()
    t.equal((await present(nearEnd)).status, 200)
    service.advance(325)
    await removeExpired(ctx, protocolRetention)
    await isRefused('in the last second in which it would be believed', nearEnd)
  })

  await t.test('TOK-1: an assertion is believed only with a signature of its issuer', async () => {
    const good = await issuer.sign()
    const { header, payload } = readJwt(good)
    const [protectedPart = '', claimsPart = '', signature = ''] = good.split('.')
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const jwk = stranger.publicKey.export({ format: 'jwk' })
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const hmac = (secret: string) => {
      const input = `${part({ ...header, alg: 'HS256' })}.${claimsPart}`
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
    }
    const byStranger = (over: object) => signJws({ ...header, ...over }, payload, stranger.privateKey)
    const forged: Record<string, string> = {
      none: `${part({ ...header, alg: 'none' })}.${claimsPart}.`,
      'no signature': `${protectedPart}.${claimsPart}.`,
      'a signature off by one': `${protectedPart}.${claimsPart}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`,
      'other claims': `${protectedPart}.${part({ ...payload, jti: 'x' })}.${signature}`,
      'HS256 with the public key': hmac(JSON.stringify(issuer.keys()[0])),
      "a stranger's signature": byStranger({}),
      'a key of its own': byStranger({ jwk }),
      'a key of its own, unnamed': byStranger({ jwk, kid: undefined }),
      'a key set of its own': byStranger({ jku: `${issuer.url}/keys`, kid: 'x' }),
      'a certificate of its own': byStranger({ x5u: `${issuer.url}/x`, x5c: ['MII'], kid: 'x' }),
      'an extension that nobody knows': byStranger({ crit: ['x'], x: 1 }),
      'no JWT': 'x',
      'an encrypted one': 'a.b.c.d.e',
      'nothing in it': `${protectedPart}.${part({})}.${signature}`
    }
    for (const [title, assertion] of Object.entries(forged)) await isRefused(title, assertion)
    t.equal((await present(good)).status, 200, 'the true one still passes')
  })

  await t.test('RFC 7523 §3: an assertion is for us, of its time, and of no other kind', async () => {
    const now = Math.floor(Date.now() / 1000)
    const wrong: Record<string, [Record<string, unknown>, Record<string, unknown>?]> = {
      'for another server': [{ aud: 'https://elsewhere.example' }],
      'for nobody': [{ aud: undefined }],
      'almost for us': [{ aud: `${service.issuer}/` }],
      'for our page of keys': [{ aud: `${service.issuer}/jwks` }],
      expired: [{ exp: now - 60 }],
      'without end': [{ exp: undefined }],
      'for too long': [{ exp: now + 7200 }],
      'for ever': [{ exp: 1e300 }],
      'not yet good': [{ nbf: now + 120 }],
      'from the future': [{ iat: now + 120 }],
      'without a subject': [{ sub: undefined }],
      'with a number for a subject': [{ sub: 7 }],
      'of another issuer': [{ iss: 'https://elsewhere.example' }],
      'of almost that issuer': [{ iss: `${issuer.url}/` }],
      'an access token': [{}, { typ: 'at+jwt' }],
      'a logout token': [{}, { typ: 'logout+jwt' }],
      'about another branch': [{ sub: 'repo:acme/app:ref:refs/heads/evil' }],
      'about a longer name': [{ sub: `${subject}-2` }],
      'about one in capitals': [{ sub: subject.toUpperCase() }]
    }
    for (const [title, [claims, header]] of Object.entries(wrong))
      await isRefused(title, await issuer.sign(claims, header))
    for (const aud of [`${service.issuer}/token`, [service.issuer, 'https://elsewhere.example']])
      t.equal((await present(await issuer.sign({ aud }))).status, 200, String(aud))
    t.equal(
      (await present(await issuer.sign({ nbf: now + 20, iat: now + 20 }))).status,
      200,
      'a clock that is off'
    )
    t.equal((await present(await issuer.sign({}, { typ: undefined }))).status, 200, 'no type')
  })

  await t.test('TOK-1: signatures of the algorithms of our list', async () => {
    for (const alg of ['ES384', 'RS256', 'PS256', 'EdDSA', 'ES256']) {
      await issuer.rotate(alg)
      service.advance(31)
      t.equal((await present(await issuer.sign())).status, 200, alg)
    }
    for (const alg of ['ES512', 'RS512', 'PS384']) {
      await issuer.rotate(alg)
      service.advance(31)
      await isRefused(alg, await issuer.sign())
    }
    await issuer.rotate()
    service.advance(31)
  })

  await t.test('rules are of one client, and two that fit are none', async () => {
    const other = await register({ client_name: 'Other' })
    const assertion = await issuer.sign()
    t.equal((await present(assertion, {}, other)).body.error, 'invalid_grant', "another client's rule")
    const overlapping = await trust({ clientId: other.client_id, subject: 'repo:acme/app:ref:refs/heads/*' })
    for (const as of [client, other])
      t.equal((await present(await issuer.sign(), {}, as)).body.error, 'invalid_grant', 'ambiguous')
    const sub = 'repo:acme/app:ref:refs/heads/next'
    t.equal((await present(await issuer.sign({ sub }), {}, other)).status, 200, 'where one fits it is good')
    await removeWorkload(ctx, overlapping.id)
    t.equal((await present(assertion)).status, 200)
  })

  await t.test('claims decide, and a rule may name an audience and allow reuse', async () => {
    const workload = await trust({
      subject: null,
      claims: { repository_id: ['42', '43'], environment: ['production'] },
      audience: 'urn:for:gatehouse',
      reusable: true
    })
    const claims = { sub: 'anything', aud: 'urn:for:gatehouse', repository_id: 42, environment: 'production' }
    const assertion = await issuer.sign(claims)
    for (const time of ['once', 'twice']) t.equal((await present(assertion)).status, 200, time)
    const wrong: Record<string, object> = {
      'another value': { repository_id: 44 },
      'one that begins so': { environment: 'production-2' },
      'a list with it': { environment: ['production'] },
      'no such claim': { environment: undefined },
      'another audience': { aud: service.issuer }
    }
    for (const [title, over] of Object.entries(wrong))
      await isRefused(title, await issuer.sign({ ...claims, ...over }))
    await removeWorkload(ctx, workload.id)
    await isRefused('a rule that is gone', await issuer.sign(claims))
  })

  await t.test('only clients that are registered for it, with their secret where they have one', async t => {
    const noGrant = await service.register({ client_name: 'Plain', grant_types: ['client_credentials'] })
    t.equal((await present(await issuer.sign(), {}, noGrant)).body.error, 'invalid_request')
    const secretive = await register({ token_endpoint_auth_method: 'client_secret_basic' })
    const rule = await trust({ clientId: secretive.client_id, subject: 'secretive' })
    const assertion = await issuer.sign({ sub: 'secretive' })
    const { client_secret: _secret, ...bare } = secretive
    t.equal((await present(assertion, {}, bare)).status, 401)
    t.equal((await present(assertion, {}, { ...secretive, client_secret: 'x' })).status, 401)
    t.equal((await present(assertion, {}, secretive)).status, 200)
    await removeWorkload(ctx, rule.id)
    t.equal((await present('', {})).body.error, 'invalid_request')
    const noClient = await post(service, '/token', { grant_type: grantType, assertion: await issuer.sign() })
    t.equal(noClient.status, 400)
  })

  await t.test('OID-13: its tokens are introspected and revoked by the API and by themselves', async t => {
    const guard = await service.register({
      client_name: 'API',
      grant_types: ['client_credentials'],
      resources: [api],
      introspection: true
    })
    const { body } = await present(await issuer.sign(), { resource: api })
    t.match((await introspect(service, guard, body.access_token)).body, {
      active: true,
      sub: client.client_id
    })
    await service.pool`delete from clients where client_id = ${client.client_id}`
    service.app.oidc.current().registry.clients.drop()
    t.strictSame((await introspect(service, guard, body.access_token)).body, { active: false })
    t.equal((await service.pool`select from workloads`).length, 0, 'and its rules are gone with it')
  })
})
