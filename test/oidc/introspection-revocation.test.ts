// Who may look at a token, and who may end it (RFC 7662, RFC 7009).
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import { removeClient } from '../../src/clients/service.ts'
import {
  clientOf,
  introspect,
  obtainCode,
  obtainTokens,
  offline,
  post,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

const inactive = { active: false }

t.test('introspection and revocation', async t => {
  const service = await startService(t)
  for (const identifier of ['urn:opaque:api', 'urn:other:api'])
    await registerResource(service.app.ctx, { identifier, scopes: ['read'], accessTokenFormat: 'opaque' })
  const client = await registerPortal(service, {
    scope: 'openid email offline_access read',
    resources: ['urn:opaque:api', 'urn:other:api']
  })
  const stranger = await registerPortal(service, { client_name: 'Stranger' })
  const guard = async (resources: string[], introspection = true) =>
    await service.register({
      client_name: 'API',
      grant_types: ['client_credentials'],
      scope: 'read',
      resources,
      introspection
    })
  const api = await guard(['urn:opaque:api'])
  const otherApi = await guard(['urn:other:api'])
  const visitor = await signedInVisitor(service, client)
  const own = async () => await obtainTokens(service, { client, visitor, params: offline })
  const forApi = async () =>
    await obtainTokens(service, { client, visitor, params: { scope: 'read', resource: 'urn:opaque:api' } })

  await t.test('OID-13: an application sees its own tokens', async t => {
    const tokens = await own()
    const access = await introspect(service, client, tokens.access_token)
    t.match(access.body, {
      active: true,
      client_id: client.client_id,
      token_type: 'Bearer',
      iss: service.issuer,
      scope: tokens.scope
    })
    t.equal(access.body.sub?.length, 36)
    t.match((await introspect(service, client, tokens.refresh_token)).body, { active: true })
    t.equal(access.headers.get('cache-control'), 'no-store')
  })

  await t.test('OID-13: the tokens of a client that was removed are worth nothing', async t => {
    const gone = await service.register({
      client_name: 'Gone',
      grant_types: ['client_credentials'],
      scope: 'read',
      resources: ['urn:opaque:api']
    })
    const asked = { grant_type: 'client_credentials', resource: 'urn:opaque:api' }
    const { access_token } = (await post(service, '/token', asked, { client: gone })).body
    t.match((await introspect(service, api, access_token)).body, { active: true, client_id: gone.client_id })
    await removeClient(service.app.ctx, gone.client_id)
    await waitFor(
      async () => (await service.app.oidc.current().registry.clients.find(gone.client_id)) === undefined
    )
    t.strictSame((await introspect(service, api, access_token)).body, inactive)
  })

  await t.test('OID-13: nobody else does, and is told nothing at all', async t => {
    const tokens = await own()
    for (const token of [tokens.access_token, tokens.refresh_token])
      for (const other of [stranger, api, otherApi])
        t.strictSame((await introspect(service, other, token)).body, inactive)
    t.equal((await userinfo(service, tokens.access_token)).status, 200, 'and it lives on')
  })

  await t.test('OID-13: a resource sees the tokens that are for it, and only those', async t => {
    const { access_token } = await forApi()
    t.match((await introspect(service, api, access_token)).body, {
      active: true,
      aud: 'urn:opaque:api',
      client_id: client.client_id,
      scope: 'read'
    })
    t.strictSame((await introspect(service, otherApi, access_token)).body, inactive)
    const notRegisteredFor = await guard(['urn:opaque:api'], false)
    t.strictSame((await introspect(service, notRegisteredFor, access_token)).body, inactive)
  })

  await t.test('OID-13: inactive is {"active":false} and nothing more, whatever the reason', async t => {
    const { access_token = '', refresh_token } = await own()
    const offByOne = `${access_token.slice(0, -1)}${access_token.endsWith('A') ? 'B' : 'A'}`
    for (const token of ['x', offByOne, 'x'.repeat(20_000), '\u0000', 'é', readableJwt])
      t.strictSame((await introspect(service, client, token)).body, inactive, token.slice(0, 20))
    await refresh(service, client, refresh_token)
    service.advance(11)
    // Looking at a used refresh token is not using it: nobody is signed out by that.
    t.strictSame((await introspect(service, client, refresh_token)).body, inactive)
    t.equal((await userinfo(service, access_token)).status, 200)
    service.advance(600)
    t.strictSame((await introspect(service, client, access_token)).body, inactive, 'expired')
  })

  await t.test('OID-13: without a secret, or with a wrong one, nothing is answered', async t => {
    const { access_token: token } = await own()
    for (const path of ['/introspect', '/revoke']) {
      t.equal((await post(service, path, { token })).status, 400, 'no client')
      t.equal((await post(service, path, { token, client_id: client.client_id })).status, 401, 'no secret')
      const wrong = await post(service, path, { token }, { client: { ...client, client_secret: 'x' } })
      t.equal(wrong.status, 401)
      t.match(wrong.headers.get('www-authenticate'), /^Basic /)
    }
    t.equal((await introspect(service, client, undefined)).body.error, 'invalid_request')
    t.equal((await userinfo(service, token)).status, 200)
  })

  await t.test('OID-13: a revoked refresh token takes its access tokens along', async t => {
    const tokens = await own()
    const { status, text } = await post(service, '/revoke', { token: tokens.refresh_token }, { client })
    t.equal(status, 200)
    t.equal(text, '')
    t.equal((await refresh(service, client, tokens.refresh_token)).body.error, 'invalid_grant')
    t.equal((await userinfo(service, tokens.access_token)).status, 401)
    t.strictSame((await introspect(service, client, tokens.access_token)).body, inactive)
  })

  await t.test('OID-13: a revoked access token is dead at once, with a wrong hint too', async t => {
    for (const token_type_hint of ['access_token', 'refresh_token', 'nonsense', undefined]) {
      const { access_token: token } = await own()
      t.equal((await post(service, '/revoke', { token, token_type_hint }, { client })).status, 200)
      t.equal((await userinfo(service, token)).status, 401)
    }
  })

  await t.test('OID-13: client credentials are revoked alone', async t => {
    const ask = async () =>
      (
        await post(
          service,
          '/token',
          { grant_type: 'client_credentials', resource: 'urn:opaque:api' },
          { client: api }
        )
      ).body.access_token
    const [first, second] = [await ask(), await ask()]
    t.equal((await post(service, '/revoke', { token: first }, { client: api })).status, 200)
    t.strictSame((await introspect(service, api, first)).body, inactive)
    t.match((await introspect(service, api, second)).body, { active: true })
  })

  await t.test(
    "OID-13: another application's tokens are untouched, and unknown ones are no error",
    async t => {
      const tokens = await own()
      for (const token of [tokens.access_token, tokens.refresh_token, 'unknown'])
        for (const other of [stranger, api])
          t.equal((await post(service, '/revoke', { token }, { client: other })).status, 200)
      t.equal((await userinfo(service, tokens.access_token)).status, 200)
      t.equal((await refresh(service, client, tokens.refresh_token)).status, 200)
    }
  )

  await t.test('OID-13: a JWT access token is introspected as any other, by whom it is for', async t => {
    const demo = clientOf(service, 'demo-service')
    const web = clientOf(service, 'demo-web')
    const ask = { grant_type: 'client_credentials', resource: 'urn:demo:api', scope: 'api:read' }
    const { access_token = '' } = (await post(service, '/token', ask, { client: demo })).body
    t.match((await introspect(service, demo, access_token)).body, {
      active: true,
      iss: service.issuer,
      sub: 'demo-service',
      client_id: 'demo-service',
      aud: 'urn:demo:api',
      scope: 'api:read',
      token_type: 'Bearer'
    })
    t.strictSame((await introspect(service, api, access_token)).body, inactive, 'another resource')
    const [header = '', payload = '', signature = ''] = access_token.split('.')
    const swapped = `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
    t.strictSame((await introspect(service, demo, `${header}.${payload}.${swapped}`)).body, inactive)
    t.strictSame((await introspect(service, demo, `${header}.${payload}.`)).body, inactive)

    const code = await obtainCode(service, {
      client: web,
      visitor,
      params: { scope: 'openid api:read', resource: 'urn:demo:api' }
    })
    const ofPerson = (await redeem(service, web, code, { resource: 'urn:demo:api' })).body
    t.match((await introspect(service, demo, ofPerson.access_token)).body, {
      active: true,
      client_id: 'demo-web'
    })
    t.strictSame((await introspect(service, web, ofPerson.id_token)).body, inactive, 'an ID token is none')
    await service.pool`delete from grants where client_id = 'demo-web'`
    t.strictSame((await introspect(service, demo, ofPerson.access_token)).body, inactive, 'taken back')
    service.advance(601)
    t.strictSame((await introspect(service, demo, access_token)).body, inactive, 'expired')
  })
})

const readableJwt = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from('{}').toString('base64url')}.`
