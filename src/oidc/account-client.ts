// Our own account pages as a client of the protocol: they send people to sign in the way every application does, and
// need no more of it than the browser's session.

import { ownClientId } from '../clients/model.ts'
import type { Config } from '../config/schema.ts'

/** Where the protocol sends the browser back to. */
export const accountReturnPath = '/account/return'

/**
 * The client's registration. It is in no table: nobody can remove or change it, and nothing is granted to it.
 *
 * @see OAuth 2.0 Multiple Response Type Encoding Practices §4, for `none`
 */
export const accountClientMetadata = ({ issuer }: Config) => ({
  client_id: ownClientId,
  client_name: 'your account',
  client_uri: `${issuer}/account`,
  redirect_uris: [`${issuer}${accountReturnPath}`],
  response_types: ['none'],
  grant_types: [],
  token_endpoint_auth_method: 'none',
  first_party: true,
  introspection: false,
  resources: [],
  registered_scope: 'openid'
})

/**
 * The authorization request that signs a person in for `path` of the account pages.
 *
 * `maxAgeSeconds` and `acr` ask for a recent and a sure enough sign-in: who has both already comes straight back.
 */
export function accountSignInUrl(
  { issuer }: Config,
  { path, maxAgeSeconds, acr }: { path: string; maxAgeSeconds?: number; acr?: string }
): string {
  const parameters = new URLSearchParams({
    client_id: ownClientId,
    response_type: 'none',
    redirect_uri: `${issuer}${accountReturnPath}`,
    scope: 'openid',
    state: path,
    ...(maxAgeSeconds === undefined ? {} : { max_age: String(maxAgeSeconds) }),
    ...(acr === undefined ? {} : { acr_values: acr })
  })
  return `/auth?${parameters}`
}
