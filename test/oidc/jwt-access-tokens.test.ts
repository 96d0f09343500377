// Access tokens that a resource verifies by itself (RFC 9068), for the resource that was asked for (RFC 8707).
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import type { DemoClient } from '../../src/development/clients-service.ts'
import {
  authorizationUrl,
  callbackOf,
  clientOf,
  type Fields,
  get,
  obtainCode,
  offline,
  post,
  readJwt,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const api = 'urn:demo:api'

t.test('JWT access tokens', async t => {
  const service = await startService(t)
  const { ctx } = service.app
  await registerResource(ctx, { identifier: 'https://api.example/v1', scopes: ['read'] })
  await registerResource(ctx, { identifier: 'urn:rs:only', scopes: ['read'], accessTokenSigningAlg: 'RS256' })
  const demo = clientOf(service, 'demo-service')
  const forItself = async (client: DemoClient, over: Fields = {}) =>
    await post(service, '/token', { grant_type: 'client_credentials', resource: api, ...over }, { client })
  const machine = async (over: Record<string, unknown>) =>
    await service.register({
      client_name: 'Machine',
      grant_types: ['client_credentials'],
      resources: [api],
      ...over
    })

  const keys = async () =>
    (await get(service, '/jwks')).body.keys as (JsonWebKey & { kid: string; alg: string })[]
  const isSigned = async (jwt: string | undefined) => {
    const [header, payload, signature = ''] = (jwt ?? '').split('.')
    const { kid, alg } = readJwt(jwt).header
    const jwk = (await keys()).find(key => key.kid === kid)
    if (jwk === undefined || jwk.alg !== alg) return false
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    return verify(
      alg === 'EdDSA' ? null : 'sha256',
      Buffer.from(`${header}.${payload}`),
      { key, dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url')
    )
  }

  await t.test('TOK-2: say what RFC 9068 asks for, and verify with the published key', async t => {
    const { status, body } = await forItself(demo, { scope: 'api:read' })
    t.equal(status, 200)
    t.match(body, { token_type: 'Bearer', expires_in: 600, scope: 'api:read' })
    const { header, payload } = readJwt(body.access_token)
    t.match(header, { typ: 'at+jwt', alg: 'ES256', kid: /.+/ })
    t.match(payload, {
      iss: service.issuer,
      sub: 'demo-service',
      client_id: 'demo-service',
      aud: api,
      scope: 'api:read',
      jti: /.+/
    })
    t.equal(Number(payload.exp) - Number(payload.iat), 600)
    t.ok(await isSigned(body.access_token))
    t.equal((await service.pool`select from access_tokens`).length, 0, 'and are not stored')
  })

  await t.test('TOK-1: are signed as the client or the resource wants it', async t => {
    for (const alg of ['RS256', 'EdDSA', 'ES256']) {
      const { body } = await forItself(await machine({ access_token_signing_alg: alg }))
      t.equal(readJwt(body.access_token).header.alg, alg)
      t.ok(await isSigned(body.access_token), alg)
    }
    const client = await machine({ access_token_signing_alg: 'EdDSA', resources: ['urn:rs:only'] })
    const { body } = await forItself(client, { resource: 'urn:rs:only' })
    t.equal(readJwt(body.access_token).header.alg, 'RS256', 'a resource that knows one algorithm gets it')
  })

  await t.test('TOK-2: are opaque where no resource is asked for', async t => {
    const { body } = await forItself(demo, { resource: undefined })
    t.notMatch(body.access_token, /\./)
  })

  await t.test(
    'TOK-2: are for one resource of the client’s own; others look as if they did not exist',
    async t => {
      for (const resource of [
        'https://api.example/v1',
        'urn:nobody',
        'x',
        '',
        'urn:demo:api#x',
        'URN:demo:api',
        'urn:demo:api/'
      ]) {
        const { status, body } = await forItself(demo, { resource: resource === '' ? 'urn:' : resource })
        t.equal(status, 400, resource)
        t.equal(body.error, 'invalid_target', resource)
      }
      const two = new URLSearchParams([
        ['grant_type', 'client_credentials'],
        ['resource', api],
        ['resource', 'https://api.example/v1']
      ])
      t.equal((await post(service, '/token', two, { client: demo })).body.error, 'invalid_target')
    }
  )

  await t.test('TOK-2: hold no scope beyond the client’s and the resource’s', async t => {
    const reader = await machine({ scope: 'api:read' })
    t.equal((await forItself(reader, { scope: 'api:read' })).body.scope, 'api:read')
    for (const scope of ['api:write', 'api:read api:write', 'openid', 'admin', 'read']) {
      const { body } = await forItself(reader, { scope })
      const got = String(readJwt(body.access_token).payload.scope ?? '').split(' ')
      t.notOk(got.includes('api:write') || got.includes('admin') || got.includes('openid'), scope)
    }
  })

  await t.test(
    'RFC 6749 §3.3: of scopes that a client may not have it is told, not given a token without',
    async t => {
      const reader = await machine({ scope: 'api:read' })
      for (const scope of ['api:write', 'admin read']) {
        const { status, body } = await forItself(reader, { scope })
        t.equal(status, 400)
        t.match(body, { error: 'invalid_scope', access_token: undefined })
      }
      t.match((await forItself(reader, { scope: 'api:read api:write' })).body, { scope: 'api:read' })
      t.equal((await forItself(reader)).status, 200, 'who asks for none gets a token without')
    }
  )

  const client = await registerPortal(service, {
    scope: 'openid email offline_access api:read api:write read',
    resources: [api, 'https://api.example/v1']
  })
  const visitor = await signedInVisitor(service, client)

  await t.test('TOK-2: of a person name them; a refresh cannot widen what was granted', async t => {
    const code = await obtainCode(service, {
      client,
      visitor,
      params: { ...offline, scope: 'openid offline_access api:read', resource: api }
    })
    const { body } = await redeem(service, client, code, { resource: api })
    const { header, payload } = readJwt(body.access_token)
    t.equal(header.typ, 'at+jwt')
    t.match(payload, { aud: api, client_id: client.client_id, scope: 'api:read' })
    t.equal(payload.sub, readJwt(body.id_token).payload.sub)
    t.notOk('email' in payload)

    const ungranted = await refresh(service, client, body.refresh_token, {
      resource: 'https://api.example/v1'
    })
    t.equal(ungranted.body.error, 'invalid_target', 'its own resource, but never granted')
    const wider = await refresh(service, client, body.refresh_token, {
      resource: api,
      scope: 'api:read api:write'
    })
    t.equal(wider.body.error, 'invalid_scope')
    const same = await refresh(service, client, body.refresh_token, { resource: api })
    t.equal(readJwt(same.body.access_token).payload.scope, 'api:read')
  })

  await t.test('TOK-2: a code redeems for no resource that was not asked for', async t => {
    const code = await obtainCode(service, {
      client,
      visitor,
      params: { scope: 'openid api:read', resource: api }
    })
    const { body } = await redeem(service, client, code, { resource: 'https://api.example/v1' })
    t.equal(body.error, 'invalid_target')
    const asked = await visitor.visit(authorizationUrl(service, client, { resource: 'urn:nobody' }))
    t.equal(callbackOf(asked).searchParams.get('error'), 'invalid_target')
  })

  await t.test('TOK-2: ID token and access token do not stand in for each other', async t => {
    const code = await obtainCode(service, {
      client,
      visitor,
      params: { scope: 'openid api:read', resource: api }
    })
    const { body } = await redeem(service, client, code, { resource: api })
    t.equal(readJwt(body.id_token).header.typ, undefined)
    t.equal(readJwt(body.id_token).payload.aud, client.client_id)
    for (const token of [body.id_token, body.access_token])
      t.equal((await userinfo(service, token)).status, 401)
    const hinted = await visitor.visit(
      authorizationUrl(service, client, { prompt: 'none', id_token_hint: body.access_token })
    )
    t.equal(callbackOf(hinted).searchParams.get('code'), null)
    const ended = await get(service, `/session/end?id_token_hint=${body.access_token}`)
    t.equal(ended.status, 400)
  })
})
