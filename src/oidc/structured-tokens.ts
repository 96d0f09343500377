// Introspection of our own JWT access tokens, which the library knows for opaque ones only (RFC 7662, RFC 9068).
import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import type { KoaContextWithOIDC } from 'oidc-provider'
import type { Document } from './mount.ts'
import type { Oidc } from './oidc.ts'
import type { RegisteredClient } from './registry.ts'
import { isGrantAlive } from './repository.ts'

type Claims = {
  iss: string
  sub: string
  aud: string
  exp: number
  iat: number
  jti: string
  client_id: string
  scope?: string
  cnf?: Record<string, string>
  acr?: string
  auth_time?: number
  authorization_details?: object[]
}

export type VerificationKeys = Map<string, { alg: string; key: KeyObject }>

/** The published keys, ready to verify with. */
export function readVerificationKeys({ body }: Document): VerificationKeys {
  const { keys } = JSON.parse(body.toString()) as { keys: (JsonWebKey & { kid: string; alg: string })[] }
  return new Map(
    keys.map(jwk => [jwk.kid, { alg: jwk.alg, key: createPublicKey({ key: jwk, format: 'jwk' }) }])
  )
}

/** A client sees its own tokens; one that guards a resource sees the tokens for it. @see RFC 7662 §4 */
export function mayIntrospect(
  client: RegisteredClient,
  token: { clientId?: string | undefined; aud?: string | string[] | undefined }
): boolean {
  if (token.clientId === client.clientId) return true
  return client.introspection && typeof token.aud === 'string' && client.resources.includes(token.aud)
}

/**
 * Replaces the library's refusal of a JWT by what RFC 7662 §2.2 asks for: what the token says while it is good, and
 * `{"active":false}` for any other, without a reason. The library has authenticated the client by then.
 */
export async function introspectStructuredToken(oidc: Oidc, ctx: KoaContextWithOIDC): Promise<void> {
  const { error } = (ctx.body ?? {}) as { error?: string }
  if (ctx.oidc?.route !== 'introspection' || error !== 'unsupported_token_type') return
  const client = ctx.oidc.client as RegisteredClient
  const claims = readAccessToken(oidc, String(ctx.oidc.params?.token))
  ctx.status = 200
  ctx.body =
    claims !== null &&
    mayIntrospect(client, { clientId: claims.client_id, aud: claims.aud }) &&
    (await isAlive(oidc, claims))
      ? describe(claims)
      : { active: false }
  await signIntrospection(oidc, ctx)
}

const signedIntrospection = 'application/token-introspection+jwt'

/** As the library does for the tokens that it knows: a JWT for whoever asks for one. @see RFC 9701 §4, §5 */
async function signIntrospection({ current }: Oidc, ctx: KoaContextWithOIDC): Promise<void> {
  if (ctx.accepts('json', signedIntrospection) !== signedIntrospection) return
  const answer = new (current().provider.IdToken)({}, { ctx } as never)
  answer.set('token_introspection', ctx.body)
  ctx.body = await answer.issue({ use: 'introspection' })
  ctx.type = `${signedIntrospection}; charset=utf-8`
}

/** The claims of an access token that we signed and that has not expired; null for anything else. */
function readAccessToken({ current, ctx }: Oidc, token: string): Claims | null {
  const [header = '', payload = '', signature = '', ...more] = token.split('.')
  const { alg, kid, typ } = parse<{ alg?: string; kid?: string; typ?: string }>(header) ?? {}
  const known = current().keys.get(kid ?? '')
  // Only what says of itself that it is an access token: an ID token is none (RFC 9068 §4).
  if (more.length > 0 || known === undefined || known.alg !== alg || typ !== 'at+jwt') return null
  const signed = verify(
    alg === 'EdDSA' ? null : 'sha256',
    Buffer.from(`${header}.${payload}`),
    { key: known.key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url')
  )
  const claims = signed ? parse<Claims>(payload) : null
  if (claims === null || claims.iss !== ctx.config.issuer) return null
  return claims.exp * 1000 > ctx.now().getTime() ? claims : null
}

function parse<T>(part: string): T | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null ? (value as T) : null
  } catch {
    return null
  }
}

/** Whether whoever it speaks for still stands behind it: the client by itself, or a person's grant. */
async function isAlive({ current, ctx }: Oidc, { sub, client_id: clientId, iat }: Claims): Promise<boolean> {
  if ((await current().registry.clients.find(clientId)) === undefined) return false
  if (sub === clientId) return true
  return await isGrantAlive(ctx.sql, { accountId: sub, clientId, issuedAt: iat, now: ctx.now() })
}

/** What introspection tells of a token beyond the form that it has: RFC 7662 §2.2, RFC 9396 §9.2, RFC 9470 §6.2. */
const toldClaims = [
  'iss',
  'sub',
  'aud',
  'exp',
  'iat',
  'jti',
  'client_id',
  'scope',
  'cnf',
  'acr',
  'auth_time',
  'authorization_details'
] as const

const describe = (claims: Claims) => ({
  active: true,
  ...Object.fromEntries(
    toldClaims.map(name => [name, claims[name]]).filter(([, value]) => value !== undefined)
  ),
  token_type: claims.cnf?.jkt === undefined ? 'Bearer' : 'DPoP'
})
