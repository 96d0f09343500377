// oidc-provider alone, as a process of its own: its callback on node:http, everything in a Map, and beside it only a
// sign-in page. Set up as Gatehouse is wherever that costs time.
import { randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { text } from 'node:stream/consumers'
import { type KoaContextWithOIDC, Provider } from 'oidc-provider'
import { loadConfig } from '../../src/config/load.ts'
import { hashPassword, verifyPassword } from '../../src/credentials/hashing.ts'
import { claimsByScope } from '../../src/oidc/claims.ts'
import { routes } from '../../src/oidc/provider.ts'
import { answerParent, startOptions } from '../child.ts'
import type { Target } from '../load/person.ts'
import { createMapAdapter } from './map-adapter.ts'
import { usageAnswers } from './usage.ts'

export type BareOptions = { port: number; target: Omit<Target, 'name' | 'origin'>; jwks: { keys: object[] } }

const { port, target, jwks } = startOptions<BareOptions>()
const { service, web, people } = target
const loaded = loadConfig(
  { PORT: String(port), ENCRYPTION_KEY: randomBytes(32).toString('base64') },
  { writeSecrets: false }
)
if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
const { config } = loaded
const passwordHash = await hashPassword(config, people[0]?.password ?? '')

const provider: Provider = new Provider(`http://127.0.0.1:${port}`, {
  adapter: createMapAdapter() as never,
  jwks: jwks as never,
  routes,
  claims: claimsByScope,
  scopes: ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'],
  responseTypes: ['code'],
  clients: [
    {
      client_id: service.clientId,
      client_secret: service.clientSecret,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: []
    },
    {
      client_id: web.clientId,
      client_secret: web.clientSecret,
      redirect_uris: [web.redirectUri],
      grant_types: ['authorization_code', 'refresh_token'],
      scope: web.scope
    }
  ],
  clientDefaults: { id_token_signed_response_alg: 'ES256', response_types: ['code'] },
  findAccount: (_ctx, sub) => ({
    accountId: sub,
    claims: () => ({ sub, name: 'Ada Lovelace', email: sub, email_verified: true, updated_at: 1_700_000_000 })
  }),
  loadExistingGrant,
  interactions: { url: (_ctx, { uid }) => `/interaction/${uid}` },
  cookies: { keys: ['a key that signs the cookies of a benchmark'] },
  enabledJWA: {
    idTokenSigningAlgValues: ['ES256', 'RS256', 'EdDSA', 'HS256'],
    requestObjectSigningAlgValues: ['ES256', 'RS256', 'PS256', 'EdDSA'],
    clientAuthSigningAlgValues: ['ES256', 'RS256', 'PS256', 'EdDSA', 'HS256'],
    dPoPSigningAlgValues: ['ES256', 'EdDSA']
  },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    claimsParameter: { enabled: true },
    introspection: { enabled: true },
    revocation: { enabled: true },
    dPoP: { enabled: true, nonceSecret: Buffer.alloc(32, 1) },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => [] as never,
      getResourceServerInfo: () => ({
        audience: service.resource,
        scope: 'api:read api:write',
        accessTokenFormat: 'jwt',
        accessTokenTTL: config.accessTokenLifetimeSeconds,
        jwt: { sign: { alg: 'ES256' } }
      })
    },
    rpInitiatedLogout: { enabled: true }
  },
  issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
  rotateRefreshToken: () => true,
  ttl: {
    AccessToken: config.accessTokenLifetimeSeconds,
    ClientCredentials: config.accessTokenLifetimeSeconds,
    AuthorizationCode: 60,
    IdToken: config.idTokenLifetimeSeconds,
    Interaction: config.interactionLifetimeSeconds,
    Grant: config.refreshTokenAbsoluteSeconds,
    RefreshToken: config.refreshTokenIdleSeconds,
    Session: config.sessionIdleSeconds
  }
})

/** A first-party application: nobody is asked. */
async function loadExistingGrant({ oidc }: KoaContextWithOIDC) {
  const { session, client, account, params } = oidc
  const known = session?.grantIdFor(client?.clientId ?? '')
  if (known !== undefined) return await provider.Grant.find(known)
  if (client === undefined || account === undefined) return undefined
  const grant = new provider.Grant({ clientId: client.clientId, accountId: account.accountId })
  grant.addOIDCScope(String(params?.scope))
  await grant.save()
  return grant
}

const page = `<!doctype html><title>Sign in</title><form id="sign-in-form" method="post" action="ACTION">
<input name="email"><input name="password" type="password"><button id="sign-in">Sign in</button></form>`

/** The sign-in page and its form, at the least that they can be. */
async function signIn(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'GET') {
    const { uid } = await provider.interactionDetails(request, response)
    const html = page.replace('ACTION', `/interaction/${uid}`)
    response.writeHead(200, { 'content-type': 'text/html', 'content-length': html.length }).end(html)
    return
  }
  const fields = new URLSearchParams(await text(request))
  if (!(await verifyPassword(config, passwordHash, fields.get('password')))) throw new Error('wrong password')
  const result = { login: { accountId: fields.get('email') ?? '', amr: ['pwd'] } }
  const location = await provider.interactionResult(request, response, result)
  response.writeHead(303, { location, 'content-length': 0 }).end()
}

const callback = provider.callback()
// Connections wait while the other server is measured; five seconds, as by default, would cut them.
const server = createServer({ keepAliveTimeout: 65_000 }, (request, response) => {
  if (request.url?.startsWith('/interaction/') !== true) return void callback(request, response)
  signIn(request, response).catch(error => response.writeHead(500).end(String(error)))
})
await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve))
answerParent(usageAnswers(() => 0))
