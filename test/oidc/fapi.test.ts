// Applications that are registered for FAPI 2.0's security profile: what they get, and what nobody gets in their name.
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import { agree, openid } from '../helpers/application.ts'
import {
  assertionOf,
  assertionType,
  configureKeyed,
  createKey,
  jwksOf,
  type Key,
  postSigned,
  type Spoilt,
  seconds
} from '../helpers/keyed-client.ts'
import {
  authorizationUrl,
  callbackOf,
  countStatuses,
  createVerifier,
  type Fields,
  get,
  introspect,
  post,
  readJwt,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const profile = {
  client_name: 'Bank',
  redirect_uris: ['https://bank.example/callback'],
  grant_types: ['authorization_code', 'refresh_token'],
  token_endpoint_auth_method: 'private_key_jwt',
  security_profile: 'fapi2',
  first_party: true,
  resources: ['urn:demo:api']
}

t.test('FAPI 2.0 Security Profile', async t => {
  const service = await startService(t)
  const [key, rsa] = [createKey('ES256'), createKey('RS256')]
  const pss: Key = { ...rsa, alg: 'PS256' }
  const bank = await service.register({ ...profile, jwks: jwksOf(key, rsa, createKey('EdDSA')) })
  const portal = await registerPortal(service)
  const visitor = await signedInVisitor(service, portal)
  const request = (over: Fields = {}): Fields =>
    Object.fromEntries([...new URL(authorizationUrl(service, bank, over)).searchParams])
  const push = async (over: Fields = {}) =>
    await postSigned(service, '/par', { client: bank, key, fields: request(over) })

  await t.test(
    '§5.3.2: a pushed request, a bound code, bound tokens, and a refresh token that stays',
    async t => {
      const config = await configureKeyed(service, bank, key)
      const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
      const pkceCodeVerifier = openid.randomPKCECodeVerifier()
      const url = await openid.buildAuthorizationUrlWithPAR(
        config,
        {
          redirect_uri: 'https://bank.example/callback',
          scope: 'openid email offline_access',
          prompt: 'consent',
          state: 'state-1',
          code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
          code_challenge_method: 'S256'
        },
        { DPoP }
      )
      t.strictSame([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
      const { location } = await agree(visitor, await visitor.visit(url.href))
      t.equal(new URL(location ?? '').searchParams.get('iss'), service.issuer, 'RFC 9207')
      const tokens = await openid.authorizationCodeGrant(
        config,
        new URL(location ?? ''),
        { pkceCodeVerifier, expectedState: 'state-1' },
        {},
        { DPoP }
      )
      t.equal(tokens.token_type, 'dpop')
      t.equal(readJwt(tokens.id_token).header.alg, 'ES256')
      const claims = tokens.claims()
      t.match(await openid.fetchUserInfo(config, tokens.access_token, claims?.sub ?? '', { DPoP }), {
        sub: claims?.sub
      })
      const refresh = async () =>
        await openid.refreshTokenGrant(config, tokens.refresh_token ?? '', {}, { DPoP })
      for (const renewed of [await refresh(), await refresh()])
        t.equal(renewed.refresh_token, tokens.refresh_token, '§5.3.2.1: it is not rotated')
    }
  )

  await t.test('§5.3.2.2: what is not pushed is not taken, and what is pushed must be whole', async t => {
    const direct = callbackOf(await visitor.visit(authorizationUrl(service, bank)))
    t.equal(direct.searchParams.get('error'), 'invalid_request')
    t.notOk(direct.searchParams.has('code'))
    const pushed = await push()
    t.equal(pushed.status, 201)
    t.ok((pushed.body.expires_in as number) < 600)
    const faults: Record<string, Fields> = {
      'no code_challenge': { code_challenge: undefined, code_challenge_method: undefined },
      'plain PKCE': { code_challenge_method: 'plain' },
      'no redirect_uri': { redirect_uri: undefined },
      'another redirect_uri': { redirect_uri: 'https://bank.example/other' },
      'a request_uri': { request_uri: pushed.body.request_uri },
      'a token from the front': { response_type: 'code id_token', nonce: 'n' }
    }
    for (const [what, over] of Object.entries(faults)) {
      const { status, body } = await push(over)
      t.equal(status, 400, what)
      t.match(body.error, /^(invalid_request|unsupported_response_type|request_uri_not_supported)$/, what)
    }
    const anonymous = await post(service, '/par', { ...request(), client_id: bank.client_id })
    t.equal(anonymous.status, 401, 'nobody pushes in its name')
  })

  await t.test(
    'OID-9: an assertion is signed by ES256, PS256 or EdDSA, for the issuer alone, and for a short time',
    async t => {
      const attempt = async (over: Spoilt & { key?: Key }) =>
        await post(service, '/par', {
          ...request(),
          client_assertion_type: assertionType,
          client_assertion: assertionOf(service, bank, { key, ...over })
        })
      t.equal((await attempt({})).status, 201)
      t.equal((await attempt({ key: pss })).status, 201)
      t.equal((await attempt({ header: { typ: 'client-authentication+jwt' } })).status, 201)
      t.equal(
        (await attempt({ claims: { iat: seconds() + 8, nbf: seconds() + 8 } })).status,
        201,
        'clocks differ'
      )
      const wrong: Record<string, Spoilt & { key?: Key }> = {
        'RSA with the old padding': { key: rsa },
        'for the token endpoint': { claims: { aud: `${service.issuer}/token` } },
        'for the endpoint': { claims: { aud: `${service.issuer}/par` } },
        'for the issuer in a list': { claims: { aud: [service.issuer] } },
        'for others too': { claims: { aud: [service.issuer, 'https://other.example'] } },
        'for the issuer with a slash': { claims: { aud: `${service.issuer}/` } },
        'for an hour': { claims: { exp: seconds() + 3600 } },
        'dated ahead': { claims: { iat: seconds() + 300 } },
        'not yet valid': { claims: { nbf: seconds() + 300 } },
        'of another type': { header: { typ: 'oauth-authz-req+jwt' } },
        'without end': { claims: { exp: undefined } }
      }
      for (const [what, over] of Object.entries(wrong))
        t.match(await attempt(over), { status: 401, body: { error: 'invalid_client' } }, what)
    }
  )

  await t.test('§5.3.2.1: tokens are bound to a key, whose proofs carry a nonce of ours', async t => {
    const { verifier, challenge } = createVerifier()
    const { body } = await push({ code_challenge: challenge })
    const url = `${service.issuer}/auth?client_id=${bank.client_id}&request_uri=${body.request_uri}`
    const code = callbackOf(await visitor.visit(url)).searchParams.get('code') ?? ''
    const redeem = async (headers: Record<string, string> = {}) =>
      await postSigned(service, '/token', {
        client: bank,
        key,
        headers,
        fields: {
          grant_type: 'authorization_code',
          code,
          redirect_uri: 'https://bank.example/callback',
          code_verifier: verifier
        }
      })
    const unbound = await redeem()
    t.match(unbound, { status: 400, body: { error: 'invalid_grant', access_token: undefined } })
    const config = await configureKeyed(service, bank, key)
    const nonces: (string | null)[] = []
    config[openid.customFetch] = async (address, options) => {
      const answer = await fetch(address, options as RequestInit)
      nonces.push(((await answer.clone().json()) as { error?: string }).error ?? null)
      return answer
    }
    const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
    const tokens = await openid.genericGrantRequest(
      config,
      'authorization_code',
      { code, redirect_uri: 'https://bank.example/callback', code_verifier: verifier },
      { DPoP }
    )
    t.strictSame(nonces, ['use_dpop_nonce', null])
    t.equal(tokens.token_type, 'dpop')
    const bearer = await get(service, '/userinfo', { authorization: `Bearer ${tokens.access_token}` })
    t.equal(bearer.status, 401)
    t.equal(
      (await get(service, `/userinfo?access_token=${tokens.access_token}`)).status,
      400,
      'not in the address'
    )
    t.match(
      (
        await postSigned(service, '/introspect', {
          client: bank,
          key,
          fields: { token: tokens.access_token }
        })
      ).body,
      {
        active: true,
        token_type: 'DPoP',
        cnf: { jkt: /.+/ }
      }
    )
    t.strictSame((await introspect(service, portal, tokens.access_token)).body, { active: false })
  })

  await t.test('§5.4.1: no token is signed by RS256, also where the resource would have it', async t => {
    const { ctx } = service.app
    await registerResource(ctx, {
      identifier: 'urn:rs:only',
      scopes: ['read'],
      accessTokenSigningAlg: 'RS256'
    })
    const algFor = async (resource: string, over: object = {}) => {
      const metadata = { ...profile, redirect_uris: [], grant_types: ['client_credentials'], ...over }
      const robot = await service.register({
        ...metadata,
        jwks: jwksOf(key),
        resources: ['urn:demo:api', 'urn:rs:only']
      })
      const config = await configureKeyed(service, robot, key)
      const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
      const { access_token } = await openid.clientCredentialsGrant(config, { resource }, { DPoP })
      return readJwt(access_token).header.alg
    }
    t.equal(await algFor('urn:rs:only'), 'ES256')
    t.equal(await algFor('urn:rs:only', { access_token_signing_alg: 'EdDSA' }), 'EdDSA')
    t.equal(await algFor('urn:demo:api', { access_token_signing_alg: 'EdDSA' }), 'EdDSA')
    t.equal(await algFor('urn:demo:api'), 'ES256')
  })

  await t.test('OID-12: a pushed request is good once, for its client, for a minute', async t => {
    const use = async (requestUri: unknown, clientId: unknown = bank.client_id) =>
      await visitor.request(`${service.issuer}/auth?client_id=${clientId}&request_uri=${requestUri}`)
    const uri = String((await push()).body.request_uri)
    t.match(await use(uri, portal.client_id), { status: 400, text: /invalid_request/ }, 'of another client')
    const flipped = `${uri.slice(0, -1)}${uri.endsWith('A') ? 'B' : 'A'}`
    t.match(await use(flipped), { status: 400, text: /invalid_request_uri/ }, 'one character off')
    t.ok(callbackOf(await use(uri)).searchParams.has('code'))
    t.match(await use(uri), { status: 400, text: /invalid_request_uri/ }, 'again')
    const late = String((await push()).body.request_uri)
    service.advance(61)
    t.match(await use(late), { status: 400, text: /invalid_request/ }, 'a minute later')
  })

  await t.test('OID-3: of its codes twenty at once give one token', async t => {
    const { verifier, challenge } = createVerifier()
    const { body } = await push({ code_challenge: challenge })
    const url = `${service.issuer}/auth?client_id=${bank.client_id}&request_uri=${body.request_uri}`
    const location = callbackOf(await visitor.visit(url))
    const config = await configureKeyed(service, bank, key)
    const keys = await openid.randomDPoPKeyPair('ES256')
    const attempts = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const DPoP = openid.getDPoPHandle(config, keys)
        const checks = { pkceCodeVerifier: verifier, expectedState: 'state-1' }
        return await openid.authorizationCodeGrant(config, location, checks, {}, { DPoP }).then(
          () => ({ status: 200 }),
          ({ status }: { status: number }) => ({ status })
        )
      })
    )
    t.strictSame(countStatuses(attempts), { 200: 1, 400: 19 })
  })
})
