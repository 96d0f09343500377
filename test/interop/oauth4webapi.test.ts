// oauth4webapi as the client: discovery, the code flow in its forms, and what is done with tokens. The library checks
// every answer against its specification; what it returns has passed that.
import * as oauth from 'oauth4webapi'
import t from 'tap'
import {
  createParty,
  createRequest,
  discover,
  errorOf,
  follow,
  http,
  type Party,
  redeem,
  retryWithNonce,
  signIn
} from '../helpers/oauth4webapi.ts'
import { readJwt, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('oauth4webapi', async t => {
  const service = await startService(t)
  const as = await discover(service)
  const web = await registerPortal(service, { resources: ['urn:demo:api'], introspection: true })
  const party = createParty(as, web)
  const ada = await signedInVisitor(service, web)
  const { client, auth } = party

  const introspect = async (token: string, { client, auth }: Party = party) => {
    const response = await oauth.introspectionRequest(as, client, auth, token, http)
    return { response, body: await oauth.processIntrospectionResponse(as, client, response) }
  }
  const revoke = async (token: string) =>
    await oauth.processRevocationResponse(await oauth.revocationRequest(as, client, auth, token, http))
  const userinfo = async (token: string, { client }: Party = party, options = {}) => {
    const response = await oauth.userInfoRequest(as, client, token, { ...http, ...options })
    const claims = await oauth.processUserInfoResponse(as, client, oauth.skipSubjectCheck, response)
    return { response, claims }
  }

  await t.test('OpenID Connect Discovery 1.0 §4, RFC 8414 §3: one server in both documents', async t => {
    const other = await discover(service, 'oauth2')
    t.strictSame({ ...as, ...other }, { ...other, ...as }, 'what both say is the same')
    t.equal(as.authorization_response_iss_parameter_supported, true)
  })

  await t.test(
    'RFC 7636, RFC 9207: a code with state, nonce, iss and S256; then the tokens are used',
    async t => {
      const request = await createRequest(party)
      const callback = await follow(party, ada, request.params)
      t.equal(callback.searchParams.get('iss'), service.issuer)
      const tokens = await redeem(party, { request, callback })
      const claims = oauth.getValidatedIdTokenClaims(tokens)
      t.match(claims, { iss: service.issuer, aud: web.client_id, nonce: request.params.nonce })
      t.match((await userinfo(tokens.access_token)).claims, { sub: claims?.sub, email: 'ada@example.org' })

      const response = await oauth.refreshTokenGrantRequest(
        as,
        client,
        auth,
        tokens.refresh_token ?? '',
        http
      )
      const second = await oauth.processRefreshTokenResponse(as, client, response)
      await oauth.validateApplicationLevelSignature(as, response, http)
      t.equal(oauth.getValidatedIdTokenClaims(second)?.sub, claims?.sub)
      t.match((await introspect(second.access_token)).body, { active: true, sub: claims?.sub })
      await revoke(second.access_token)
      t.strictSame((await introspect(second.access_token)).body, { active: false })
      await revoke(second.refresh_token ?? '')
      const again = await oauth.refreshTokenGrantRequest(as, client, auth, second.refresh_token ?? '', http)
      t.equal(await errorOf(oauth.processRefreshTokenResponse(as, client, again)), 'invalid_grant')
    }
  )

  await t.test('RFC 6749 §4.1.2.1: a refusal comes back with state and iss', async t => {
    const { params } = await createRequest(party, { prompt: 'none', max_age: '0' })
    const callback = await follow(party, ada, params)
    const check = async () => oauth.validateAuthResponse(as, client, callback, params.state)
    t.equal(await errorOf(check()), 'login_required')
  })

  await t.test('RFC 9126: a pushed request', async t => {
    const request = await createRequest(party)
    const response = await oauth.pushedAuthorizationRequest(as, client, auth, request.params, http)
    const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client, response)
    const callback = await follow(party, ada, { client_id: web.client_id, request_uri })
    t.ok((await redeem(party, { request, callback })).access_token)
  })

  await t.test('RFC 9449: a code, tokens and requests are bound to a key', async t => {
    const portal = await registerPortal(service, { token_endpoint_auth_method: 'none' })
    const bound = createParty(as, portal)
    const proofs = oauth.DPoP(bound.client, await oauth.generateKeyPair('ES256'))
    const options = { DPoP: proofs }
    const request = await createRequest(bound, { dpop_jkt: await proofs.calculateThumbprint() })
    const callback = await follow(bound, ada, request.params)
    const tokens = await redeem(bound, { request, callback, options })
    t.equal(tokens.token_type, 'dpop')
    const asked = await retryWithNonce(() => userinfo(tokens.access_token, bound, options))
    t.equal(asked.claims.email, 'ada@example.org')
    await t.rejects(userinfo(tokens.access_token, bound), 'without a proof it is worth nothing')

    const refresh = async () => {
      const { refresh_token = '' } = tokens
      const response = await oauth.refreshTokenGrantRequest(as, bound.client, bound.auth, refresh_token, {
        ...http,
        ...options
      })
      return await oauth.processRefreshTokenResponse(as, bound.client, response)
    }
    t.equal((await retryWithNonce(refresh)).token_type, 'dpop')
  })

  await t.test('RFC 6749 §2.3, RFC 7523 §2.2: every way to prove who a service is', async t => {
    const { publicKey, privateKey } = await oauth.generateKeyPair('ES256')
    const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), alg: 'ES256' }
    const methods: Record<string, (secret: string) => oauth.ClientAuth> = {
      client_secret_basic: oauth.ClientSecretBasic,
      client_secret_post: oauth.ClientSecretPost,
      client_secret_jwt: oauth.ClientSecretJwt,
      private_key_jwt: () => oauth.PrivateKeyJwt(privateKey)
    }
    for (const [token_endpoint_auth_method, prove] of Object.entries(methods)) {
      const { client, auth } = createParty(
        as,
        await service.register({
          client_name: token_endpoint_auth_method,
          grant_types: ['client_credentials'],
          resources: ['urn:demo:api'],
          token_endpoint_auth_method,
          ...(token_endpoint_auth_method === 'private_key_jwt' ? { jwks: { keys: [jwk] } } : {})
        }),
        prove
      )
      const asked = { resource: 'urn:demo:api', scope: 'api:read' }
      const ask = async (auth: oauth.ClientAuth) => {
        const response = await oauth.clientCredentialsGrantRequest(as, client, auth, asked, http)
        return await oauth.processClientCredentialsResponse(as, client, response)
      }
      const { access_token, scope } = await ask(auth)
      t.equal(scope, 'api:read', token_endpoint_auth_method)
      t.match(readJwt(access_token).payload, { client_id: client.client_id, aud: 'urn:demo:api' })
      const request = new Request('https://api.example/', {
        headers: { authorization: `Bearer ${access_token}` }
      })
      const claims = await oauth.validateJwtAccessToken(as, request, 'urn:demo:api', http)
      t.equal(claims.scope, 'api:read', 'and an API believes it (RFC 9068 §4)')
      t.equal(await errorOf(ask(oauth.ClientSecretBasic('wrong'))), 'invalid_client')
    }
  })

  await t.test('RP-Initiated Logout 1.0 §2: the page of signing out leads back', async t => {
    const { id_token = '' } = await signIn(party, ada)
    const url = new URL(as.end_session_endpoint ?? '')
    const [post_logout_redirect_uri = ''] = web.post_logout_redirect_uris as string[]
    url.search = new URLSearchParams({
      id_token_hint: id_token,
      post_logout_redirect_uri,
      state: 's'
    }).toString()
    const asked = await ada.visit(url.href)
    const { location } = await ada.submit(asked, 'sign-out-form', { logout: 'yes' })
    t.equal(location, `${post_logout_redirect_uri}?state=s`)
  })
})
