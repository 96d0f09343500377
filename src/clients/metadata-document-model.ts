// Which URLs are ids of applications, what the documents behind them may say, and how long they are believed.

import type { Fault } from './model.ts'
import type { Json } from './registration-model.ts'

const longestId = 500

/**
 * Whether a client_id is the URL of its own metadata. One spelling alone counts, the one that URL parsers give back:
 * that keeps out dots that climb, disguised hosts and default ports, and makes the comparison of two ids one of texts.
 *
 * @see OAuth Client ID Metadata Document §3
 */
export function isClientIdUrl(text: string): boolean {
  if (!text.startsWith('https://') || text.length > longestId || text.includes('#')) return false
  const url = URL.parse(text)
  return (
    url !== null && url.href === text && url.username === '' && url.password === '' && url.pathname !== '/'
  )
}

/** What a document must say, and must not, beyond what every registration must. @see OAuth Client ID Metadata Document §4 */
export function documentFaults(document: Json, clientId: string): Fault[] {
  const { client_id, token_endpoint_auth_method: method = 'none' } = document
  const secrets = ['client_secret', 'client_secret_expires_at'].filter(name => name in document)
  return [
    ...(client_id === clientId
      ? []
      : [{ field: 'client_id', message: 'must be the URL that the document was fetched from' }]),
    ...secrets.map(field => ({ field, message: 'must not be in a document that anybody can read' })),
    ...(method === 'none' || method === 'private_key_jwt'
      ? []
      : [{ field: 'token_endpoint_auth_method', message: 'must be none or private_key_jwt' }])
  ]
}

/** In seconds: a site's changes arrive within a day, and nobody can have us ask it more often than once a minute. */
const shortest = 60
const usual = 300
const longest = 86_400

/** How long a document may be kept by its answer's headers, in seconds. @see RFC 9111 §5.2.2 */
export function freshSeconds(headers: Headers): number {
  const directives = (headers.get('cache-control') ?? '')
    .toLowerCase()
    .split(',')
    .map(part => part.trim())
  if (directives.some(directive => /^no-(store|cache)\b/.test(directive))) return shortest
  const maxAge = directives.map(directive => /^max-age="?(\d{1,10})"?$/.exec(directive)?.[1]).find(Boolean)
  if (maxAge === undefined) return usual
  const age = Number(/^\d{1,10}$/.exec(headers.get('age') ?? '')?.[0] ?? 0)
  return Math.min(longest, Math.max(shortest, Number(maxAge) - age))
}
