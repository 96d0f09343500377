// Registered applications and the resources that they ask tokens for: their shapes, and what a client may do.
import type { SigningAlg } from '../keys/model.ts'

export const grantTypes = ['authorization_code', 'refresh_token', 'client_credentials'] as const
export type GrantType = (typeof grantTypes)[number]

export const authMethods = [
  'none',
  'client_secret_basic',
  'client_secret_post',
  'client_secret_jwt',
  'private_key_jwt'
] as const
export type AuthMethod = (typeof authMethods)[number]

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
  token_endpoint_auth_signing_alg?: string
  id_token_signed_response_alg?: string
  default_max_age?: number
  require_auth_time?: boolean
  require_pushed_authorization_requests?: boolean
  dpop_bound_access_tokens?: boolean
}

/** A checked registration, spelled as the wire spells it. @see RFC 7591 §2, OpenID Connect Dynamic Client Registration 1.0 §2 */
export type ClientMetadata = OtherMetadata & {
  client_name: string
  application_type: 'web' | 'native'
  redirect_uris: string[]
  post_logout_redirect_uris: string[]
  grant_types: GrantType[]
  response_types: 'code'[]
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
}

export type Client = {
  clientId: string
  clientSecretHash: Buffer | null
  clientSecretSealed: Buffer | null
  clientName: string
  applicationType: 'web' | 'native'
  redirectUris: string[]
  postLogoutRedirectUris: string[]
  grantTypes: GrantType[]
  responseTypes: 'code'[]
  tokenEndpointAuthMethod: AuthMethod
  scope: string | null
  resources: string[]
  firstParty: boolean
  introspection: boolean
  accessTokenSigningAlg: SigningAlg | null
  requiredAcr: string | null
  otherMetadata: OtherMetadata
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
    ...(client.scope === null ? {} : { scope: client.scope }),
    resources: client.resources,
    first_party: client.firstParty,
    introspection: client.introspection,
    ...(client.accessTokenSigningAlg === null
      ? {}
      : { access_token_signing_alg: client.accessTokenSigningAlg }),
    ...(client.requiredAcr === null ? {} : { required_acr: client.requiredAcr }),
    ...client.otherMetadata
  }
}
