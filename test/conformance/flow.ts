// A whole authorization, with what every module of the suite's OpenID Connect plans checks on its way.
import type { Test } from 'tap'
import {
  type Answer,
  type Body,
  type Fields,
  get,
  goOn,
  halfHash,
  type Request,
  readJwt,
  redeemCode,
  requestUrl,
  responseOf,
  type Suite,
  type SuiteClient,
  Visitor,
  verifyIdToken
} from '../helpers/conformance.ts'

export type Claims = Record<string, unknown>

/** A flow that is under way: what was asked, and the page or redirect that came of it. */
export type Begun = Request & { suite: Suite; visitor: Visitor; url: URL; page: Answer }

export type Finished = {
  visitor: Visitor
  client: SuiteClient
  /** The answer of the authorization endpoint. */
  response: URLSearchParams
  code: string | null
  /** What the token endpoint said; empty in the implicit flow. */
  tokens: Body
  /** The last one that was issued. */
  accessToken: string | null
  idToken: string
  claims: Claims
}

/** Sends the authorization request, and follows it to the first page. */
export async function begin(
  suite: Suite,
  { visitor = new Visitor(), ...request }: Request & { visitor?: Visitor }
): Promise<Begun> {
  const url = requestUrl(suite, request)
  return { ...request, suite, visitor, url: new URL(url), page: await visitor.visit(url) }
}

/** Signs in and allows where that is asked, and takes everything that the client is given. `redeem`: over the token request. */
export async function finish(t: Test, begun: Begun, redeem: Fields = {}): Promise<Finished> {
  const { suite, client, variant, visitor, url } = begun
  const response = responseOf(await goOn(suite, visitor, begun.page), variant)
  t.equal(response.get('error'), null, response.get('error_description') ?? '')
  t.equal(response.get('state'), url.searchParams.get('state'), 'state comes back as it was sent')
  // An ID token in the answer says it already (RFC 9207 §2).
  t.equal(response.get('iss'), response.has('id_token') ? null : suite.service.issuer)
  const nonce = url.searchParams.get('nonce')
  const code = variant.responseType.includes('code') ? response.get('code') : null
  const front = await takeFront(t, begun, { response, nonce, code })
  if (code === null) return { visitor, client, response, code, tokens: {}, ...front }
  t.match(code, /^[A-Za-z0-9_-]{43,}$/, 'a code of 256 bits')
  const back = await takeTokens(t, begun, { code, nonce, redeem })
  if (front.idToken !== '') t.equal(back.claims.sub, front.claims.sub, 'OpenID Connect Core 1.0 §3.3.3.6')
  return { visitor, client, response, code, ...back }
}

type FromFront = { response: URLSearchParams; nonce: string | null; code: string | null }

async function takeFront(t: Test, { suite, client, variant }: Begun, { response, nonce, code }: FromFront) {
  const types = variant.responseType.split(' ')
  const accessToken = response.get('access_token')
  t.equal(accessToken !== null, types.includes('token'))
  if (accessToken !== null) {
    t.equal(response.get('token_type'), 'Bearer')
    t.ok(Number(response.get('expires_in')) > 0)
  }
  const idToken = response.get('id_token') ?? ''
  t.equal(idToken !== '', types.includes('id_token'))
  const claims = idToken === '' ? {} : await checkIdToken(t, suite, { client, idToken, nonce })
  // OpenID Connect Core 1.0 §3.3.2.11
  if (idToken !== '' && code !== null) t.equal(claims.c_hash, halfHash(code))
  if (idToken !== '' && accessToken !== null) t.equal(claims.at_hash, halfHash(accessToken))
  if (accessToken !== null) await checkAccess(t, suite, accessToken, claims.sub)
  return { accessToken, idToken, claims }
}

type FromBack = { code: string; nonce: string | null; redeem: Fields }

async function takeTokens(t: Test, { suite, client }: Begun, { code, nonce, redeem }: FromBack) {
  const { status, headers, body: tokens } = await redeemCode(suite, client, code, redeem)
  t.equal(status, 200, tokens.error_description ?? '')
  t.match(headers.get('content-type'), /^application\/json/)
  t.match(headers.get('cache-control'), /no-store/, 'RFC 6749 §5.1')
  t.equal(tokens.token_type, 'Bearer')
  t.ok(Number(tokens.expires_in) > 0)
  const accessToken = tokens.access_token ?? ''
  t.match(accessToken, /^[\x21-\x7e]{43,}$/, 'RFC 6749 §A.12')
  const idToken = tokens.id_token ?? ''
  const claims = await checkIdToken(t, suite, { client, idToken, nonce })
  if (claims.at_hash !== undefined) t.equal(claims.at_hash, halfHash(accessToken))
  await checkAccess(t, suite, accessToken, claims.sub)
  return { tokens, accessToken, idToken, claims }
}

type Checked = { client: SuiteClient; idToken: string; nonce: string | null }

/** OpenID Connect Core 1.0 §2, §3.1.3.7 */
export async function checkIdToken(
  t: Test,
  suite: Suite,
  { client, idToken, nonce }: Checked
): Promise<Claims> {
  const claims = await verifyIdToken(suite, client, idToken)
  t.equal(claims.nonce, nonce ?? undefined)
  t.match(claims.sub, /^[\x20-\x7e]{1,255}$/)
  return claims
}

/** The access token opens userinfo, which tells of the same person. @see OpenID Connect Core 1.0 §5.3.2 */
async function checkAccess(t: Test, suite: Suite, accessToken: string, sub: unknown): Promise<void> {
  const { status, headers, text, body } = await get(suite.service, '/userinfo', {
    authorization: `Bearer ${accessToken}`
  })
  t.equal(status, 200)
  const said = headers.get('content-type')?.startsWith('application/jwt') ? readJwt(text).payload : body
  if (sub !== undefined) t.equal(said.sub, sub)
}

/** A whole flow of a new browser. */
export const complete = async (
  t: Test,
  suite: Suite,
  request: Request & { visitor?: Visitor; redeem?: Fields }
): Promise<Finished> => await finish(t, await begin(suite, request), request.redeem)
