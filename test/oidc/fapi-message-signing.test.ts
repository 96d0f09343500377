// FAPI 2.0 Message Signing: what an application asks for is signed, and so is every answer.
import { createRemoteJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { openid } from '../helpers/application.ts'
import {
  assertionOf,
  assertionType,
  configureKeyed,
  createKey,
  jwksOf,
  type Key,
  postSigned,
  type Spoilt,
  seconds,
  signAs,
  toCryptoKey
} from '../helpers/keyed-client.ts'
import { callbackOf, createVerifier, readJwt, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const redirectUri = 'https://bank.example/callback'

t.test('FAPI 2.0 Message Signing', async t => {
  const service = await startService(t)
  const [key, rsa] = [createKey('ES256'), createKey('RS256')]
  const bank = await service.register({
    client_name: 'Bank',
    redirect_uris: [redirectUri],
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'private_key_jwt',
    security_profile: 'fapi2-message-signing',
    first_party: true,
    resources: ['urn:demo:api'],
    jwks: jwksOf(key, rsa)
  })
  const visitor = await signedInVisitor(service, await registerPortal(service))
  const requestOf = (challenge: string) => ({
    client_id: bank.client_id,
    response_type: 'code',
    response_mode: 'jwt',
    redirect_uri: redirectUri,
    scope: 'openid api:read',
    resource: 'urn:demo:api',
    state: 'state-1',
    code_challenge: challenge,
    code_challenge_method: 'S256'
  })
  const asked = requestOf(createVerifier().challenge)
  /** Pushes a request object with these faults, and these parameters beside it. */
  const push = async ({ claims = {}, header = {}, by = key }: Spoilt & { by?: Key } = {}, beside = {}) =>
    await postSigned(service, '/par', {
      client: bank,
      key,
      fields: {
        client_id: bank.client_id,
        request: signAs(bank, by, {
          header: { typ: 'oauth-authz-req+jwt', ...header },
          claims: { ...asked, aud: service.issuer, ...claims }
        }),
        ...beside
      }
    })
  const answerTo = async (requestUri: unknown, extra = '') =>
    callbackOf(
      await visitor.visit(
        `${service.issuer}/auth?client_id=${bank.client_id}&request_uri=${requestUri}${extra}`
      )
    )

  await t.test(
    '§5.3, §5.4: a signed request is answered by a signed response, all the way to the tokens',
    async t => {
      const config = await configureKeyed(service, bank, key)
      openid.useJwtResponseMode(config)
      const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
      const pkceCodeVerifier = openid.randomPKCECodeVerifier()
      const signed = await openid.buildAuthorizationUrlWithJAR(
        config,
        {
          redirect_uri: redirectUri,
          scope: 'openid api:read',
          resource: 'urn:demo:api',
          state: 'state-1',
          code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
          code_challenge_method: 'S256'
        },
        { key: await toCryptoKey(key), kid: key.kid }
      )
      const url = await openid.buildAuthorizationUrlWithPAR(config, signed.searchParams, { DPoP })
      const callback = callbackOf(await visitor.visit(url.href))
      t.strictSame([...callback.searchParams.keys()], ['response'])
      const { header, payload } = readJwt(callback.searchParams.get('response') ?? '')
      t.equal(header.alg, 'ES256')
      t.match(payload, { iss: service.issuer, aud: bank.client_id, state: 'state-1', exp: Number })
      const tokens = await openid.authorizationCodeGrant(
        config,
        callback,
        { pkceCodeVerifier, expectedState: 'state-1' },
        { resource: 'urn:demo:api' },
        { DPoP }
      )
      t.equal(tokens.token_type, 'dpop')

      const answer = await postSigned(service, '/introspect', {
        client: bank,
        key,
        fields: { token: tokens.access_token },
        headers: { accept: 'application/token-introspection+jwt' }
      })
      t.match(answer.headers.get('content-type'), 'application/token-introspection+jwt')
      const verified = await jwtVerify(answer.text, createRemoteJWKSet(new URL('/jwks', service.issuer)), {
        issuer: service.issuer,
        audience: bank.client_id,
        typ: 'token-introspection+jwt'
      })
      t.match(verified.payload.token_introspection, { active: true, scope: 'api:read', token_type: 'DPoP' })
    }
  )

  await t.test('OID-12, TOK-1: a request that is not signed as it must be is not taken', async t => {
    t.equal((await push()).status, 201)
    t.equal((await push({ by: { ...rsa, alg: 'PS256' } })).status, 201)
    t.equal((await push({ claims: { nbf: seconds() - 1800, exp: seconds() + 1700 } })).status, 201)
    const unsigned = await postSigned(service, '/par', { client: bank, key, fields: asked })
    t.match(unsigned, { status: 400, body: { error: 'invalid_request' } }, 'not signed at all')
    const wrong: Record<string, Spoilt & { by?: Key }> = {
      'RSA with the old padding': { by: rsa },
      none: { header: { alg: 'none' } },
      'without nbf': { claims: { nbf: undefined } },
      'without exp': { claims: { exp: undefined } },
      'without aud': { claims: { aud: undefined } },
      'for an hour and a second': { claims: { exp: seconds() + 3601, nbf: seconds() } },
      'nbf of long ago': { claims: { nbf: seconds() - 3700 } },
      'not yet valid': { claims: { nbf: seconds() + 300, exp: seconds() + 600 } },
      expired: { claims: { nbf: seconds() - 300, exp: seconds() - 60 } },
      'for another server': { claims: { aud: 'https://evil.example' } },
      'of another client': { claims: { iss: 'other' } },
      'for another client': { claims: { client_id: 'demo-web' } },
      'an assertion in its place': { header: { typ: 'client-authentication+jwt' } }
    }
    for (const [what, spoilt] of Object.entries(wrong))
      t.match(await push(spoilt), { status: 400, body: { error: /^invalid_request(_object)?$/ } }, what)
  })

  await t.test('RFC 9101 §6.3: what stands beside the signed request is not looked at', async t => {
    const { status, body } = await push(
      {},
      { redirect_uri: 'https://evil.example/', scope: 'openid email', state: 'state-2', nonce: 'n' }
    )
    t.equal(status, 201)
    const callback = await answerTo(
      body.request_uri,
      '&redirect_uri=https://evil.example/&state=state-3&response_mode=query'
    )
    t.ok(callback.href.startsWith(`${redirectUri}?response=`))
    t.match(readJwt(callback.searchParams.get('response') ?? '').payload, { state: 'state-1', code: /.+/ })
  })

  await t.test('JARM: no other mode is answered in, and errors are signed as well', async t => {
    for (const response_mode of ['query', 'fragment', 'form_post', undefined])
      t.match(await push({ claims: { response_mode } }), { status: 400, body: { error: 'invalid_request' } })
    const { body } = await push({ claims: { prompt: 'none', max_age: 0 } })
    const callback = await answerTo(body.request_uri)
    t.match(readJwt(callback.searchParams.get('response') ?? '').payload, {
      error: 'login_required',
      iss: service.issuer,
      aud: bank.client_id
    })
  })

  await t.test('what it is registered for cannot be asked for in another way', async t => {
    const direct = new URL('/auth', service.issuer)
    direct.searchParams.set('client_id', bank.client_id)
    direct.searchParams.set('request', signAs(bank, key, { claims: { ...asked, aud: service.issuer } }))
    const answer = await visitor.visit(direct.href)
    t.match(answer, { status: 400, location: null, text: /Pushed Authorization Request must be used/ })
    const assertion = assertionOf(service, bank, { key })
    t.equal(
      (
        await postSigned(service, '/par', {
          client: bank,
          key,
          fields: { request: assertion, client_assertion_type: assertionType }
        })
      ).status,
      400,
      'an assertion is no request'
    )
  })
})
