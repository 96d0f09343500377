// What a registration says of signed and encrypted messages, of certificates and of bound tokens, taken together.
import type { ClientMetadata, Fault } from './model.ts'

const subjectMembers = [
  'tls_client_auth_subject_dn',
  'tls_client_auth_san_dns',
  'tls_client_auth_san_uri',
  'tls_client_auth_san_ip',
  'tls_client_auth_san_email'
] as const

/** Members that ask for a key of the client's. */
const membersWithKeys = [
  'request_object_signing_alg',
  'require_signed_request_object',
  'backchannel_authentication_request_signing_alg',
  'id_token_encrypted_response_alg',
  'userinfo_encrypted_response_alg'
] as const

/** What the library would find out when the client is first used, or pass over. */
export function findMessageContradictions(metadata: ClientMetadata): Fault[] {
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })
  const { token_endpoint_auth_method: method } = metadata

  const inNeed = membersWithKeys.find(member => (metadata[member] ?? false) !== false)
  if (inNeed !== undefined && metadata.jwks === undefined && metadata.jwks_uri === undefined)
    fault('jwks', `or jwks_uri is needed with ${inNeed}: the public keys of the client`)
  for (const kind of ['id_token', 'userinfo'] as const)
    if (
      metadata[`${kind}_encrypted_response_enc`] !== undefined &&
      metadata[`${kind}_encrypted_response_alg`] === undefined
    )
      fault(`${kind}_encrypted_response_alg`, `is needed with ${kind}_encrypted_response_enc`)

  const subjects = subjectMembers.filter(member => metadata[member] !== undefined)
  if (method === 'tls_client_auth' && subjects.length !== 1)
    fault(
      subjects[1] ?? subjectMembers[0],
      `or one of ${subjectMembers.slice(1).join(', ')} is needed, and one alone`
    )
  if (method !== 'tls_client_auth')
    for (const member of subjects) fault(member, 'is of no use without tls_client_auth')
  if (method === 'self_signed_tls_client_auth' && metadata.jwks?.keys.some(({ x5c }) => !Array.isArray(x5c)))
    fault('jwks', `must hold x5c, the client's certificate, in every key with ${method}`)
  if (
    metadata.dpop_bound_access_tokens === true &&
    metadata.tls_client_certificate_bound_access_tokens === true
  )
    fault('dpop_bound_access_tokens', 'must not be true beside tls_client_certificate_bound_access_tokens')
  return faults
}
