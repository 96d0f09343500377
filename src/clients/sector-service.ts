// Whether the redirect URIs of a sector are those that its own site lists. @see OpenID Connect Core 1.0 §8.1
import type { Context } from '../context.ts'
import { fetchOutbound } from '../http/outbound.ts'
import type { ClientMetadata, Fault } from './model.ts'

/**
 * What is wrong with a registration's `sector_identifier_uri`, which is fetched for it: several applications that see a
 * person under the same subject must be named by one site. Nothing is fetched for a registration without.
 */
export async function sectorFaults(ctx: Context, metadata: ClientMetadata): Promise<Fault[]> {
  const { sector_identifier_uri: uri, redirect_uris, jwks_uri, grant_types } = metadata
  if (uri === undefined) return []
  const fault = (message: string) => [{ field: 'sector_identifier_uri', message }]
  const listed = await readList(ctx, uri)
  if (listed === null) return fault('must answer with a JSON array of redirect URIs')
  if (!redirect_uris.every(redirectUri => listed.includes(redirectUri)))
    return fault('must list all of redirect_uris')
  // A person who approves elsewhere is redirected nowhere: there the key set stands for the site.
  const elsewhere = grant_types.some(grant => /device_code$|:ciba$/.test(grant))
  return elsewhere && (jwks_uri === undefined || !listed.includes(jwks_uri))
    ? fault('must list jwks_uri')
    : []
}

async function readList(ctx: Context, uri: string): Promise<string[] | null> {
  try {
    const answer = await fetchOutbound(ctx.config, uri, {
      headers: { accept: 'application/json' },
      maxBytes: 64 * 1024
    })
    const list: unknown = answer.status === 200 ? await answer.json() : null
    return Array.isArray(list) && list.every(entry => typeof entry === 'string') ? list : null
  } catch (error) {
    ctx.log.info({ err: error, uri }, 'a sector_identifier_uri could not be read')
    return null
  }
}
