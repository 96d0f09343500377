// Software statements: what somebody whom the operator believes says of an application. @see RFC 7591 §2.3
import type { Context } from '../context.ts'
import type { Json } from './registration-model.ts'

export type StatementOutcome =
  | { ok: true; claims: Json }
  | { ok: false; error: 'invalid_software_statement' | 'unapproved_software_statement'; description: string }

/** Of public keys alone: a statement keyed with what everybody may read would be anybody's. */
const algorithms = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519']

/** Claims of the statement itself, not of the application. */
const ownClaims = new Set(['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'software_statement'])

/**
 * Checks a statement and returns what it says of the application.
 *
 * Its issuer must be one of SOFTWARE_STATEMENT_ISSUERS_FILE (else `unapproved_software_statement`), whose keys there are
 * the only ones looked at, and it must expire. The same statement is good for every copy of the software.
 */
export async function readSoftwareStatement(ctx: Context, statement: unknown): Promise<StatementOutcome> {
  const invalid = (description: string): StatementOutcome => ({
    ok: false,
    error: 'invalid_software_statement',
    description
  })
  if (typeof statement !== 'string') return invalid('software_statement must be a JWT')
  const { createLocalJWKSet, decodeJwt, errors, jwtVerify } = await import('jose')
  const { issuer, registration } = ctx.config
  try {
    const { iss = '' } = decodeJwt(statement)
    const known = registration.softwareStatementIssuers
    const keys = Object.hasOwn(known, iss) ? known[iss] : undefined
    if (keys === undefined)
      return {
        ok: false,
        error: 'unapproved_software_statement',
        description: 'software_statement is of an issuer that is not believed here'
      }
    const { payload } = await jwtVerify(statement, createLocalJWKSet(keys as never), {
      algorithms,
      issuer: iss,
      requiredClaims: ['exp'],
      clockTolerance: 5,
      currentDate: ctx.now()
    })
    if (payload.aud !== undefined && ![payload.aud].flat().includes(issuer))
      return invalid('software_statement is for another server')
    return {
      ok: true,
      claims: Object.fromEntries(Object.entries(payload).filter(([name]) => !ownClaims.has(name)))
    }
  } catch (error) {
    if (error instanceof errors.JWTExpired) return invalid('software_statement has expired')
    if (error instanceof errors.JOSEError) return invalid('software_statement cannot be verified')
    // Keys that cannot be used for the algorithm that the header names.
    if (error instanceof TypeError) return invalid('software_statement cannot be verified')
    throw error
  }
}
