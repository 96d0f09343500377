// Reads a registration that somebody sent: every member checked, every fault told at once, nothing unknown let in.
import { signingAlgs } from '../keys/model.ts'
import { jwksProblem } from './jwks-model.ts'
import {
  authMethods,
  type ClientMetadata,
  type Fault,
  grantTypes,
  requirableAcrs,
  secretKeeping
} from './model.ts'
import { pageUriProblem, redirectUriProblem, resourceIndicatorProblem, type UriRules } from './uri-model.ts'

export type ParseOutcome = { ok: true; metadata: ClientMetadata } | { ok: false; faults: Fault[] }

type Check = (value: unknown, rules: UriRules) => Fault[]
type Problem = string | null

const one =
  (field: string, problem: (value: unknown, rules: UriRules) => Problem): Check =>
  (value, rules) => {
    const message = problem(value, rules)
    return message === null ? [] : [{ field, message }]
  }

/** A list without repeats, each entry checked by itself: field names the entry, as in redirect_uris[1]. */
const each =
  (field: string, problem: (value: unknown, rules: UriRules) => Problem, most = 50): Check =>
  (value, rules) => {
    if (!Array.isArray(value)) return [{ field, message: 'must be a list' }]
    if (value.length > most) return [{ field, message: `must not hold more than ${most} entries` }]
    return value.flatMap((entry, index) => {
      const message = value.indexOf(entry) < index ? 'is there twice' : problem(entry, rules)
      return message === null ? [] : [{ field: `${field}[${index}]`, message }]
    })
  }

const oneOf =
  (allowed: readonly string[]) =>
  (value: unknown): Problem =>
    typeof value === 'string' && allowed.includes(value) ? null : `must be one of ${allowed.join(', ')}`

const yesOrNo = (value: unknown): Problem => (typeof value === 'boolean' ? null : 'must be true or false')

const page = (field: string) => one(field, pageUriProblem)

function nameProblem(value: unknown): Problem {
  if (typeof value !== 'string' || value.trim() === '')
    return 'is needed: what people know the application by'
  if ([...value].length > 100) return 'must not be longer than 100 characters'
  // Direction marks and control characters make a consent page read as something else.
  return value !== value.trim() || /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u.test(value)
    ? 'must be plain text without control characters or spaces around it'
    : null
}

/** RFC 6749 §3.3 */
export const scopeToken = /^[\x21\x23-\x5b\x5d-\x7e]+$/

function scopeProblem(value: unknown): Problem {
  if (typeof value !== 'string' || value === '' || value.length > 2000)
    return 'must be scopes with single spaces between'
  const scopes = value.split(' ')
  if (!scopes.every(scope => scopeToken.test(scope))) return 'must be scopes with single spaces between'
  return new Set(scopes).size === scopes.length ? null : 'must not hold a scope twice'
}

const contactProblem = (value: unknown): Problem =>
  typeof value === 'string' &&
  /^[a-zA-Z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-zA-Z0-9-]+(\.[a-zA-Z0-9-]+)*$/.test(value)
    ? null
    : 'must be an e-mail address'

const maxAgeProblem = (value: unknown): Problem =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? null : 'must be a whole number of seconds'

const members: Record<keyof ClientMetadata, Check> = {
  client_name: one('client_name', nameProblem),
  application_type: one('application_type', oneOf(['web', 'native'])),
  redirect_uris: each('redirect_uris', redirectUriProblem),
  post_logout_redirect_uris: each('post_logout_redirect_uris', redirectUriProblem),
  grant_types: each('grant_types', oneOf(grantTypes)),
  response_types: each('response_types', oneOf(['code'])),
  token_endpoint_auth_method: one('token_endpoint_auth_method', oneOf(authMethods)),
  token_endpoint_auth_signing_alg: one(
    'token_endpoint_auth_signing_alg',
    oneOf(['HS256', 'ES256', 'RS256', 'PS256', 'EdDSA'])
  ),
  scope: one('scope', scopeProblem),
  resources: each('resources', resourceIndicatorProblem),
  first_party: one('first_party', yesOrNo),
  introspection: one('introspection', yesOrNo),
  access_token_signing_alg: one('access_token_signing_alg', oneOf(signingAlgs)),
  required_acr: one('required_acr', oneOf(requirableAcrs)),
  id_token_signed_response_alg: one('id_token_signed_response_alg', oneOf([...signingAlgs, 'HS256'])),
  client_uri: page('client_uri'),
  logo_uri: page('logo_uri'),
  policy_uri: page('policy_uri'),
  tos_uri: page('tos_uri'),
  // The library lets this one be https only, whatever the host.
  initiate_login_uri: one('initiate_login_uri', value => pageUriProblem(value, { development: false })),
  contacts: each('contacts', contactProblem, 10),
  jwks: one('jwks', jwksProblem),
  default_max_age: one('default_max_age', maxAgeProblem),
  require_auth_time: one('require_auth_time', yesOrNo),
  require_pushed_authorization_requests: one('require_pushed_authorization_requests', yesOrNo),
  dpop_bound_access_tokens: one('dpop_bound_access_tokens', yesOrNo)
}

/**
 * Checks a registration and fills in the defaults of RFC 7591 §2.
 *
 * `faults` names every member that is wrong and what to put. Redirect URIs may be http on a loopback address: for
 * native applications always (RFC 8252 §7.3), for others and for the name localhost in development only.
 */
export function parseClientMetadata(input: unknown, { development = false } = {}): ParseOutcome {
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return { ok: false, faults: [{ field: '', message: 'must be an object of client metadata' }] }

  const metadata = withDefaults(input as Record<string, unknown>)
  const applicationType = metadata.application_type === 'native' ? 'native' : 'web'
  const faults = Object.entries(metadata).flatMap(([field, value]) =>
    Object.hasOwn(members, field)
      ? members[field as keyof ClientMetadata](value, { applicationType, development })
      : [{ field, message: unknownMember(field) }]
  )
  if (faults.length > 0)
    return { ok: false, faults: [...faults, ...contradictionsWhereReadable(metadata, faults)] }

  const contradictions = findContradictions(metadata as ClientMetadata)
  if (contradictions.length > 0) return { ok: false, faults: contradictions }
  return { ok: true, metadata: metadata as ClientMetadata }
}

function unknownMember(field: string): string {
  if (field === 'client_secret') return 'is made by Gatehouse: leave it out'
  if (field === 'jwks_uri') return 'is not fetched: put the keys themselves in jwks'
  return 'is not known'
}

function withDefaults(input: Record<string, unknown>): Record<string, unknown> {
  const given = Object.fromEntries(Object.entries(input).filter(([, value]) => value !== undefined))
  const grants = given.grant_types ?? ['authorization_code']
  const people = Array.isArray(grants) && grants.includes('authorization_code')
  return {
    client_name: undefined,
    application_type: 'web',
    redirect_uris: [],
    post_logout_redirect_uris: [],
    grant_types: grants,
    response_types: people ? ['code'] : [],
    token_endpoint_auth_method: 'client_secret_basic',
    resources: [],
    first_party: false,
    introspection: false,
    ...given
  }
}

/** What does not fit together, looked for only among members that are right by themselves. */
function contradictionsWhereReadable(metadata: Record<string, unknown>, faults: Fault[]): Fault[] {
  const unreadable = new Set(faults.map(({ field }) => field.replace(/\[\d+\]$/, '')))
  const structural = [
    'grant_types',
    'response_types',
    'token_endpoint_auth_method',
    'id_token_signed_response_alg'
  ]
  if (structural.some(field => unreadable.has(field))) return []
  return findContradictions(metadata as ClientMetadata).filter(({ field }) => !unreadable.has(field))
}

function findContradictions(metadata: ClientMetadata): Fault[] {
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })
  const { grant_types: grants, response_types: responses, token_endpoint_auth_method: method } = metadata
  const people = grants.includes('authorization_code')

  if (grants.length === 0) fault('grant_types', `must name at least one of ${grantTypes.join(', ')}`)
  if (people !== responses.includes('code'))
    fault(
      'response_types',
      people ? 'must be ["code"] with authorization_code' : 'must be empty without authorization_code'
    )
  if (people && metadata.redirect_uris.length === 0)
    fault('redirect_uris', 'is needed with authorization_code: where people are sent back to')
  if (!people && metadata.redirect_uris.length > 0)
    fault('redirect_uris', 'is of no use without authorization_code')
  if (grants.includes('refresh_token') && !people)
    fault('grant_types', 'must hold authorization_code where it holds refresh_token')
  if (grants.includes('client_credentials') && method === 'none')
    fault(
      'token_endpoint_auth_method',
      'must not be none with client_credentials: anybody could be this client'
    )
  if (metadata.introspection && method === 'none')
    fault('introspection', 'needs a client that can prove who it is')
  // The library takes an absent scope for "all of OpenID Connect's", so one without any would open more than it says.
  if (people && metadata.scope !== undefined && !metadata.scope.split(' ').includes('openid'))
    fault('scope', 'must hold openid where people sign in')
  return [...faults, ...findKeyContradictions(metadata)]
}

function findKeyContradictions(metadata: ClientMetadata): Fault[] {
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })
  const { token_endpoint_auth_method: method, token_endpoint_auth_signing_alg: alg } = metadata

  if (method === 'private_key_jwt' && metadata.jwks === undefined)
    fault('jwks', 'is needed with private_key_jwt: the public keys that the client signs with')
  if (alg !== undefined && method !== 'private_key_jwt' && method !== 'client_secret_jwt')
    fault('token_endpoint_auth_signing_alg', 'is of no use unless the client authenticates with a JWT')
  if (alg !== undefined && method === 'private_key_jwt' && alg === 'HS256')
    fault('token_endpoint_auth_signing_alg', 'must be of a public key with private_key_jwt')
  if (alg !== undefined && method === 'client_secret_jwt' && alg !== 'HS256')
    fault('token_endpoint_auth_signing_alg', 'must be HS256 with client_secret_jwt')
  // The ID token would be signed with a secret that a public client cannot keep.
  if (secretKeeping(metadata) === 'sealed' && (method === 'none' || method === 'private_key_jwt'))
    fault('id_token_signed_response_alg', `must not be HS256 with ${method}: there is no secret`)
  return faults
}
