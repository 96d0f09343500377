// What an application that registers itself may say of itself, and what the operator's policy makes of it. What it says
// wrongly is metadata-model.ts's matter.
import type { Config } from '../config/schema.ts'
import { leadsAstray } from '../http/outbound.ts'
import { isLoopback } from '../lib/urls.ts'
import type { Client, ClientMetadata, Fault } from './model.ts'

/**
 * The members that are read. RFC 7591 §2 has everything else ignored, and so is what only the operator decides: whether
 * people are asked, what it may introspect, its resources, how long its tokens live.
 */
const members = [
  'client_name',
  'application_type',
  'redirect_uris',
  'post_logout_redirect_uris',
  'grant_types',
  'response_types',
  'response_modes',
  'token_endpoint_auth_method',
  'token_endpoint_auth_signing_alg',
  'scope',
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'initiate_login_uri',
  'contacts',
  'jwks',
  'jwks_uri',
  'sector_identifier_uri',
  'subject_type',
  'default_acr_values',
  'default_max_age',
  'require_auth_time',
  'require_pushed_authorization_requests',
  'dpop_bound_access_tokens',
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email',
  'tls_client_certificate_bound_access_tokens',
  'use_mtls_endpoint_aliases',
  'id_token_signed_response_alg',
  'id_token_encrypted_response_alg',
  'id_token_encrypted_response_enc',
  'userinfo_signed_response_alg',
  'userinfo_encrypted_response_alg',
  'userinfo_encrypted_response_enc',
  'introspection_signed_response_alg',
  'authorization_signed_response_alg',
  'request_object_signing_alg',
  'require_signed_request_object',
  'request_uris',
  'backchannel_logout_uri',
  'backchannel_logout_session_required',
  'backchannel_token_delivery_mode',
  'backchannel_client_notification_endpoint',
  'backchannel_authentication_request_signing_alg',
  'backchannel_user_code_parameter',
  'authorization_details_types',
  'software_id',
  'software_version',
  'security_profile'
] as const satisfies (keyof ClientMetadata)[]

export type Json = Record<string, unknown>
export type Policy = Pick<Config, 'registration' | 'conformance' | 'development' | 'outboundAllowedNetworks'>

export const isJson = (value: unknown): value is Json =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

/**
 * What an application says of itself, as far as the policy goes along: for `parseClientMetadata`.
 *
 * Grant types and scopes that it may not have are left out, as RFC 7591 §2 lets a server do; the answer tells it what is
 * left. What is not of the right type is left as it is, for its check to name.
 */
export function underPolicy(said: Json, policy: Policy): Json {
  const known = Object.fromEntries(
    members
      .filter(name => said[name] !== undefined && said[name] !== null)
      .filter(name => name !== 'request_uris' || policy.conformance)
      .map(name => [name, said[name]])
  )
  return {
    client_name: nameFrom(known),
    application_type: applicationType(known),
    // OpenID Connect Dynamic Client Registration 1.0 §2: what it gets where it does not say.
    id_token_signed_response_alg: 'RS256',
    ...known,
    ...grantsAndResponses(known, policy),
    scope: scopeUnder(known.scope, policy)
  }
}

const texts = (value: unknown): string[] =>
  Array.isArray(value) ? value.filter(entry => typeof entry === 'string') : []

/** Without a name it goes by where it lives, which is what people can judge it by anyway. */
function nameFrom({ client_uri, redirect_uris }: Json): string {
  const address = URL.parse(typeof client_uri === 'string' ? client_uri : (texts(redirect_uris)[0] ?? ''))
  return address === null || address.host === '' ? 'Unnamed application' : address.host
}

/** Programs on a device seldom say that they are: their redirect URIs do (RFC 8252 §7). */
function applicationType({ redirect_uris }: Json): 'web' | 'native' {
  const onDevice = texts(redirect_uris).some(uri => {
    const url = URL.parse(uri)
    return url !== null && url.protocol !== 'https:' && (url.protocol !== 'http:' || isLoopback(url))
  })
  return onDevice ? 'native' : 'web'
}

/** RFC 7591 §2.1: each response type needs its grant types, and is what they are for. */
function grantsAndResponses({ grant_types, response_types }: Json, policy: Policy): Json {
  if (grant_types !== undefined && !Array.isArray(grant_types)) return {}
  if (response_types !== undefined && !Array.isArray(response_types)) return {}
  const said = response_types?.map(inOrder)
  const needed = texts(said ?? (grant_types === undefined ? ['code'] : [])).flatMap(grantsFor)
  const useless = said === undefined ? [] : ['authorization_code'].filter(grant => !needed.includes(grant))
  const allowed = grantsUnder(policy)
  const grants = [...new Set([...(grant_types ?? []), ...needed])].filter(
    grant => allowed.includes(grant) && !useless.includes(grant)
  )
  const people = grants.includes('authorization_code')
  const responses = said ?? (people ? ['code'] : [])
  const implicit = texts(responses).some(type => grantsFor(type).includes('implicit'))
  return {
    grant_types: implicit ? grants : grants.filter(grant => grant !== 'implicit'),
    response_types: responses
  }
}

const grantsUnder = ({ registration, conformance }: Policy): string[] => [
  ...registration.grantTypes,
  ...(conformance ? ['implicit'] : [])
]

const inOrder = (type: unknown) => (typeof type === 'string' ? type.split(' ').sort().join(' ') : type)

const grantsFor = (responseType: string): string[] => {
  const words = responseType.split(' ')
  return [
    ...(words.includes('code') ? ['authorization_code'] : []),
    ...(words.includes('token') || words.includes('id_token') ? ['implicit'] : [])
  ]
}

/** openid is always among them: by itself it opens nothing but that somebody has an account. */
function scopeUnder(scope: unknown, { registration: { scopes } }: Policy): unknown {
  if (scope !== undefined && typeof scope !== 'string') return scope
  const asked =
    scope === undefined || scope === '' ? scopes : scope.split(' ').filter(name => scopes.includes(name))
  return [...new Set(['openid', ...asked])].join(' ')
}

/** Addresses that we fetch, or that people's browsers are shown pictures and links from. */
const addresses = [
  'client_uri',
  'logo_uri',
  'policy_uri',
  'tos_uri',
  'initiate_login_uri',
  'jwks_uri',
  'sector_identifier_uri',
  'backchannel_logout_uri',
  'backchannel_client_notification_endpoint'
]

/** What the policy refuses of what `underPolicy` made: nothing that it may have is left, or an address leads inside. */
export function policyFaults(metadata: Json, policy: Policy): Fault[] {
  const { grant_types } = metadata
  const none = Array.isArray(grant_types) && grant_types.length === 0
  const inside = addresses.filter(name => {
    const url = typeof metadata[name] === 'string' ? URL.parse(metadata[name]) : null
    if (url === null || (policy.development && isLoopback(url))) return false
    return leadsAstray(url, policy)
  })
  return [
    ...(none
      ? [{ field: 'grant_types', message: `must hold one of ${grantsUnder(policy).join(', ')}` }]
      : []),
    ...inside.map(field => ({ field, message: 'must not be on a loopback or private address' }))
  ]
}

/** A client that registered itself, as the policy of today lets it be: narrowed, whatever it was when it registered. */
export function narrowed(client: Client, policy: Policy): Client {
  const { registration } = policy
  const allowed = grantsUnder(policy)
  const grantTypes = client.grantTypes.filter(grant => allowed.includes(grant))
  return {
    ...client,
    grantTypes,
    responseTypes: client.responseTypes.filter(type =>
      grantsFor(type).every(grant => grantTypes.some(left => left === grant))
    ),
    firstParty: false,
    introspection: false,
    resources: registration.resources,
    scope: String(scopeUnder(client.scope ?? undefined, policy))
  }
}

/** What was registered, of what the application may know of. @see RFC 7591 §3.2.1 */
export function registeredMembers(metadata: ClientMetadata): Json {
  return Object.fromEntries(
    members.filter(name => metadata[name] !== undefined).map(name => [name, metadata[name]])
  )
}

/** RFC 7591 §3.2.2: one code and one text for all that is wrong, in ASCII without quotes. */
export function describeFaults(faults: Fault[]): { error: string; error_description: string } {
  const ofRedirect = faults.some(({ field }) => field.startsWith('redirect_uris'))
  return {
    error: ofRedirect ? 'invalid_redirect_uri' : 'invalid_client_metadata',
    error_description: faults
      .map(({ field, message }) => `${field} ${message}`.trim())
      .join('; ')
      .replaceAll(/["\\]/g, "'")
      .replaceAll(/[^\x20-\x7e]/g, '?')
      .slice(0, 2000)
  }
}
