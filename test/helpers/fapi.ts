// A client of the FAPI 2.0 Security Profile, as the OpenID Foundation's test suite is one: private_key_jwt and DPoP.
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { callbackUrl, type Fields, get, goOn, post, type Reply, type Suite } from './conformance.ts'
import { signJws } from './jws.ts'
import { assertionType, createKey, type Key, type Spoilt, seconds } from './keyed-client.ts'
import { createVerifier } from './protocol.ts'
import { type Answer, Visitor } from './visitor.ts'

export type FapiClient = DemoClient & { key: Key }

/** The suite's second redirect URI has a query of its own. */
export const redirectUris = [callbackUrl, `${callbackUrl}?dummy1=lorem&dummy2=ipsum`]

export async function registerFapiClient({ service }: Suite, alg: Key['alg']): Promise<FapiClient> {
  const key = createKey(alg, 'suite')
  const registered = await service.register({
    client_name: 'Conformance suite',
    redirect_uris: redirectUris,
    grant_types: ['authorization_code', 'refresh_token'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [{ ...key.publicJwk, alg }] },
    security_profile: 'fapi2'
  })
  return { ...registered, key }
}

/** What an assertion, a proof or a request is to have that a right one has not; an undefined member is left out. */
export type Deviation = Spoilt & { key?: Key }

/** RFC 7523 §3; the audience is the issuer, as FAPI 2.0 Security Profile §5.3.3.1 has it. */
export function assertionOf(
  { service: { issuer } }: Suite,
  { client_id, key }: FapiClient,
  { claims = {}, header = {}, key: other = key }: Deviation = {}
): Fields {
  const now = seconds()
  const right = { iss: client_id, sub: client_id, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60 }
  return {
    client_assertion_type: assertionType,
    client_assertion: signJws(
      { alg: other.alg, kid: key.kid, ...header },
      { ...right, ...claims },
      other.privateKey
    )
  }
}

export type ProofFor = { method: string; url: string; accessToken?: string; nonce?: string }

/** RFC 9449 §4.2 */
export function proofOf(
  key: Key,
  { method, url, accessToken, nonce }: ProofFor,
  { claims = {}, header = {} }: Deviation = {}
): string {
  const ath =
    accessToken === undefined ? undefined : createHash('sha256').update(accessToken).digest('base64url')
  const right = { htm: method, htu: url, jti: randomUUID(), iat: seconds(), ath, nonce }
  const named = { alg: key.alg, typ: 'dpop+jwt', jwk: key.publicJwk, ...header }
  return signJws(named, { ...right, ...claims }, key.privateKey)
}

/** Sends a proof along, and once more with the nonce that the server asks for. @see RFC 9449 §8 */
export async function withProof(
  makeProof: (nonce?: string) => string | undefined,
  send: (headers: Record<string, string>) => Promise<Reply>
): Promise<Reply> {
  const headers = (proof: string | undefined): Record<string, string> =>
    proof === undefined ? {} : { dpop: proof }
  const reply = await send(headers(makeProof()))
  const asked =
    reply.body.error === 'use_dpop_nonce' ||
    /use_dpop_nonce/.test(reply.headers.get('www-authenticate') ?? '')
  return asked ? await send(headers(makeProof(reply.headers.get('dpop-nonce') ?? ''))) : reply
}

export type Push = { params?: Fields; assertion?: Deviation; key?: Key; proof?: Deviation }
export type Pushed = { reply: Reply; verifier: string; params: Fields }

/** A pushed authorization request; with `key`, one that binds the code to it. @see RFC 9126 §2, RFC 9449 §10.1 */
export async function push(
  suite: Suite,
  client: FapiClient,
  { params = {}, assertion, key, proof }: Push = {}
): Promise<Pushed> {
  const { verifier, challenge } = createVerifier()
  const all: Fields = {
    client_id: client.client_id,
    response_type: 'code',
    redirect_uri: callbackUrl,
    scope: 'openid email',
    state: randomBytes(8).toString('hex'),
    nonce: randomBytes(8).toString('hex'),
    code_challenge: challenge,
    code_challenge_method: 'S256',
    ...params
  }
  const url = `${suite.service.issuer}/par`
  const reply = await withProof(
    nonce => key && proofOf(key, { method: 'POST', url, ...(nonce === undefined ? {} : { nonce }) }, proof),
    async headers =>
      await post(suite.service, '/par', { ...all, ...assertionOf(suite, client, assertion) }, { headers })
  )
  return { reply, verifier, params: all }
}

/** The browser's part of a pushed request, to its first page; `params` beside the two that it needs. */
export async function visitPushed(
  { service }: Suite,
  { client_id }: FapiClient,
  { pushed, visitor, params = {} }: { pushed: Pushed; visitor: Visitor; params?: Fields }
): Promise<Answer> {
  const url = new URL('/auth', service.issuer)
  const all: Fields = { client_id, request_uri: pushed.reply.body.request_uri, ...params }
  for (const [name, value] of Object.entries(all)) if (value !== undefined) url.searchParams.set(name, value)
  return await visitor.visit(url.href)
}

/** The answer at the client. */
export function answerAtClient({ location, status, url, text }: Answer): URLSearchParams {
  if (location === null || !location.startsWith(callbackUrl))
    throw new Error(`no answer to the client from ${url} (${status}): ${text}`)
  return new URL(location).searchParams
}

/** The test person signs in and allows. */
export async function authorize(
  suite: Suite,
  client: FapiClient,
  { pushed, params = {} }: { pushed: Pushed; params?: Fields }
): Promise<URLSearchParams> {
  const visitor = new Visitor()
  const page = await visitPushed(suite, client, { pushed, visitor, params })
  return answerAtClient(await goOn(suite, visitor, page))
}

export type TokenRequest = {
  fields: Fields
  /** Null: no proof is sent. */
  key: Key | null
  proof?: Deviation
  /** Null: the client names itself only. */
  assertion?: Deviation | null
}

export async function requestTokens(
  suite: Suite,
  client: FapiClient,
  { fields, key, proof, assertion = {} }: TokenRequest
): Promise<Reply> {
  const url = `${suite.service.issuer}/token`
  const authentication = () =>
    assertion === null ? { client_id: client.client_id } : assertionOf(suite, client, assertion)
  return await withProof(
    nonce =>
      key === null
        ? undefined
        : proofOf(key, { method: 'POST', url, ...(nonce === undefined ? {} : { nonce }) }, proof),
    async headers => await post(suite.service, '/token', { ...fields, ...authentication() }, { headers })
  )
}

export const codeFields = (code: string | null, { verifier, params }: Pushed): Fields => ({
  grant_type: 'authorization_code',
  code: code ?? '',
  redirect_uri: params.redirect_uri,
  code_verifier: verifier
})

/** Userinfo as the protected resource; `headers` over those of a right request. */
export async function callUserinfo(
  { service }: Suite,
  accessToken: string,
  { key, proof, headers = {} }: { key: Key; proof?: Deviation; headers?: Record<string, string> }
): Promise<Reply> {
  const url = `${service.issuer}/userinfo`
  return await withProof(
    nonce =>
      proofOf(key, { method: 'GET', url, accessToken, ...(nonce === undefined ? {} : { nonce }) }, proof),
    async dpop =>
      await get(service, '/userinfo', { authorization: `DPoP ${accessToken}`, ...dpop, ...headers })
  )
}
