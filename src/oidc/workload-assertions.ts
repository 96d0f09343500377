// Finds out which workload an assertion comes from (RFC 7523 §3).
import { createLocalJWKSet, decodeJwt, type JWTPayload, jwtVerify } from 'jose'
import { type AssertionClaims, type Workload, workloadMatches } from '../clients/workload-model.ts'
import { listWorkloadsOfIssuer } from '../clients/workload-repository.ts'
import type { Context } from '../context.ts'
import { hashToken } from '../lib/tokens.ts'
import { fromSeconds, toSeconds } from '../sessions/model.ts'
import { issuerKeySet } from './issuer-keys.ts'
import { insertReplayMark } from './repository.ts'

const algorithms = ['ES256', 'ES384', 'RS256', 'PS256', 'EdDSA', 'Ed25519']
/** Clocks of others may be off by so much. */
const toleranceSeconds = 30
const longestAssertionSeconds = 3600

export type Assertion = {
  workload: Workload
  subject: string
  expiresAt: number
  /** Of one use: a name of its own, or all that it says. */
  use: string
}

export type RecogniseOutcome = { ok: true; assertion: Assertion } | { ok: false; reason: string }

/**
 * The workload of a client that an assertion is of.
 *
 * What the assertion says of itself picks the rule, and with it the keys; only then is its signature verified. Two
 * rules that fit are none, even of one client: rules that overlap by mistake must not decide by chance. `reason` is
 * for the log alone.
 */
export async function recogniseWorkload(
  ctx: Context,
  { clientId, assertion, audiences }: { clientId: string; assertion: string; audiences: string[] }
): Promise<RecogniseOutcome> {
  const claims = readClaims(assertion)
  if (claims === null) return { ok: false, reason: 'unreadable' }
  const rules = await listWorkloadsOfIssuer(ctx.sql, claims.iss)
  const [workload, ...more] = rules.filter(rule => workloadMatches(rule, claims, audiences))
  if (workload === undefined) return { ok: false, reason: 'no_rule' }
  if (more.length > 0) return { ok: false, reason: 'ambiguous' }
  if (workload.clientId !== clientId) return { ok: false, reason: 'another_client' }

  const verified = await verify(ctx, workload, assertion)
  if (typeof verified === 'string') return { ok: false, reason: verified }
  const { exp, iat } = verified
  const now = toSeconds(ctx.now())
  if (exp === undefined || exp > now + longestAssertionSeconds + toleranceSeconds)
    return { ok: false, reason: 'too_long' }
  if (iat !== undefined && iat > now + toleranceSeconds) return { ok: false, reason: 'from_the_future' }
  const use = JSON.stringify(['workload', claims.iss, verified.jti ?? assertion.split('.')[1]])
  return { ok: true, assertion: { workload, subject: claims.sub, expiresAt: exp, use } }
}

/** Takes an assertion once; false when it was taken before. One that its rule lets be reused is taken any number of times. */
export async function takeAssertion({ sql, now }: Context, assertion: Assertion): Promise<boolean> {
  if (assertion.workload.reusable) return true
  return await insertReplayMark(sql, {
    idHash: hashToken(assertion.use),
    at: now(),
    expiresAt: fromSeconds(assertion.expiresAt + toleranceSeconds + 1)
  })
}

function readClaims(assertion: string): AssertionClaims | null {
  try {
    const claims: JWTPayload = decodeJwt(assertion)
    const { iss, sub } = claims
    const aud = [claims.aud].flat().filter(audience => typeof audience === 'string')
    // PostgreSQL takes no NUL, and no issuer has one.
    if (typeof iss !== 'string' || typeof sub !== 'string' || iss.includes('\0')) return null
    return { ...claims, iss, sub, aud }
  } catch {
    return null
  }
}

async function verify(ctx: Context, workload: Workload, assertion: string): Promise<JWTPayload | string> {
  const keys =
    workload.jwks === null ? issuerKeySet(ctx, workload.issuer) : createLocalJWKSet(workload.jwks as never)
  try {
    const { payload, protectedHeader } = await jwtVerify(assertion, keys, {
      algorithms,
      issuer: workload.issuer,
      currentDate: ctx.now(),
      clockTolerance: toleranceSeconds
    })
    // A token of another kind, as an access token, says so (RFC 8725 §3.11).
    return (protectedHeader.typ ?? 'JWT').toUpperCase() === 'JWT' ? payload : 'of_another_type'
  } catch (error) {
    return (error as { code?: string }).code ?? 'keys_unavailable'
  }
}
