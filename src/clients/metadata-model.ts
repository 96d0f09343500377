// Reads a registration that somebody sent: every member checked, every fault told at once, nothing unknown let in.
import type { Config } from '../config/schema.ts'
import { findMessageContradictions } from './key-model.ts'
import { type Installation, members } from './member-model.ts'
import {
  type ClientMetadata,
  cibaGrant,
  type Fault,
  grantTypes,
  jwtBearer,
  secretKeeping,
  tokenExchange
} from './model.ts'
import { findProfileContradictions, profileDefaults } from './profile-model.ts'
import { findSubjectContradictions } from './subject-model.ts'

export type ParseOutcome = { ok: true; metadata: ClientMetadata } | { ok: false; faults: Fault[] }

const nothingSwitchedOn: Installation = {
  development: false,
  conformance: false,
  ciba: false,
  jwtEncryption: false,
  authorizationDetailsTypes: [],
  selfRegistered: false
}

/** What these settings switch on. */
export const installationOf = (
  config: Pick<
    Config,
    'development' | 'conformance' | 'ciba' | 'jwtEncryption' | 'authorizationDetailsTypes'
  >,
  { selfRegistered }: { selfRegistered: boolean }
): Installation => ({
  development: config.development || config.conformance,
  conformance: config.conformance,
  ciba: config.ciba,
  jwtEncryption: config.jwtEncryption,
  authorizationDetailsTypes: Object.keys(config.authorizationDetailsTypes),
  selfRegistered
})

/**
 * Checks a registration and fills in the defaults of RFC 7591 §2.
 *
 * `faults` names every member that is wrong and what to put. Redirect URIs may be http on a loopback address: for
 * native applications always (RFC 8252 §7.3), for others in development only; the name localhost in development, and for
 * native applications that register themselves.
 */
export function parseClientMetadata(input: unknown, switchedOn: Partial<Installation> = {}): ParseOutcome {
  const installation = { ...nothingSwitchedOn, ...switchedOn }
  if (typeof input !== 'object' || input === null || Array.isArray(input))
    return { ok: false, faults: [{ field: '', message: 'must be an object of client metadata' }] }

  const metadata = withDefaults(input as Record<string, unknown>)
  const applicationType = metadata.application_type === 'native' ? 'native' : 'web'
  const faults = Object.entries(metadata).flatMap(([field, value]) =>
    Object.hasOwn(members, field)
      ? members[field as keyof ClientMetadata](value, { ...installation, applicationType })
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
    ...profileDefaults(given),
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
    'id_token_signed_response_alg',
    'scope',
    'token_exchange'
  ]
  if (structural.some(field => unreadable.has(field))) return []
  const readable = Object.fromEntries(Object.entries(metadata).filter(([field]) => !unreadable.has(field)))
  const contradictions = findContradictions({ ...withDefaults({}), ...readable } as ClientMetadata)
  return contradictions.filter(({ field }) => !unreadable.has(field))
}

/** Other grants by which a person lets an application in. */
const grantsOfPeople: readonly string[] = ['urn:ietf:params:oauth:grant-type:device_code', cibaGrant]

function findContradictions(metadata: ClientMetadata): Fault[] {
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })
  const { grant_types: grants, response_types: responses, token_endpoint_auth_method: method } = metadata
  const people = grants.includes('authorization_code')
  const implicit = grants.includes('implicit')
  const browser = people || implicit

  if (grants.length === 0) fault('grant_types', `must name at least one of ${grantTypes.join(', ')}`)
  if (people !== responses.some(type => type.split(' ').includes('code')))
    fault(
      'response_types',
      people ? 'must hold "code" with authorization_code' : 'must be empty without authorization_code'
    )
  if (implicit !== responses.some(type => /token/.test(type)))
    fault(
      'response_types',
      `must ${implicit ? '' : 'not '}hold a type with a token ${implicit ? 'with' : 'without'} implicit`
    )
  if (browser && metadata.redirect_uris.length === 0)
    fault('redirect_uris', 'is needed with authorization_code: where people are sent back to')
  if (!browser && metadata.redirect_uris.length > 0)
    fault('redirect_uris', 'is of no use without authorization_code')
  if (grants.includes('refresh_token') && !people && !grants.some(grant => grantsOfPeople.includes(grant)))
    fault('grant_types', 'must hold authorization_code where it holds refresh_token')
  if (grants.includes('client_credentials') && method === 'none')
    fault(
      'token_endpoint_auth_method',
      'must not be none with client_credentials: anybody could be this client'
    )
  if (metadata.require_pkce === false && method === 'none')
    fault('require_pkce', 'must not be false for a client that has no secret')
  if (metadata.introspection && method === 'none')
    fault('introspection', 'needs a client that can prove who it is')
  // The library takes an absent scope for "all of OpenID Connect's", so one without any would open more than it says.
  if (people && metadata.scope !== undefined && !metadata.scope.split(' ').includes('openid'))
    fault('scope', 'must hold openid where people sign in')
  return [
    ...faults,
    ...findCibaContradictions(metadata),
    ...findKeyContradictions(metadata),
    ...findTokenContradictions(metadata),
    ...findMessageContradictions(metadata),
    ...findExchangeContradictions(metadata),
    ...findSubjectContradictions(metadata),
    ...findProfileContradictions(metadata)
  ]
}

function findTokenContradictions(metadata: ClientMetadata): Fault[] {
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })
  const { token_endpoint_auth_method: method, dpop_bound_access_tokens: dpop } = metadata
  const { refresh_token_idle_seconds: idle, refresh_token_absolute_seconds: absolute } = metadata

  // RFC 9700 §2.2.2: a copy of such a token would be as good as the token itself, and nobody would notice it.
  const bound = dpop === true || metadata.tls_client_certificate_bound_access_tokens === true
  if (metadata.refresh_token_rotation === false && method === 'none' && !bound)
    fault('refresh_token_rotation', 'must not be false for a public client whose tokens are bound to no key')
  if (idle !== undefined && absolute !== undefined && idle > absolute)
    fault('refresh_token_idle_seconds', 'must not be more than refresh_token_absolute_seconds')
  if ((metadata.client_secret_expires_at ?? 0) > 0 && secretKeeping(metadata) === 'none')
    fault('client_secret_expires_at', `is of no use with ${method}: there is no secret`)
  return faults
}

function findExchangeContradictions(metadata: ClientMetadata): Fault[] {
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })
  const { grant_types: grants, token_endpoint_auth_method: method, token_exchange: policy } = metadata

  if (grants.includes(tokenExchange) && method === 'none')
    fault(
      'token_endpoint_auth_method',
      `must not be none with ${tokenExchange}: anybody could be this client`
    )
  if (policy !== undefined && !grants.includes(tokenExchange))
    fault('token_exchange', `is of no use without ${tokenExchange}`)
  if (policy?.audiences.some(audience => ![metadata.resources].flat().includes(audience)))
    fault('token_exchange', 'audiences must be among its resources')
  // What a workload's assertion alone may get is kept apart from what people let an application in to.
  if (grants.includes(jwtBearer) && method === 'none' && grants.length > 1)
    fault(
      'grant_types',
      `must hold ${jwtBearer} alone with none: the assertion is all that proves the client`
    )
  return faults
}

/** OpenID Connect CIBA Core 1.0 §4 */
function findCibaContradictions(metadata: ClientMetadata): Fault[] {
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })
  const { backchannel_token_delivery_mode: mode, backchannel_client_notification_endpoint: endpoint } =
    metadata
  const asks = metadata.grant_types.includes(cibaGrant)
  if (asks && mode === undefined)
    fault('backchannel_token_delivery_mode', 'is needed with the grant type of CIBA: poll or ping')
  if (asks && metadata.token_endpoint_auth_method === 'none')
    fault('token_endpoint_auth_method', 'must not be none: anybody could ask people for their approval')
  if (!asks && mode !== undefined)
    fault('backchannel_token_delivery_mode', 'is of no use without the grant type of CIBA')
  if ((mode === 'ping') !== (endpoint !== undefined))
    fault(
      'backchannel_client_notification_endpoint',
      `is ${mode === 'ping' ? 'needed with' : 'of no use without'} the delivery mode ping`
    )
  return faults
}

function findKeyContradictions(metadata: ClientMetadata): Fault[] {
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })
  const { token_endpoint_auth_method: method, token_endpoint_auth_signing_alg: alg } = metadata

  const withKeys = method === 'private_key_jwt' || method === 'self_signed_tls_client_auth'
  if (withKeys && metadata.jwks === undefined && metadata.jwks_uri === undefined)
    fault('jwks', `or jwks_uri is needed with ${method}: the public keys of the client`)
  if (metadata.jwks !== undefined && metadata.jwks_uri !== undefined)
    fault('jwks_uri', 'must not stand beside jwks: one place for keys')
  if (alg !== undefined && method !== 'private_key_jwt' && method !== 'client_secret_jwt')
    fault('token_endpoint_auth_signing_alg', 'is of no use unless the client authenticates with a JWT')
  if (alg !== undefined && method === 'private_key_jwt' && alg === 'HS256')
    fault('token_endpoint_auth_signing_alg', 'must be of a public key with private_key_jwt')
  if (alg !== undefined && method === 'client_secret_jwt' && alg !== 'HS256')
    fault('token_endpoint_auth_signing_alg', 'must be HS256 with client_secret_jwt')
  // The ID token would be signed with a secret that a public client cannot keep.
  if (secretKeeping(metadata) === 'sealed' && !method.startsWith('client_secret_'))
    fault('id_token_signed_response_alg', `must not be HS256 with ${method}: there is no secret`)
  return faults
}
