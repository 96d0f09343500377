// Claims that the operator has filled in by data: which, from what, for whom.
import { scopeToken } from './member-model.ts'
import type { Fault } from './model.ts'

export const claimSources = ['profile', 'roles', 'groups', 'constant'] as const
export type ClaimSource = (typeof claimSources)[number]

export const claimDestinations = ['id_token', 'access_token', 'userinfo'] as const
export type ClaimDestination = (typeof claimDestinations)[number]

export type Json = string | number | boolean | null | Json[] | { [member: string]: Json }

export type ClaimMapping = {
  id: string
  claim: string
  source: ClaimSource
  /** Of a profile: where in it, with dots between; else null. */
  path: string | null
  /** Of a constant; else null. */
  value: Json
  /** Null: any scope. */
  scope: string | null
  /** Null: any client. */
  clientId: string | null
  destinations: ClaimDestination[]
  /** What people read of the scope where they are asked to agree. */
  description: string | null
  createdAt: Date
}

/** A mapping as it is asked for: every member may be missing or wrong. */
export type ClaimInput = Partial<Record<Exclude<keyof ClaimMapping, 'id' | 'createdAt'>, unknown>>

/**
 * What the protocol and its neighbours give a meaning of their own: an application would believe a mapping's value. The
 * standard claims of a person are among them, for whoever can say what an address is can be its owner.
 *
 * @see OpenID Connect Core 1.0 §2, §5.1; RFC 7519 §4.1; RFC 7662 §2.2; RFC 8693 §4; RFC 9068 §2.2
 */
const reservedClaims = new Set(
  [
    'iss sub aud exp nbf iat jti nonce auth_time acr amr azp at_hash c_hash s_hash sid sub_jwk events toe txn',
    'cnf act may_act scope client_id grant_id authorization_details active token_type username token_introspection',
    '_claim_names _claim_sources vot vtm urn:openid:params:jwt:claim:rt_hash',
    'name given_name family_name middle_name nickname preferred_username profile picture website gender birthdate',
    'zoneinfo locale updated_at email email_verified address phone_number phone_number_verified'
  ].flatMap(line => line.split(' '))
)

export const isReservedClaim = (claim: string): boolean =>
  reservedClaims.has(claim) || Object.hasOwn(Object.prototype, claim)

const claimName = /^[A-Za-z][A-Za-z0-9._:/-]{0,99}$/

/** Whether a claim of this name may be added to a token by the operator. */
export const mayBeAdded = (claim: string): boolean => claimName.test(claim) && !isReservedClaim(claim)

const mostValueCharacters = 2000

/** Checks a mapping; `faults` names everything that is wrong. Without destinations it goes into userinfo alone. */
export function parseClaimMapping(
  input: ClaimInput
): { ok: true; mapping: Omit<ClaimMapping, 'id' | 'createdAt'> } | { ok: false; faults: Fault[] } {
  const {
    claim,
    source,
    path = null,
    value = null,
    scope = null,
    clientId = null,
    description = null
  } = input
  const { destinations = ['userinfo'] } = input
  const faults = [
    fault('claim', claimProblem(claim)),
    fault(
      'source',
      claimSources.includes(source as ClaimSource) ? null : `must be one of ${claimSources.join(', ')}`
    ),
    fault('path', pathProblem(source, path)),
    fault('value', valueProblem(source, value)),
    fault('scope', scope === null || isScope(scope) ? null : 'must be one scope'),
    fault('client_id', clientId === null || typeof clientId === 'string' ? null : 'must be a client_id'),
    fault('destinations', destinationsProblem(destinations)),
    fault('description', descriptionProblem(description))
  ].flat()
  if (faults.length > 0) return { ok: false, faults }
  const mapping = { claim, source, path, value, scope, clientId, destinations, description }
  return { ok: true, mapping: mapping as Omit<ClaimMapping, 'id' | 'createdAt'> }
}

const fault = (field: string, message: string | null): Fault[] =>
  message === null ? [] : [{ field, message }]

function claimProblem(claim: unknown): string | null {
  if (typeof claim !== 'string' || !claimName.test(claim))
    return 'must be a name of letters, digits and . _ : / -'
  return isReservedClaim(claim) ? 'is a claim with a meaning of its own, which no mapping can change' : null
}

function pathProblem(source: unknown, path: unknown): string | null {
  if (source !== 'profile') return path === null ? null : 'is for a source in the profile alone'
  return typeof path === 'string' &&
    path.length <= 200 &&
    /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+){0,4}$/.test(path)
    ? null
    : 'must name a field of the profile, as department or address.country'
}

function valueProblem(source: unknown, value: unknown): string | null {
  if (source !== 'constant') return value === null ? null : 'is for a constant alone'
  if (value === null || value === undefined) return 'is needed: what the claim says'
  const text = JSON.stringify(value)
  // jsonb cannot hold the character zero.
  return text.length <= mostValueCharacters && !text.includes('\\u0000')
    ? null
    : `must not be longer than ${mostValueCharacters} characters`
}

const isScope = (scope: unknown): boolean =>
  typeof scope === 'string' && scope.length <= 100 && scopeToken.test(scope)

function destinationsProblem(destinations: unknown): string | null {
  return Array.isArray(destinations) &&
    destinations.length > 0 &&
    new Set(destinations).size === destinations.length &&
    destinations.every(destination => claimDestinations.includes(destination))
    ? null
    : `must be some of ${claimDestinations.join(', ')}`
}

function descriptionProblem(description: unknown): string | null {
  if (description === null) return null
  const fits =
    typeof description === 'string' &&
    description.trim() === description &&
    description !== '' &&
    [...description].length <= 100 &&
    !/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(description)
  return fits ? null : 'must be plain text of at most 100 characters'
}
