// Request objects by reference, and those without a signature: the library knows neither any more, and the test suite's
// profile needs both. They become requests that it knows. Nothing of this is loaded in other profiles.
import type { FastifyInstance } from 'fastify'
import { type JWTPayload, UnsecuredJWT } from 'jose'
import type { Context } from '../context.ts'
import { fetchOutbound } from '../http/outbound.ts'
import type { Oidc } from './oidc.ts'
import { routes } from './provider.ts'
import type { RegisteredClient } from './registry.ts'

/** What pushed requests are named by (RFC 9126 §2.2). Nothing was ever pushed under this name: `invalid_request_uri`. */
const pushed = 'urn:ietf:params:oauth:request_uri:'
const unreadable = `${pushed}unreadable`

/** Has requests at the authorization endpoint read before the library sees them. @see OpenID Connect Core 1.0 §6 */
export function readRequestObjects(scope: FastifyInstance, oidc: Oidc): void {
  scope.addHook('preHandler', async ({ raw, routeOptions }) => {
    if (routeOptions.url !== routes.authorization) return
    const { searchParams } = new URL(raw.url ?? '', oidc.issuer)
    const client = await oidc.current().registry.clients.find(searchParams.get('client_id') ?? '')
    const known = client === undefined ? null : await toKnownRequest(oidc.ctx, client, searchParams)
    if (known !== null) raw.url = `${routes.authorization}?${known}`
  })
}

/** The same request as the library knows it; null where it is one, or the library refuses it as it came. */
async function toKnownRequest(
  ctx: Context,
  client: RegisteredClient,
  sent: URLSearchParams
): Promise<URLSearchParams | null> {
  const references = sent.getAll('request_uri')
  const objects = sent.getAll('request')
  if (references.length + objects.length !== 1) return null
  const [reference] = references
  if (reference?.startsWith(pushed)) return null
  const known = new URLSearchParams(sent)
  known.delete('request_uri')
  const object = reference === undefined ? objects[0] : await fetchRequestObject(ctx, client, reference)
  if (object === undefined) known.set('request_uri', unreadable)
  else known.set('request', object)
  return readUnsigned(ctx, client, known) ?? known
}

/** Registered references alone: else anybody could make us ask anywhere. @see OpenID Connect Core 1.0 §6.2 */
async function fetchRequestObject(
  { config, log }: Context,
  { request_uris = [] }: RegisteredClient,
  reference: string
): Promise<string | undefined> {
  if (!request_uris.includes(reference)) return undefined
  try {
    const answer = await fetchOutbound(config, reference, { maxBytes: 64 * 1024 })
    const object = answer.status === 200 ? (await answer.text()).trim() : ''
    return object === '' ? undefined : object
  } catch (error) {
    log.info({ err: error, reference }, 'a request object could not be fetched')
    return undefined
  }
}

/** The parameters that an unsigned request object stands for, and none but them (RFC 9101 §6.3); null for any other. */
function readUnsigned(
  { config, now }: Context,
  client: RegisteredClient,
  sent: URLSearchParams
): URLSearchParams | null {
  if (client.requestObjectSigningAlg !== undefined || client.requireSignedRequestObject === true) return null
  const payload = decodeUnsigned(sent.get('request') ?? '', now())
  if (payload === null) return null
  const { clientId } = client
  const { client_id = clientId, iss = clientId, aud = config.issuer, ...claims } = payload
  const { response_type = sent.get('response_type') } = claims
  const fits =
    client_id === clientId &&
    iss === clientId &&
    [aud].flat().includes(config.issuer) &&
    response_type === (sent.get('response_type') ?? response_type) &&
    !('request' in claims || 'request_uri' in claims)
  if (!fits) return null
  const params = new URLSearchParams({ client_id: clientId })
  for (const [name, value] of Object.entries(claims))
    for (const one of name === 'resource' ? [value].flat() : [value])
      params.append(name, typeof one === 'string' ? one : JSON.stringify(one))
  return params
}

function decodeUnsigned(object: string, currentDate: Date): JWTPayload | null {
  try {
    return UnsecuredJWT.decode(object, { currentDate }).payload
  } catch {
    return null
  }
}
