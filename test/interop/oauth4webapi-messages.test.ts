// oauth4webapi where messages are signed, encrypted or bound: request objects, JARM, answers as JWTs, DPoP with nonces,
// client certificates, and all of it at once as FAPI 2.0 Message Signing wants it.
import { createPublicKey, type webcrypto } from 'node:crypto'
import { compactDecrypt } from 'jose'
import * as oauth from 'oauth4webapi'
import t from 'tap'
import { type Certificate, issueCertificate } from '../helpers/certificates.ts'
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
import { fetchWith, serveTls } from '../helpers/tls.ts'

/** The public half of a key as a client registers it. */
const jwkOf = async ({ publicKey }: webcrypto.CryptoKeyPair, members: Record<string, string>) => ({
  ...(await crypto.subtle.exportKey('jwk', publicKey)),
  ...members
})

/** What a form would bring back: the library reads it as parameters. */
const fieldOf = (page: string, name: string): string =>
  new RegExp(`name="${name}" value="([^"]*)"`).exec(page)?.[1] ?? ''

t.test('oauth4webapi', async t => {
  const service = await startService(t, { environment: { DPOP_NONCES: 'required', JWT_ENCRYPTION: 'on' } })
  const as = await discover(service)
  const signing = await oauth.generateKeyPair('ES256')
  const jwks = { keys: [await jwkOf(signing, { alg: 'ES256', use: 'sig', kid: 'sig' })] }
  const privateKey = { key: signing.privateKey, kid: 'sig' }
  const ada = await signedInVisitor(service, await registerPortal(service))
  const register = async (
    over: Record<string, unknown> = {},
    prove = oauth.ClientSecretBasic
  ): Promise<Party> => createParty(as, await registerPortal(service, over), prove)

  await t.test('RFC 9101 §4, §5: a request object, by value and pushed', async t => {
    const party = await register({ jwks, require_signed_request_object: true })
    const { client, auth } = party
    const request = await createRequest(party)
    t.equal(
      (await follow(party, ada, request.params)).searchParams.get('error'),
      'invalid_request',
      'unsigned'
    )
    const signed = async () => await oauth.issueRequestObject(as, client, request.params, privateKey)
    const callback = await follow(party, ada, { client_id: client.client_id, request: await signed() })
    t.ok((await redeem(party, { request, callback })).id_token)

    const pushed = { client_id: client.client_id, request: await signed() }
    const response = await oauth.pushedAuthorizationRequest(as, client, auth, pushed, http)
    const { request_uri } = await oauth.processPushedAuthorizationResponse(as, client, response)
    const back = await follow(party, ada, { client_id: client.client_id, request_uri })
    t.ok((await redeem(party, { request, callback: back })).id_token)
  })

  await t.test('JARM §2.3, §2.4: an answer as a JWT, in the query, the fragment and a form', async t => {
    const party = await register({ authorization_signed_response_alg: 'EdDSA' })
    for (const response_mode of ['jwt', 'query.jwt', 'fragment.jwt', 'form_post.jwt']) {
      const request = await createRequest(party, { response_mode, prompt: 'none' })
      const url = `${as.authorization_endpoint}?${new URLSearchParams(request.params)}`
      const { location, text } = await ada.visit(url)
      const parameters =
        response_mode === 'form_post.jwt'
          ? new URLSearchParams({ response: fieldOf(text, 'response') })
          : new URL(location?.replace('#', '?') ?? '')
      const { state } = request.params
      const callback = await oauth.validateJwtAuthResponse(as, party.client, parameters, state, http)
      t.ok((await redeem(party, { request, callback })).access_token, response_mode)
    }
  })

  await t.test('RFC 9701 §5, OpenID Connect Core 1.0 §5.3.2: introspection and userinfo as JWTs', async t => {
    const party = await register({
      introspection: true,
      introspection_signed_response_alg: 'EdDSA',
      userinfo_signed_response_alg: 'RS256'
    })
    const { client, auth } = party
    const { access_token } = await signIn(party, ada)
    const asked = { ...http, requestJwtResponse: true }
    const answered = await oauth.introspectionRequest(as, client, auth, access_token, asked)
    const { active } = await oauth.processIntrospectionResponse(as, client, answered)
    await oauth.validateApplicationLevelSignature(as, answered, http)
    t.equal(active, true)

    const userinfo = await oauth.userInfoRequest(as, client, access_token, http)
    const { email } = await oauth.processUserInfoResponse(as, client, oauth.skipSubjectCheck, userinfo)
    await oauth.validateApplicationLevelSignature(as, userinfo, http)
    t.equal(email, 'ada@example.org')
  })

  await t.test(
    'OpenID Connect Core 1.0 §10.2: ID token and userinfo for the eyes of the client alone',
    async t => {
      const algorithm = { name: 'ECDH', namedCurve: 'P-256' }
      const keys = (await crypto.subtle.generateKey(algorithm, true, [
        'deriveBits'
      ])) as webcrypto.CryptoKeyPair
      const encrypted = { alg: 'ECDH-ES+A256KW', enc: 'A256GCM' }
      const party = await register({
        jwks: { keys: [await jwkOf(keys, { use: 'enc', alg: encrypted.alg, kid: 'enc' })] },
        id_token_encrypted_response_alg: encrypted.alg,
        id_token_encrypted_response_enc: encrypted.enc,
        userinfo_signed_response_alg: 'ES256',
        userinfo_encrypted_response_alg: encrypted.alg,
        userinfo_encrypted_response_enc: encrypted.enc
      })
      const decrypt = async (jwe: string) => {
        const { plaintext, protectedHeader } = await compactDecrypt(jwe, keys.privateKey)
        t.match(protectedHeader, encrypted)
        return new TextDecoder().decode(plaintext)
      }
      const opening = { [oauth.jweDecrypt]: decrypt }
      const request = await createRequest(party)
      const callback = await follow(party, ada, request.params)
      const { access_token } = await redeem(party, { request, callback, options: opening })
      const userinfo = await oauth.userInfoRequest(as, party.client, access_token, http)
      const claims = await oauth.processUserInfoResponse(
        as,
        party.client,
        oauth.skipSubjectCheck,
        userinfo,
        opening
      )
      t.equal(claims.email, 'ada@example.org')
    }
  )

  await t.test('RFC 9449 §8: a proof has to carry a nonce of ours, which the refusal hands out', async t => {
    const party = await register({ token_endpoint_auth_method: 'none', dpop_bound_access_tokens: true })
    const options = { DPoP: oauth.DPoP(party.client, await oauth.generateKeyPair('ES256')) }
    const request = await createRequest(party)
    const { access_token, token_type } = await redeem(party, {
      request,
      callback: await follow(party, ada, request.params),
      options
    })
    t.equal(token_type, 'dpop')

    const fresh = { DPoP: oauth.DPoP(party.client, await oauth.generateKeyPair('ES256')) }
    const refresh = async () => {
      const asked = await oauth.refreshTokenGrantRequest(as, party.client, party.auth, 'x', {
        ...http,
        ...fresh
      })
      return await oauth.processRefreshTokenResponse(as, party.client, asked)
    }
    t.equal(await errorOf(refresh()), 'use_dpop_nonce')
    t.equal(await errorOf(refresh()), 'invalid_grant', 'the second try is past that')
    const ask = async () => {
      const userinfo = await oauth.userInfoRequest(as, party.client, access_token, { ...http, ...options })
      return await oauth.processUserInfoResponse(as, party.client, oauth.skipSubjectCheck, userinfo)
    }
    t.equal((await retryWithNonce(ask)).email, 'ada@example.org')
  })

  await t.test('FAPI 2.0 Message Signing §5: all of it at once', async t => {
    const party = await register(
      {
        security_profile: 'fapi2-message-signing',
        token_endpoint_auth_method: 'private_key_jwt',
        jwks
      },
      () => oauth.PrivateKeyJwt(privateKey)
    )
    const { client, auth } = party
    const options = { DPoP: oauth.DPoP(client, await oauth.generateKeyPair('ES256')) }
    const request = await createRequest(party, { response_mode: 'jwt' })
    const push = async () => {
      const signed = await oauth.issueRequestObject(as, client, request.params, privateKey)
      const body = { client_id: client.client_id, request: signed }
      const response = await oauth.pushedAuthorizationRequest(as, client, auth, body, { ...http, ...options })
      return await oauth.processPushedAuthorizationResponse(as, client, response)
    }
    const { request_uri } = await retryWithNonce(push)
    const url = await follow(party, ada, { client_id: client.client_id, request_uri })
    const callback = await oauth.validateJwtAuthResponse(as, client, url, request.params.state, http)
    t.equal((await redeem(party, { request, callback, options })).token_type, 'dpop')
  })
})

t.test('RFC 8705 §2.2, §3: a certificate of its own making, and a token that is bound to it', async t => {
  const service = await startService(t, { environment: { ...serveTls(t), MTLS_CLIENT_CERTIFICATES: 'on' } })
  const as = await discover(service)
  const own = issueCertificate('robot')
  const jwk = createPublicKey(own.privateKey).export({ format: 'jwk' })
  const registered = await service.register({
    client_name: 'Robot',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'self_signed_tls_client_auth',
    tls_client_certificate_bound_access_tokens: true,
    resources: ['urn:demo:api'],
    jwks: { keys: [{ ...jwk, x5c: [own.der.toString('base64')] }] }
  })
  const { client, auth } = createParty(as, registered, () => oauth.TlsClientAuth())
  const ask = async (certificate: Certificate) => {
    const options = { [oauth.customFetch]: fetchWith(certificate) }
    const asked = { resource: 'urn:demo:api', scope: 'api:read' }
    const response = await oauth.clientCredentialsGrantRequest(as, client, auth, asked, options)
    return await oauth.processClientCredentialsResponse(as, client, response)
  }
  const { access_token } = await ask(own)
  t.type((readJwt(access_token).payload.cnf as Record<string, string>)['x5t#S256'], 'string')
  t.equal(await errorOf(ask(issueCertificate('robot'))), 'invalid_client')
})
