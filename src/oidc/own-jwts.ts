// JWTs that we signed ourselves, read back: who may see them, and whether anybody still stands behind them.
import { createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { hashToken } from '../lib/tokens.ts'
import type { Actor, SignInFacts } from './model.ts'
import type { Document } from './mount.ts'
import type { Oidc } from './oidc.ts'
import { findGrantStanding, findRevokedToken } from './standing-repository.ts'

type Claims = SignInFacts & { iss: string; sub: string; aud: string; exp: number; iat: number }

/** @see RFC 9068 §2.2; `grant_id` is ours: the grant that the token lives and dies with, which a client's own has none of. */
export type AccessTokenClaims = Claims & {
  jti: string
  client_id: string
  grant_id?: string
  scope?: string
  cnf?: { jkt?: string; 'x5t#S256'?: string }
  act?: Actor
  may_act?: unknown
}

export type VerificationKeys = Map<string, { alg: string; key: KeyObject }>

/** The published keys, ready to verify with. */
export function readVerificationKeys({ body }: Document): VerificationKeys {
  const { keys } = JSON.parse(body.toString()) as { keys: (JsonWebKey & { kid: string; alg: string })[] }
  return new Map(
    keys.map(jwk => [jwk.kid, { alg: jwk.alg, key: createPublicKey({ key: jwk, format: 'jwk' }) }])
  )
}

export const isJwt = (token: string): boolean => token.includes('.')

/** A JWT that we signed and that has not expired, whatever it is for (`typ`); null for anything else. */
export function readOwnJwt(
  { current, ctx }: Oidc,
  token: string
): { typ: string | undefined; claims: Claims } | null {
  const [header = '', payload = '', signature = '', ...more] = token.split('.')
  const { alg, kid, typ } = parse<{ alg?: string; kid?: string; typ?: string }>(header) ?? {}
  const known = current().keys.get(kid ?? '')
  if (more.length > 0 || known === undefined || known.alg !== alg) return null
  const signed = verify(
    alg === 'EdDSA' ? null : 'sha256',
    Buffer.from(`${header}.${payload}`),
    { key: known.key, dsaEncoding: 'ieee-p1363' },
    Buffer.from(signature, 'base64url')
  )
  const claims = signed ? parse<Claims>(payload) : null
  if (claims === null || claims.iss !== ctx.config.issuer) return null
  return claims.exp * 1000 > ctx.now().getTime() ? { typ, claims } : null
}

/** The claims of an access token: only what says of itself that it is one. An ID token is none. @see RFC 9068 §4 */
export function readAccessToken(oidc: Oidc, token: string): AccessTokenClaims | null {
  const jwt = readOwnJwt(oidc, token)
  return jwt?.typ === 'at+jwt' ? (jwt.claims as AccessTokenClaims) : null
}

function parse<T>(part: string): T | null {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString())
    return typeof value === 'object' && value !== null ? (value as T) : null
  } catch {
    return null
  }
}

/** The person whose grant a token lives with; all null where a client speaks for itself. */
export type Standing = { grantId: string; accountId: string } | { grantId: null; accountId: null }

/**
 * Who stands behind an access token: a person's grant, or clients by themselves. Null once nobody does: a client is gone, the
 * grant or the account has ended, or the token was revoked. One look-up.
 */
export async function findStanding(oidc: Oidc, claims: AccessTokenClaims): Promise<Standing | null> {
  const { ctx } = oidc
  const { grant_id: grantId, client_id: clientId, sub, jti, iat: issuedAt } = claims
  // By exchange a client may speak for another one.
  if (!(await areRegistered(oidc, grantId === undefined ? [clientId, sub] : [clientId]))) return null
  const jtiHash = hashToken(jti)
  if (grantId !== undefined)
    return await findGrantStanding(ctx.sql, { grantId, jtiHash, issuedAt, now: ctx.now() })
  return (await findRevokedToken(ctx.sql, jtiHash)) ? null : { grantId: null, accountId: null }
}

/** Whether all of these clients are still there. */
async function areRegistered({ current }: Oidc, clientIds: string[]): Promise<boolean> {
  for (const id of clientIds) if ((await current().registry.clients.find(id)) === undefined) return false
  return true
}
