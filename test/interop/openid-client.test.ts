// openid-client as the application, one short walk a feature: the library checks state, nonce, iss, signatures and what
// else its specifications ask before it hands anything on.
import type { webcrypto } from 'node:crypto'
import t from 'tap'
import { agree, openid } from '../helpers/application.ts'
import { letIn } from '../helpers/devices.ts'
import { createKey, jwksOf, toCryptoKey } from '../helpers/keyed-client.ts'
import { callbackOf, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

type Configured = { config: openid.Configuration; metadata: Record<string, unknown> }
type Begin = (config: openid.Configuration, params: Record<string, string>) => URL | Promise<URL>

t.test('openid-client', async t => {
  const service = await startService(t, {
    environment: { JWT_ENCRYPTION: 'on', DYNAMIC_REGISTRATION: 'open' }
  })
  const issuer = new URL(service.issuer)
  const insecure = { execute: [openid.allowInsecureRequests] }
  const ada = await signedInVisitor(service, await registerPortal(service))
  const configure = async (
    over: Record<string, unknown> = {},
    auth?: openid.ClientAuth
  ): Promise<Configured> => {
    const metadata = await registerPortal(service, over)
    const { client_id, client_secret } = metadata
    return {
      metadata,
      config: await openid.discovery(
        issuer,
        client_id,
        metadata as openid.ClientMetadata,
        auth ?? openid.ClientSecretPost(client_secret ?? ''),
        insecure
      )
    }
  }
  /** A whole authorization, of which `begin` makes the URL. */
  const signIn = async (
    { config, metadata }: Configured,
    { begin = openid.buildAuthorizationUrl, params = {}, options = {} }: SignIn = {}
  ) => {
    const [pkceCodeVerifier, expectedState] = [openid.randomPKCECodeVerifier(), openid.randomState()]
    const expectedNonce = openid.randomNonce()
    const url = await begin(config, {
      redirect_uri: (metadata.redirect_uris as string[])[0] ?? '',
      scope: 'openid profile email offline_access',
      prompt: 'consent',
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: expectedState,
      nonce: expectedNonce,
      ...params
    })
    const callback = callbackOf(await agree(ada, await ada.visit(url.href)))
    const checks = { pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true }
    return await openid.authorizationCodeGrant(config, callback, checks, {}, options)
  }
  const emailOf = async ({ config }: Configured, token: string, options?: openid.DPoPOptions) =>
    (await openid.fetchUserInfo(config, token, openid.skipSubjectCheck, options)).email
  const email = 'ada@example.org'

  await t.test('RFC 8414 §3: finds the server by either document', async t => {
    for (const algorithm of ['oidc', 'oauth2'] as const) {
      const config = await openid.discovery(issuer, 'x', undefined, undefined, { algorithm, ...insecure })
      t.ok(config.serverMetadata().supportsPKCE())
    }
  })

  await t.test('signatures of all that is signed, introspection, refresh, revocation, sign-out', async t => {
    const portal = await configure({
      introspection: true,
      introspection_signed_response_alg: 'ES256',
      userinfo_signed_response_alg: 'EdDSA',
      id_token_signed_response_alg: 'RS256'
    })
    const { config } = portal
    openid.enableNonRepudiationChecks(config)
    const first = await signIn(portal)
    t.equal(await emailOf(portal, first.access_token), email)
    const second = await openid.refreshTokenGrant(config, first.refresh_token ?? '')
    t.match(await openid.tokenIntrospection(config, second.access_token), { active: true })
    await openid.tokenRevocation(config, second.refresh_token ?? '')
    await t.rejects(openid.refreshTokenGrant(config, second.refresh_token ?? ''))

    const [back = ''] = portal.metadata.post_logout_redirect_uris as string[]
    const parameters = { id_token_hint: first.id_token ?? '', post_logout_redirect_uri: back, state: 's' }
    const asked = await ada.visit(openid.buildEndSessionUrl(config, parameters).href)
    const stay = await ada.submit(asked, 'sign-out-form')
    t.equal(stay.location, `${back}?state=s`, 'whoever stays signed in is led back, too')
  })

  await t.test(
    'RFC 9126: pushed; RFC 9101: signed; both; RFC 9864: under the newer name of EdDSA',
    async t => {
      const key = createKey('EdDSA')
      const portal = await configure({ jwks: jwksOf(key), request_object_signing_alg: 'Ed25519' })
      const signing = { key: await toCryptoKey(key), kid: key.kid }
      const ways: Record<string, Begin> = {
        pushed: openid.buildAuthorizationUrlWithPAR,
        signed: async (config, params) => await openid.buildAuthorizationUrlWithJAR(config, params, signing),
        both: async (config, params) => {
          const signed = await openid.buildAuthorizationUrlWithJAR(config, params, signing)
          return await openid.buildAuthorizationUrlWithPAR(config, signed.searchParams)
        }
      }
      for (const [name, begin] of Object.entries(ways))
        t.equal(await emailOf(portal, (await signIn(portal, { begin })).access_token), email, name)
    }
  )

  await t.test('JARM, and an ID token that is encrypted', async t => {
    const algorithm = {
      name: 'RSA-OAEP',
      modulusLength: 2048,
      publicExponent: new Uint8Array([1, 0, 1]),
      hash: 'SHA-256'
    }
    const usages: webcrypto.KeyUsage[] = ['encrypt', 'decrypt']
    const { publicKey, privateKey } = await crypto.subtle.generateKey(algorithm, true, usages)
    const jwk = {
      ...(await crypto.subtle.exportKey('jwk', publicKey)),
      key_ops: undefined,
      use: 'enc',
      kid: 'enc'
    }
    const portal = await configure({
      jwks: { keys: [JSON.parse(JSON.stringify(jwk))] },
      id_token_encrypted_response_alg: 'RSA-OAEP-256',
      id_token_encrypted_response_enc: 'A256GCM'
    })
    openid.useJwtResponseMode(portal.config)
    openid.enableDecryptingResponses(portal.config, ['A256GCM'], { key: privateKey, kid: 'enc' })
    const tokens = await signIn(portal)
    t.equal((tokens.id_token ?? '').split('.').length, 5)
    t.equal(tokens.claims()?.email, undefined, 'userinfo is where it is asked for')
    t.equal(await emailOf(portal, tokens.access_token), email)
  })

  await t.test('RFC 9449: a public client with a key', async t => {
    const portal = await configure({ token_endpoint_auth_method: 'none' }, openid.None())
    for (const alg of ['ES256', 'Ed25519']) {
      const DPoP = openid.getDPoPHandle(portal.config, await openid.randomDPoPKeyPair(alg))
      const params = { dpop_jkt: await DPoP.calculateThumbprint() }
      const tokens = await signIn(portal, { params, options: { DPoP } })
      t.equal(tokens.token_type, 'dpop', alg)
      t.equal(await emailOf(portal, tokens.access_token, { DPoP }), email)
    }
  })

  await t.test('RFC 6749 §4.4, RFC 8707 §2: a service, by each kind of proof', async t => {
    const key = createKey('EdDSA')
    const proofs: Record<string, (secret: string) => openid.ClientAuth | Promise<openid.ClientAuth>> = {
      client_secret_basic: openid.ClientSecretBasic,
      client_secret_post: openid.ClientSecretPost,
      client_secret_jwt: openid.ClientSecretJwt,
      private_key_jwt: async () => openid.PrivateKeyJwt({ key: await toCryptoKey(key), kid: key.kid })
    }
    for (const [token_endpoint_auth_method, prove] of Object.entries(proofs)) {
      const { client_id, client_secret } = await service.register({
        client_name: 'Service',
        grant_types: ['client_credentials'],
        resources: ['urn:demo:api'],
        token_endpoint_auth_method,
        ...(token_endpoint_auth_method === 'private_key_jwt' ? { jwks: jwksOf(key) } : {})
      })
      const auth = await prove(client_secret ?? '')
      const config = await openid.discovery(issuer, client_id, undefined, auth, insecure)
      const asked = { resource: 'urn:demo:api', scope: 'api:read' }
      t.equal(
        (await openid.clientCredentialsGrant(config, asked)).scope,
        'api:read',
        token_endpoint_auth_method
      )
    }
  })

  await t.test('RFC 8628: a device', async t => {
    const grants = ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code']
    const { config } = await configure({ grant_types: grants })
    const started = await openid.initiateDeviceAuthorization(config, { scope: 'openid email' })
    await letIn(service, ada, started.user_code)
    const tokens = await openid.pollDeviceAuthorizationGrant(config, { ...started, interval: 0.1 })
    t.ok(tokens.claims()?.sub)
  })

  await t.test('RFC 7591: registers itself, and signs people in', async t => {
    const metadata = { client_name: 'Album', redirect_uris: ['https://album.example/callback'] }
    const config = await openid.dynamicClientRegistration(issuer, metadata, undefined, insecure)
    const registered = { config, metadata }
    t.equal(await emailOf(registered, (await signIn(registered)).access_token), email)
  })
})

type SignIn = { begin?: Begin; params?: Record<string, string>; options?: openid.DPoPOptions }
