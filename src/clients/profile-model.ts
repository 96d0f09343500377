// What a profile of FAPI 2.0 makes of a client's registration.
import type { ClientMetadata, Fault, SecurityProfile } from './model.ts'

/** FAPI 2.0 Security Profile §5.4.1: no RSA with the padding of PKCS #1 v1.5. */
export const fapiAlgs: readonly string[] = ['ES256', 'PS256', 'EdDSA', 'Ed25519']

type Input = Record<string, unknown>

/**
 * Members that the profile leaves no choice for, filled in where the registration is silent.
 *
 * @see FAPI 2.0 Security Profile §5.3.2.1, FAPI 2.0 Message Signing §5.3, §5.4
 */
export function profileDefaults(given: Input): Input {
  if (given.security_profile === undefined) return {}
  const certificates = String(given.token_endpoint_auth_method).includes('tls')
  const boundByKey = given.tls_client_certificate_bound_access_tokens === undefined && !certificates
  const boundByCertificate = given.dpop_bound_access_tokens === undefined && certificates
  return {
    require_pushed_authorization_requests: true,
    // A client that proves itself each time: rotation would only lose tokens in bad networks (§5.3.2.1 note 1).
    refresh_token_rotation: false,
    ...(boundByKey ? { dpop_bound_access_tokens: true } : {}),
    ...(boundByCertificate ? { tls_client_certificate_bound_access_tokens: true } : {}),
    ...(given.security_profile === 'fapi2-message-signing'
      ? { require_signed_request_object: true, response_modes: ['jwt'] }
      : {})
  }
}

const authMethods = ['private_key_jwt', 'tls_client_auth', 'self_signed_tls_client_auth']

const algMembers = [
  'token_endpoint_auth_signing_alg',
  'request_object_signing_alg',
  'id_token_signed_response_alg',
  'userinfo_signed_response_alg',
  'authorization_signed_response_alg',
  'introspection_signed_response_alg',
  'access_token_signing_alg',
  'backchannel_authentication_request_signing_alg'
] as const

/** What in a registration goes against its profile; nothing without one. */
export function findProfileContradictions(metadata: ClientMetadata): Fault[] {
  const { security_profile: profile } = metadata
  if (profile === undefined) return []
  return [...findSecurityFaults(metadata, profile), ...findSigningFaults(metadata, profile)]
}

function findSecurityFaults(metadata: ClientMetadata, profile: SecurityProfile): Fault[] {
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })

  if (!authMethods.includes(metadata.token_endpoint_auth_method))
    fault('token_endpoint_auth_method', `must be one of ${authMethods.join(', ')} with ${profile}`)
  if (metadata.grant_types.includes('implicit'))
    fault('grant_types', `must not hold implicit with ${profile}`)
  if (metadata.response_types.some(type => type !== 'code'))
    fault('response_types', `must be "code" alone with ${profile}`)
  if (metadata.require_pushed_authorization_requests !== true)
    fault('require_pushed_authorization_requests', `must be true with ${profile}`)
  if (metadata.refresh_token_rotation !== false)
    fault('refresh_token_rotation', `must be false with ${profile}`)
  // The library can demand one of them at a time.
  if (
    (metadata.dpop_bound_access_tokens === true) ===
    (metadata.tls_client_certificate_bound_access_tokens === true)
  )
    fault(
      'dpop_bound_access_tokens',
      `or tls_client_certificate_bound_access_tokens must be true with ${profile}, and one of them only`
    )
  for (const [index, uri] of metadata.redirect_uris.entries())
    if (uri.startsWith('http:') && metadata.application_type !== 'native')
      fault(`redirect_uris[${index}]`, `must use https with ${profile}`)
  for (const member of algMembers) {
    const alg = metadata[member]
    if (alg !== undefined && !fapiAlgs.includes(alg))
      fault(member, `must be one of ${fapiAlgs.join(', ')} with ${profile}`)
  }
  return faults
}

function findSigningFaults(metadata: ClientMetadata, profile: SecurityProfile): Fault[] {
  if (profile !== 'fapi2-message-signing') return []
  const unsigned = metadata.response_modes?.some(mode => !mode.endsWith('jwt')) ?? true
  return [
    ...(metadata.require_signed_request_object === true
      ? []
      : [{ field: 'require_signed_request_object', message: `must be true with ${profile}` }]),
    ...(unsigned
      ? [{ field: 'response_modes', message: `must hold modes that end in jwt alone with ${profile}` }]
      : [])
  ]
}
