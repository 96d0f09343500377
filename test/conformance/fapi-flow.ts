// A whole flow of the FAPI 2.0 Security Profile, with what every module of the suite's plan checks on its way.
import type { Test } from 'tap'
import { type Body, readJwt, type Suite, verifyIdToken } from '../helpers/conformance.ts'
import {
  authorize,
  callUserinfo,
  codeFields,
  type Deviation,
  type FapiClient,
  type Push,
  type Pushed,
  push,
  requestTokens
} from '../helpers/fapi.ts'
import { createKey, type Key } from '../helpers/keyed-client.ts'

export type FapiRun = {
  t: Test
  suite: Suite
  /** Its keys are RSA's, the other's elliptic. */
  one: FapiClient
  two: FapiClient
}
export type FapiModule = { section: string; says: string; run: (run: FapiRun) => Promise<void> }

export type Authorized = { pushed: Pushed; code: string | null; response: URLSearchParams }

/** Pushes a request and has it granted. */
export async function grant(
  { t, suite }: FapiRun,
  client: FapiClient,
  { params: beside = {}, ...options }: Push & { params?: Record<string, string | undefined> } = {}
): Promise<Authorized> {
  const pushed = await push(suite, client, { ...options, params: beside })
  const { status, headers, body } = pushed.reply
  t.equal(status, 201, body.error_description ?? '')
  t.match(headers.get('content-type'), /^application\/json/)
  t.match(headers.get('cache-control'), /no-store/)
  t.match(body.request_uri, /^urn:ietf:params:oauth:request_uri:[\w-]{22,}$/)
  // FAPI 2.0 Security Profile §5.3.2.2
  t.ok(Number(body.expires_in) > 0 && Number(body.expires_in) < 600)
  const response = await authorize(suite, client, { pushed })
  t.equal(response.get('error'), null)
  t.equal(response.get('state'), pushed.params.state ?? null)
  t.equal(response.get('iss'), suite.service.issuer, 'RFC 9207 §2')
  t.match(response.get('code'), /^[\w-]{43,}$/)
  return { pushed, response, code: response.get('code') }
}

export type Obtained = Authorized & { tokens: Body; accessToken: string; key: Key; claims: Body }

export type Flow = Push & { tokenKey?: Key; tokenProof?: Deviation }

/** A flow to the end: tokens, and userinfo with them. `key`: sent to the pushed request too, to bind the code to it. */
export async function completeFapi(run: FapiRun, client: FapiClient, flow: Flow = {}): Promise<Obtained> {
  const { t, suite } = run
  const { tokenKey, tokenProof, ...request } = flow
  const authorized = await grant(run, client, request)
  const key = tokenKey ?? request.key ?? createKey('ES256')
  const reply = await requestTokens(suite, client, {
    fields: codeFields(authorized.code, authorized.pushed),
    key,
    ...(tokenProof === undefined ? {} : { proof: tokenProof })
  })
  const { status, headers, body: tokens } = reply
  t.equal(status, 200, tokens.error_description ?? '')
  t.match(headers.get('cache-control'), /no-store/)
  t.equal(tokens.token_type, 'DPoP')
  t.ok(Number(tokens.expires_in) > 0)
  const accessToken = tokens.access_token ?? ''
  t.match(accessToken, /^[\x21-\x7e]{43,}$/)
  const claims = (await verifyIdToken(suite, client, tokens.id_token ?? '')) as Body
  const { header } = readJwt(tokens.id_token)
  t.match(header.alg, /^(PS256|ES256|EdDSA)$/, 'FAPI 2.0 Security Profile §5.4.1')
  t.match(header.kid, /.+/)
  t.equal(claims.nonce, authorized.pushed.params.nonce)
  const proof = tokenProof === undefined ? {} : { proof: tokenProof }
  const info = await callUserinfo(suite, accessToken, { key, ...proof })
  t.equal(info.status, 200)
  t.equal(info.body.sub, claims.sub)
  t.match(info.headers.get('date'), /GMT$/)
  return { ...authorized, tokens, accessToken, key, claims }
}

/** RFC 6749 §5.2 */
export function isError(
  t: Test,
  { status, headers, body }: { status: number; headers: Headers; body: Body },
  expected: { status: number | number[]; errors: string[] }
): void {
  t.ok([expected.status].flat().includes(status), `${status}`)
  t.match(headers.get('content-type'), /^application\/json/)
  t.ok(expected.errors.includes(body.error ?? ''), `${body.error}: ${body.error_description}`)
  t.notMatch(body.error_description ?? '', /[^\x20-\x21\x23-\x5b\x5d-\x7e]/)
  for (const name of ['access_token', 'request_uri']) t.notOk(name in body)
}
