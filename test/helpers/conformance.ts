// The OpenID Foundation's test suite, as a client of a running server: it registers, signs the test person in as a robot
// without script does, and checks every answer as the suite's modules do.
import { createHash, randomBytes, randomUUID } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { ensureTestPerson, type TestPerson } from '../../src/development/conformance-service.ts'
import { signJws } from './jws.ts'
import { assertionType, createKey, jwksOf, type Key, seconds } from './keyed-client.ts'
import { authorizationUrl, type Body, type Fields, get, post, type Reply, readJwt } from './protocol.ts'
import { type Service, startService } from './service.ts'
import { serveTls } from './tls.ts'
import { type Answer, findForm, Visitor } from './visitor.ts'

type Teardown = { teardown: (work: () => unknown) => void }

/** What a plan runs a module with. */
export type Variant = {
  responseType: string
  responseMode?: 'form_post'
  /** By default client_secret_basic. */
  authMethod?: 'private_key_jwt'
}

/** A client that registered itself. */
export type SuiteClient = DemoClient & {
  registration_client_uri: string
  registration_access_token: string
  key: Key
}

export type Suite = { service: Service; person: TestPerson; discovery: Body; keys: JSONWebKeySet }

export const suiteUrl = 'https://localhost.emobix.co.uk:8443/test/a/gatehouse'
export const callbackUrl = `${suiteUrl}/callback`

/** A server with the conformance profile and its test person. */
export async function startSuite(t: Teardown, environment: Record<string, string> = {}): Promise<Suite> {
  const service = await startService(t, {
    environment: { PROFILE: 'conformance', ...serveTls(t), ...environment }
  })
  const person = await ensureTestPerson(service.app.ctx)
  const { body: discovery } = await get(service, '/.well-known/openid-configuration')
  const { body: keys } = await get(service, new URL(String(discovery.jwks_uri)).pathname)
  return { service, person, discovery, keys: keys as unknown as JSONWebKeySet }
}

const tokenTypes = (responseType: string) => responseType.split(' ').filter(type => type !== 'code')

/** The suite's clients all have an RSA key without a name, by which they can be known; making one takes long. */
const suiteKey = createKey('RS256')
suiteKey.publicJwk = { ...suiteKey.publicJwk, alg: 'RS256', kid: undefined }

/** Sends a registration over the wire; a member that is undefined is left out. @see RFC 7591 §3.1 */
export async function sendRegistration(
  { discovery }: Suite,
  metadata: Record<string, unknown>
): Promise<{ status: number; headers: Headers; body: Body }> {
  const answer = await fetch(String(discovery.registration_endpoint), {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(metadata)
  })
  return { status: answer.status, headers: answer.headers, body: (await answer.json()) as Body }
}

/** What the suite registers for a variant. */
export function metadataFor({ responseType, authMethod }: Variant) {
  const grants = [
    ...(responseType.includes('code') ? ['authorization_code'] : []),
    ...(tokenTypes(responseType).length > 0 ? ['implicit'] : [])
  ]
  return {
    client_name: 'Conformance suite',
    grant_types: grants,
    jwks: jwksOf(suiteKey),
    token_endpoint_auth_method: authMethod ?? 'client_secret_basic',
    response_types: [responseType],
    redirect_uris: [callbackUrl],
    contacts: ['certification@oidf.org']
  }
}

/** A client as the suite registers one for a variant; throws when it is refused. */
export async function registerFor(
  suite: Suite,
  variant: Variant,
  { key = suiteKey, ...over }: Record<string, unknown> & { key?: Key } = {}
): Promise<SuiteClient> {
  const { status, headers, body } = await sendRegistration(suite, { ...metadataFor(variant), ...over })
  const complete =
    status === 201 &&
    /^application\/json/.test(headers.get('content-type') ?? '') &&
    // RFC 7591 §3.2.1, RFC 7592 §3
    (body.client_secret === undefined || body.client_secret_expires_at === 0) &&
    String(body.registration_client_uri).startsWith(`${suite.service.issuer}/`) &&
    typeof body.registration_access_token === 'string'
  if (!complete) throw new Error(`${status} ${JSON.stringify(body)}`)
  return { ...(body as SuiteClient), key }
}

/** The suite takes each of its clients back when it is done with it; the status of that. @see RFC 7592 §2.3 */
export async function unregister(client: SuiteClient): Promise<number> {
  const { registration_client_uri, registration_access_token } = client
  const headers = { authorization: `Bearer ${registration_access_token}`, accept: 'application/json' }
  return (await fetch(registration_client_uri, { method: 'DELETE', headers })).status
}

export type Request = { client: SuiteClient; variant: Variant; params?: Fields }

/** An authorization request as the suite sends it: state, nonce and no PKCE. */
export function requestUrl(
  { service }: Suite,
  { client, variant, params = {} }: Omit<Request, 'client'> & { client: DemoClient }
): string {
  return authorizationUrl(service, client, {
    response_type: variant.responseType,
    response_mode: variant.responseMode,
    state: randomBytes(8).toString('hex'),
    nonce: randomBytes(8).toString('hex'),
    code_challenge: undefined,
    code_challenge_method: undefined,
    ...params
  })
}

export const isSignInPage = ({ text }: Answer): boolean => text.includes('id="sign-in-form"')

/** Goes on from a page as the robot does: signs the test person in, allows, and stops at the answer to the client. */
export async function goOn({ person }: Suite, visitor: Visitor, page: Answer): Promise<Answer> {
  const signedIn = isSignInPage(page) ? await visitor.submit(page, 'sign-in-form', person) : page
  return signedIn.text.includes('id="consent-form"')
    ? await visitor.submit(signedIn, 'consent-form', { decision: 'allow' })
    : signedIn
}

/** What the client got at its redirect URI: in the query, in the fragment, or as a form that the browser posts. */
export function responseOf(answer: Answer, { responseType, responseMode }: Variant): URLSearchParams {
  if (responseMode === 'form_post') return formPostOf(answer)
  if (answer.location === null || !answer.location.startsWith(callbackUrl))
    throw new Error(`no answer to the client from ${answer.url} (${answer.status}): ${answer.text}`)
  const { search, hash } = new URL(answer.location)
  return new URLSearchParams(tokenTypes(responseType).length === 0 ? search : hash.slice(1))
}

/** OAuth 2.0 Form Post Response Mode §2 */
function formPostOf({ text, url, status }: Answer): URLSearchParams {
  const action = /<form method="post" action="([^"]+)"/.exec(text)?.[1]
  if (action !== callbackUrl) throw new Error(`no form for the client at ${url} (${status}): ${text}`)
  const fields = [...text.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)"\/>/g)]
  return new URLSearchParams(fields.map(([, name = '', value = '']): [string, string] => [name, value]))
}

/** A client assertion, for the token endpoint unless `aud` says otherwise. @see OpenID Connect Core 1.0 §9 */
function assertionOf({ discovery }: Suite, { client_id, key }: SuiteClient, aud: unknown) {
  const iat = seconds()
  const claims = {
    ...{ iss: client_id, sub: client_id, aud: aud ?? discovery.token_endpoint },
    ...{ jti: randomUUID(), iat, exp: iat + 60 }
  }
  const header = { alg: key.alg, kid: key.publicJwk.kid }
  return { client_assertion_type: assertionType, client_assertion: signJws(header, claims, key.privateKey) }
}

/** A token request of the client, by its registered way to authenticate. */
export async function askForTokens(
  suite: Suite,
  client: SuiteClient,
  { aud, ...fields }: Fields
): Promise<Reply> {
  const { client_id, client_secret, token_endpoint_auth_method: method } = client
  const { service } = suite
  if (method === 'private_key_jwt')
    return await post(service, '/token', { ...fields, ...assertionOf(suite, client, aud) })
  if (method === 'client_secret_post')
    return await post(service, '/token', { ...fields, client_id, client_secret })
  return await post(service, '/token', fields, { client })
}

export const redeemCode = async (
  suite: Suite,
  client: SuiteClient,
  code: string | null,
  over: Fields = {}
): Promise<Reply> =>
  await askForTokens(suite, client, {
    grant_type: 'authorization_code',
    code: code ?? '',
    redirect_uri: String((client.redirect_uris as string[])[0]),
    ...over
  })

/** The left half of a hash. @see OpenID Connect Core 1.0 §3.1.3.6 */
export const halfHash = (text: string): string =>
  createHash('sha256').update(text).digest().subarray(0, 16).toString('base64url')

/** Verifies an ID token by the published keys, and throws unless it is one for this client. @see OpenID Connect Core 1.0 §3.1.3.7 */
export async function verifyIdToken(
  { service, keys }: Suite,
  client: DemoClient,
  idToken: string
): Promise<Record<string, unknown>> {
  const { payload } = await jwtVerify(idToken, createLocalJWKSet(keys), {
    issuer: service.issuer,
    audience: client.client_id,
    requiredClaims: ['sub', 'iat', 'exp']
  })
  return payload
}

export { type Answer, type Body, type Fields, findForm, get, post, type Reply, readJwt, Visitor }
