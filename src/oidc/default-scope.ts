// What is asked for by who asks for a resource and names no scope, as clients do that were told of none.
import type { KoaContextWithOIDC } from 'oidc-provider'

/**
 * Fills in the default of RFC 6749 §3.3: all that the client may be given at the resources that it names. `openid` stands
 * for a resource without scopes, since the library takes a request for no scope at all as one for nothing.
 */
export async function fillScope({ oidc }: KoaContextWithOIDC): Promise<void> {
  const { params, resourceServers = {} } = oidc
  const servers = Object.values(resourceServers)
  if (params === undefined || servers.length === 0) return
  if (params.scope !== undefined || params.authorization_details !== undefined) return
  const scopes = servers.flatMap(({ scope }) => scope?.split(' ') ?? []).filter(scope => scope !== '')
  params.scope = [...new Set(scopes)].join(' ') || 'openid'
}
