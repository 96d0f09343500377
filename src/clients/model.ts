// Registered applications and the resources that they ask tokens for: their shapes, and what a client may do.
import type { SigningAlg } from '../keys/model.ts'
import type { ExchangePolicy } from './exchange-model.ts'

/** RFC 8693 */
export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
/** RFC 7523 §2.1 */
export const jwtBearer = 'urn:ietf:params:oauth:grant-type:jwt-bearer'

export const cibaGrant = 'urn:openid:params:grant-type:ciba'

export const grantTypes = [
  'authorization_code',
  'refresh_token',
  'client_credentials',
  'implicit',
  'urn:ietf:params:oauth:grant-type:device_code',
  cibaGrant,
  tokenExchange,
  jwtBearer
] as const
export type GrantType = (typeof grantTypes)[number]

export const authMethods = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt',
  'tls_client_auth',
  'self_signed_tls_client_auth'
] as const
export type AuthMethod = (typeof authMethods)[number]

/** `code` alone, but for the conformance profile. @see OAuth 2.0 Multiple Response Type Encoding Practices */
export const responseTypes = [
  'code',
  'id_token',
  'code id_token',
  'id_token token',
  'code token',
  'code id_token token'
] as const
export type ResponseType = (typeof responseTypes)[number]

/** FAPI 2.0 Security Profile, and with it FAPI 2.0 Message Signing. */
export const securityProfiles = ['fapi2', 'fapi2-message-signing'] as const
export type SecurityProfile = (typeof securityProfiles)[number]

/** Scopes of OpenID Connect, which name claims and not a resource. @see OpenID Connect Core 1.0 §5.4, §11 */
export const openidScopes = ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'] as const

/** Members that only the protocol library reads: stored together, handed on as they are. */
export type OtherMetadata = {
  client_uri?: string
  logo_uri?: string
  policy_uri?: string
  tos_uri?: string
  initiate_login_uri?: string
  contacts?: string[]
  jwks?: { keys: Record<string, unknown>[] }
  jwks_uri?: string
  sector_identifier_uri?: string
  subject_type?: 'public' | 'pairwise'
  response_modes?: string[]
  default_acr_values?: string[]
  token_endpoint_auth_signing_alg?: string
  tls_client_auth_subject_dn?: string
  tls_client_auth_san_dns?: string
  tls_client_auth_san_uri?: string
  tls_client_auth_san_ip?: string
  tls_client_auth_san_email?: string
  tls_client_certificate_bound_access_tokens?: boolean
  use_mtls_endpoint_aliases?: boolean
  id_token_signed_response_alg?: string
  id_token_encrypted_response_alg?: string
  id_token_encrypted_response_enc?: string
  userinfo_signed_response_alg?: string
  userinfo_encrypted_response_alg?: string
  userinfo_encrypted_response_enc?: string
  introspection_signed_response_alg?: string
  authorization_signed_response_alg?: string
  request_object_signing_alg?: string
  require_signed_request_object?: boolean
  request_uris?: string[]
  backchannel_logout_uri?: string
  backchannel_logout_session_required?: boolean
  backchannel_token_delivery_mode?: 'poll' | 'ping'
  backchannel_client_notification_endpoint?: string
  backchannel_authentication_request_signing_alg?: string
  backchannel_user_code_parameter?: boolean
  authorization_details_types?: string[]
  default_max_age?: number
  require_auth_time?: boolean
  require_pushed_authorization_requests?: boolean
  dpop_bound_access_tokens?: boolean
  /** Gatehouse's own: whether authorization requests need PKCE (RFC 9700 §2.1.1); absent: they do. */
  require_pkce?: boolean
  software_id?: string
  software_version?: string
}

/** A checked registration, spelled as the wire spells it. @see RFC 7591 §2, OpenID Connect Dynamic Client Registration 1.0 §2 */
export type ClientMetadata = OtherMetadata & {
  client_name: string
  application_type: 'web' | 'native'
  redirect_uris: string[]
  post_logout_redirect_uris: string[]
  grant_types: GrantType[]
  response_types: ResponseType[]
  token_endpoint_auth_method: AuthMethod
  /** Space-separated; absent: every scope of OpenID Connect and of its resources. */
  scope?: string
  /** Gatehouse's own: the resource indicators that it may ask tokens for. */
  resources: string[]
  /** Gatehouse's own: the operator's application, so consent is skipped. */
  first_party: boolean
  /** Gatehouse's own: it guards a resource and may introspect tokens that other clients were given. */
  introspection: boolean
  /** Gatehouse's own: how its JWT access tokens are signed, unless their resource names an algorithm. */
  access_token_signing_alg?: SigningAlg
  /** Gatehouse's own: how surely people must prove who they are to use it, one of `acrLevels`. */
  required_acr?: string
  /** Gatehouse's own: a profile of FAPI 2.0 that every request of it must keep to. */
  security_profile?: SecurityProfile
  /** Gatehouse's own: the form of its access tokens for resources; absent: the resource's. */
  access_token_format?: 'jwt' | 'opaque'
  /** Gatehouse's own lifetimes, in seconds; absent: the resource's or the installation's. */
  access_token_lifetime_seconds?: number
  id_token_lifetime_seconds?: number
  refresh_token_idle_seconds?: number
  refresh_token_absolute_seconds?: number
  refresh_token_grace_seconds?: number
  /** Gatehouse's own: whether a refresh token is replaced at each use; absent: it is. */
  refresh_token_rotation?: boolean
  /** When its secret ends, in seconds since 1970; 0 or absent: never (RFC 7591 §3.2.1). */
  client_secret_expires_at?: number
  /** Gatehouse's own: which tokens it may exchange; absent: none. */
  token_exchange?: ExchangePolicy
}

/** The operator, the application itself (RFC 7591), or the document that its id names. */
export type RegisteredBy = 'operator' | 'registration' | 'client_id_metadata_document'

export type Client = {
  clientId: string
  clientSecretHash: Buffer | null
  clientSecretSealed: Buffer | null
  clientName: string
  applicationType: 'web' | 'native'
  redirectUris: string[]
  postLogoutRedirectUris: string[]
  grantTypes: GrantType[]
  responseTypes: ResponseType[]
  tokenEndpointAuthMethod: AuthMethod
  scope: string | null
  resources: string[]
  firstParty: boolean
  introspection: boolean
  accessTokenSigningAlg: SigningAlg | null
  requiredAcr: string | null
  securityProfile: SecurityProfile | null
  accessTokenFormat: 'jwt' | 'opaque' | null
  accessTokenLifetimeSeconds: number | null
  idTokenLifetimeSeconds: number | null
  refreshTokenIdleSeconds: number | null
  refreshTokenAbsoluteSeconds: number | null
  refreshTokenGraceSeconds: number | null
  refreshTokenRotation: boolean | null
  clientSecretExpiresAt: Date | null
  tokenExchange: ExchangePolicy | null
  otherMetadata: OtherMetadata
  registeredBy: RegisteredBy
  /** SHA-256 of the token that manages the registration (RFC 7592). */
  registrationAccessTokenHash: Buffer | null
  /** To the day; null: never, or the operator's. */
  lastUsedAt: Date | null
  createdAt: Date
  updatedAt: Date
}

/** The id of our own account pages, which are in no table; nobody can register it. */
export const ownClientId = 'gatehouse-account'

/** Authentication contexts that a client may require (credentials/proof-model.ts orders them). */
export const requirableAcrs = ['urn:gatehouse:acr:1fa', 'urn:gatehouse:acr:mfa', 'urn:gatehouse:acr:phr']

/** What tokens can be asked for: an API. @see RFC 8707 §2 */
export type Resource = {
  identifier: string
  name: string
  scopes: string[]
  accessTokenFormat: 'jwt' | 'opaque'
  accessTokenSigningAlg: SigningAlg | null
  accessTokenLifetimeSeconds: number | null
  createdAt: Date
  updatedAt: Date
}

export type Fault = { field: string; message: string }

/**
 * How the client's secret is kept: `hash` unless an HMAC needs it back (`sealed`); `none` when it has none.
 *
 * @see OpenID Connect Core 1.0 §9, §10.1: client_secret_jwt and HS256 are keyed with the secret itself
 */
export function secretKeeping(
  metadata: Pick<ClientMetadata, 'token_endpoint_auth_method' | 'id_token_signed_response_alg'>
): 'none' | 'hash' | 'sealed' {
  const { token_endpoint_auth_method: method, id_token_signed_response_alg: alg } = metadata
  if (method === 'client_secret_jwt' || alg?.startsWith('HS') === true) return 'sealed'
  return method.startsWith('client_secret_') ? 'hash' : 'none'
}

/** The scopes of a resource that this client may be given; empty when the resource is not one of its own. */
export function allowedScopes(
  client: Pick<Client, 'resources' | 'scope'>,
  resource: Pick<Resource, 'identifier' | 'scopes'>
): string[] {
  if (!client.resources.includes(resource.identifier)) return []
  if (client.scope === null) return resource.scopes
  const allowed = client.scope.split(' ')
  return resource.scopes.filter(scope => allowed.includes(scope))
}

/** The client's registration as it was given, without its secret. */
export function metadataOf(client: Client): ClientMetadata & { client_id: string } {
  return {
    client_id: client.clientId,
    client_name: client.clientName,
    application_type: client.applicationType,
    redirect_uris: client.redirectUris,
    post_logout_redirect_uris: client.postLogoutRedirectUris,
    grant_types: client.grantTypes,
    response_types: client.responseTypes,
    token_endpoint_auth_method: client.tokenEndpointAuthMethod,
    resources: client.resources,
    first_party: client.firstParty,
    introspection: client.introspection,
    ...withoutNulls({
      scope: client.scope,
      access_token_signing_alg: client.accessTokenSigningAlg,
      required_acr: client.requiredAcr,
      security_profile: client.securityProfile,
      access_token_format: client.accessTokenFormat,
      access_token_lifetime_seconds: client.accessTokenLifetimeSeconds,
      id_token_lifetime_seconds: client.idTokenLifetimeSeconds,
      refresh_token_idle_seconds: client.refreshTokenIdleSeconds,
      refresh_token_absolute_seconds: client.refreshTokenAbsoluteSeconds,
      refresh_token_grace_seconds: client.refreshTokenGraceSeconds,
      refresh_token_rotation: client.refreshTokenRotation,
      client_secret_expires_at:
        client.clientSecretExpiresAt === null ? null : client.clientSecretExpiresAt.getTime() / 1000,
      token_exchange: client.tokenExchange
    }),
    ...client.otherMetadata
  }
}

type WithoutNulls<T> = { [K in keyof T]?: Exclude<T[K], null> }

const withoutNulls = <T extends object>(members: T): WithoutNulls<T> =>
  Object.fromEntries(Object.entries(members).filter(([, value]) => value !== null)) as WithoutNulls<T>
