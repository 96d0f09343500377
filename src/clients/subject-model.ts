// Whether a registration tells which sector its subjects belong to.
import type { ClientMetadata, Fault } from './model.ts'

/** Grants of people who approve elsewhere: no redirect URI tells whose application it is. */
const elsewhere: readonly string[] = [
  'urn:ietf:params:oauth:grant-type:device_code',
  'urn:openid:params:grant-type:ciba'
]

/**
 * What keeps a registration from pairwise subjects. They go by a host that is the application's own: that of its
 * redirect URIs, where they have one, else of its `sector_identifier_uri`, else of its `jwks_uri`.
 *
 * @see OpenID Connect Core 1.0 §8.1, OpenID Connect CIBA Core 1.0 §6
 */
export function findSubjectContradictions(metadata: ClientMetadata): Fault[] {
  if (metadata.subject_type !== 'pairwise') return []
  const faults: Fault[] = []
  const fault = (field: string, message: string) => void faults.push({ field, message })
  const { redirect_uris: uris, grant_types: grants, token_endpoint_auth_method: method } = metadata
  const away = grants.filter(grant => elsewhere.includes(grant))
  const hosts = new Set(uris.map(uri => hostOf(uri, metadata.application_type)))

  if (uris.length === 0 && away.length === 0)
    fault('subject_type', 'must not be pairwise for an application that nobody signs in to')
  if (metadata.sector_identifier_uri === undefined) {
    if (hosts.size > 1)
      fault('sector_identifier_uri', 'is needed where redirect_uris are on several hosts: which is it?')
    else if (hosts.has(null))
      fault('sector_identifier_uri', 'is needed where redirect_uris are on no host of the application’s own')
    else if (uris.length > 0 && away.length > 0) fault('sector_identifier_uri', `is needed with ${away[0]}`)
  }
  if (away.length > 0 && metadata.jwks_uri === undefined)
    fault('jwks_uri', `is needed for pairwise subjects with ${away[0]}`)
  if (away.length > 0 && method !== 'private_key_jwt' && method !== 'self_signed_tls_client_auth')
    fault(
      'token_endpoint_auth_method',
      `must be private_key_jwt or self_signed_tls_client_auth for pairwise subjects with ${away[0]}`
    )
  return faults
}

/** Null where anybody's app could have the same: a scheme of its own has no host, a loopback address is everybody's. */
function hostOf(uri: string, applicationType: ClientMetadata['application_type']): string | null {
  const url = URL.parse(uri)
  return url !== null && (url.protocol === 'https:' || applicationType === 'web') ? url.host : null
}
