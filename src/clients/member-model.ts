// The members of a client's registration, each checked by itself.
import { longestTokenSeconds, signingAlgs } from '../keys/model.ts'
import { exchangePolicyProblem } from './exchange-model.ts'
import { jwksProblem } from './jwks-model.ts'
import {
  authMethods,
  type ClientMetadata,
  cibaGrant,
  type Fault,
  grantTypes,
  requirableAcrs,
  responseTypes,
  securityProfiles
} from './model.ts'
import { pageUriProblem, redirectUriProblem, resourceIndicatorProblem, type UriRules } from './uri-model.ts'

/** What the installation has switched on. */
export type Installation = {
  development: boolean
  conformance: boolean
  ciba: boolean
  jwtEncryption: boolean
  authorizationDetailsTypes: readonly string[]
  /** Not the operator registers it: the application does. */
  selfRegistered: boolean
}

type Rules = UriRules & Installation

export type Check = (value: unknown, rules: Rules) => Fault[]
type Problem = string | null

const one =
  (field: string, problem: (value: unknown, rules: Rules) => Problem): Check =>
  (value, rules) => {
    const message = problem(value, rules)
    return message === null ? [] : [{ field, message }]
  }

/** A list without repeats, each entry checked by itself: field names the entry, as in redirect_uris[1]. */
const each =
  (field: string, problem: (value: unknown, rules: Rules) => Problem, most = 50): Check =>
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

const secondsProblem = (value: unknown): Problem =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? null : 'must be a whole number of seconds'

/** The library lets these be https only, whatever the host. */
const httpsUri = (value: unknown): Problem => pageUriProblem(value, { development: false })

const textProblem = (value: unknown): Problem =>
  typeof value === 'string' && value !== '' && value.length <= 500 && !/[\p{Cc}]/u.test(value)
    ? null
    : 'must be a text of at most 500 characters'

const betweenSeconds =
  (least: number, most: number) =>
  (value: unknown): Problem =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most
      ? null
      : `must be a whole number of seconds from ${least} to ${most}`

const responseModes = [
  'query',
  'fragment',
  'form_post',
  'jwt',
  'query.jwt',
  'fragment.jwt',
  'form_post.jwt'
] as const

/** Signatures of clients that are believed. EdDSA's newer name is what some libraries sign under (RFC 9864 §2.2). */
export const clientAlgs = ['ES256', 'RS256', 'PS256', 'EdDSA', 'Ed25519'] as const
export const encryptionAlgs = ['RSA-OAEP-256', 'ECDH-ES', 'ECDH-ES+A128KW', 'ECDH-ES+A256KW'] as const
export const encryptionEncs = ['A128CBC-HS256', 'A256CBC-HS512', 'A128GCM', 'A256GCM'] as const

const encrypted =
  (allowed: readonly string[]) =>
  (value: unknown, { jwtEncryption }: Rules): Problem =>
    jwtEncryption ? oneOf(allowed)(value) : 'is switched off here (JWT_ENCRYPTION)'

const backchannel =
  (problem: (value: unknown, rules: Rules) => Problem) =>
  (value: unknown, rules: Rules): Problem =>
    rules.ciba ? problem(value, rules) : 'is switched off here (CIBA)'

const yearSeconds = 31_536_000

/** Each member that a registration may have. */
export const members: Record<keyof ClientMetadata, Check> = {
  client_name: one('client_name', nameProblem),
  application_type: one('application_type', oneOf(['web', 'native'])),
  redirect_uris: each('redirect_uris', redirectUriProblem),
  post_logout_redirect_uris: each('post_logout_redirect_uris', redirectUriProblem),
  grant_types: each('grant_types', (value, { ciba }) =>
    value === cibaGrant && !ciba ? 'is switched off here (CIBA)' : oneOf(grantTypes)(value)
  ),
  response_types: each('response_types', (value, { conformance }) =>
    oneOf(conformance ? responseTypes : ['code'])(value)
  ),
  response_modes: each('response_modes', oneOf(responseModes)),
  token_endpoint_auth_method: one('token_endpoint_auth_method', oneOf(authMethods)),
  token_endpoint_auth_signing_alg: one('token_endpoint_auth_signing_alg', oneOf(['HS256', ...clientAlgs])),
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
  initiate_login_uri: one('initiate_login_uri', httpsUri),
  contacts: each('contacts', contactProblem, 10),
  jwks: one('jwks', jwksProblem),
  default_max_age: one('default_max_age', secondsProblem),
  require_auth_time: one('require_auth_time', yesOrNo),
  require_pushed_authorization_requests: one('require_pushed_authorization_requests', yesOrNo),
  dpop_bound_access_tokens: one('dpop_bound_access_tokens', yesOrNo),
  jwks_uri: page('jwks_uri'),
  sector_identifier_uri: one('sector_identifier_uri', httpsUri),
  subject_type: one('subject_type', oneOf(['public', 'pairwise'])),
  default_acr_values: each('default_acr_values', oneOf(requirableAcrs)),
  tls_client_auth_subject_dn: one('tls_client_auth_subject_dn', textProblem),
  tls_client_auth_san_dns: one('tls_client_auth_san_dns', textProblem),
  tls_client_auth_san_uri: one('tls_client_auth_san_uri', textProblem),
  tls_client_auth_san_ip: one('tls_client_auth_san_ip', textProblem),
  tls_client_auth_san_email: one('tls_client_auth_san_email', textProblem),
  tls_client_certificate_bound_access_tokens: one('tls_client_certificate_bound_access_tokens', yesOrNo),
  use_mtls_endpoint_aliases: one('use_mtls_endpoint_aliases', yesOrNo),
  id_token_encrypted_response_alg: one('id_token_encrypted_response_alg', encrypted(encryptionAlgs)),
  id_token_encrypted_response_enc: one('id_token_encrypted_response_enc', encrypted(encryptionEncs)),
  userinfo_signed_response_alg: one('userinfo_signed_response_alg', oneOf(signingAlgs)),
  userinfo_encrypted_response_alg: one('userinfo_encrypted_response_alg', encrypted(encryptionAlgs)),
  userinfo_encrypted_response_enc: one('userinfo_encrypted_response_enc', encrypted(encryptionEncs)),
  introspection_signed_response_alg: one('introspection_signed_response_alg', oneOf(signingAlgs)),
  authorization_signed_response_alg: one('authorization_signed_response_alg', oneOf(signingAlgs)),
  request_object_signing_alg: one('request_object_signing_alg', oneOf(clientAlgs)),
  require_signed_request_object: one('require_signed_request_object', yesOrNo),
  request_uris: each('request_uris', (value, rules) =>
    rules.conformance ? pageUriProblem(value, rules) : 'is switched off here (PROFILE)'
  ),
  backchannel_logout_uri: page('backchannel_logout_uri'),
  backchannel_logout_session_required: one('backchannel_logout_session_required', yesOrNo),
  backchannel_token_delivery_mode: one(
    'backchannel_token_delivery_mode',
    backchannel(oneOf(['poll', 'ping']))
  ),
  backchannel_client_notification_endpoint: one(
    'backchannel_client_notification_endpoint',
    backchannel(httpsUri)
  ),
  backchannel_authentication_request_signing_alg: one(
    'backchannel_authentication_request_signing_alg',
    backchannel(oneOf(clientAlgs))
  ),
  backchannel_user_code_parameter: one(
    'backchannel_user_code_parameter',
    backchannel(value => (value === false ? null : 'must be false: there are no user codes here'))
  ),
  authorization_details_types: each('authorization_details_types', (value, { authorizationDetailsTypes }) =>
    oneOf(authorizationDetailsTypes)(value)
  ),
  require_pkce: one('require_pkce', yesOrNo),
  software_id: one('software_id', textProblem),
  software_version: one('software_version', textProblem),
  security_profile: one('security_profile', oneOf(securityProfiles)),
  access_token_format: one('access_token_format', oneOf(['jwt', 'opaque'])),
  access_token_lifetime_seconds: one(
    'access_token_lifetime_seconds',
    betweenSeconds(30, longestTokenSeconds)
  ),
  id_token_lifetime_seconds: one('id_token_lifetime_seconds', betweenSeconds(30, longestTokenSeconds)),
  refresh_token_idle_seconds: one('refresh_token_idle_seconds', betweenSeconds(60, yearSeconds)),
  refresh_token_absolute_seconds: one('refresh_token_absolute_seconds', betweenSeconds(60, yearSeconds)),
  refresh_token_grace_seconds: one('refresh_token_grace_seconds', betweenSeconds(0, 120)),
  refresh_token_rotation: one('refresh_token_rotation', yesOrNo),
  client_secret_expires_at: one('client_secret_expires_at', secondsProblem),
  token_exchange: one('token_exchange', exchangePolicyProblem)
}
