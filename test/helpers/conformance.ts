// The OpenID Foundation's test suite, as a client of a running server: it registers, signs the test person in as a robot
// without script does, and checks every answer as the suite's modules do.
import { createHash, randomBytes } from 'node:crypto'
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { ensureTestPerson, type TestPerson } from '../../src/development/conformance-service.ts'
import { authorizationUrl, type Body, type Fields, get, post, type Reply, readJwt } from './protocol.ts'
import { type Service, startService } from './service.ts'
import { type Answer, findForm, Visitor } from './visitor.ts'

type Teardown = { teardown: (work: () => unknown) => void }

/** What a plan runs a module with. */
export type Variant = {
  responseType: string
  responseMode?: 'form_post'
}

export type Suite = { service: Service; person: TestPerson; discovery: Body; keys: JSONWebKeySet }

export const suiteUrl = 'https://localhost.emobix.co.uk:8443/test/a/gatehouse'
export const callbackUrl = `${suiteUrl}/callback`

/** A server with the conformance profile and its test person. */
export async function startSuite(t: Teardown, environment: Record<string, string> = {}): Promise<Suite> {
  const service = await startService(t, { environment: { PROFILE: 'conformance', ...environment } })
  const person = await ensureTestPerson(service.app.ctx)
  const { body: discovery } = await get(service, '/.well-known/openid-configuration')
  const { body: keys } = await get(service, new URL(String(discovery.jwks_uri)).pathname)
  return { service, person, discovery, keys: keys as unknown as JSONWebKeySet }
}

const tokenTypes = (responseType: string) => responseType.split(' ').filter(type => type !== 'code')

/** A client as the suite registers one for a variant. */
export async function registerFor(
  { service }: Suite,
  { responseType }: Variant,
  over: Record<string, unknown> = {}
): Promise<DemoClient> {
  const grants = [
    ...(responseType.includes('code') ? ['authorization_code'] : []),
    ...(tokenTypes(responseType).length > 0 ? ['implicit'] : [])
  ]
  return await service.register({
    client_name: 'Conformance suite',
    redirect_uris: [callbackUrl],
    grant_types: grants,
    response_types: [responseType],
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: 'RS256',
    contacts: ['certification@oidf.org'],
    ...over
  })
}

export type Request = { client: DemoClient; variant: Variant; params?: Fields }

/** An authorization request as the suite sends it: state, nonce and no PKCE. */
export function requestUrl({ service }: Suite, { client, variant, params = {} }: Request): string {
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

/** A token request of the client, by its registered way to authenticate. */
export async function askForTokens({ service }: Suite, client: DemoClient, fields: Fields): Promise<Reply> {
  if (client.token_endpoint_auth_method !== 'client_secret_post')
    return await post(service, '/token', fields, { client })
  const { client_id, client_secret } = client
  return await post(service, '/token', { ...fields, client_id, client_secret })
}

export const redeemCode = async (
  suite: Suite,
  client: DemoClient,
  code: string | null,
  over: Fields = {}
): Promise<Reply> =>
  await askForTokens(suite, client, {
    grant_type: 'authorization_code',
    code: code ?? '',
    redirect_uri: callbackUrl,
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
