// The three applications of a development installation, and the file that tells tools on this machine their secrets.
import { join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import { parseClientMetadata } from '../clients/metadata-model.ts'
import { type Client, metadataOf } from '../clients/model.ts'
import { findClient, findResource } from '../clients/repository.ts'
import { registerResource } from '../clients/resource-service.ts'
import { registerClient, replaceClient, replaceClientSecret } from '../clients/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { equalBytes, hashToken } from '../lib/tokens.ts'
import { lockDemoClients } from './clients-repository.ts'
import { readSecrets, writeSecrets } from './files.ts'

/** An entry of demo-clients.json. @see RFC 7591 §3.2.1 */
export type DemoClient = { client_id: string; client_secret?: string; [member: string]: unknown }

const demoResource = { identifier: 'urn:demo:api', name: 'Demo API', scopes: ['api:read', 'api:write'] }
const everyScope = 'openid profile email address phone offline_access api:read api:write'

const registrations = (demoPort: number): Record<string, Record<string, unknown>> => ({
  'demo-web': {
    client_name: 'Demo application',
    client_uri: `http://localhost:${demoPort}/`,
    redirect_uris: [`http://localhost:${demoPort}/callback`],
    post_logout_redirect_uris: [`http://localhost:${demoPort}/`],
    grant_types: ['authorization_code', 'refresh_token'],
    scope: everyScope,
    resources: [demoResource.identifier]
  },
  'demo-native': {
    client_name: 'Demo native application',
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    // Any port: it is not compared for a native application on a loopback address (RFC 8252 §7.3).
    redirect_uris: ['http://127.0.0.1/callback'],
    post_logout_redirect_uris: ['http://127.0.0.1/'],
    grant_types: ['authorization_code', 'refresh_token', 'urn:ietf:params:oauth:grant-type:device_code'],
    scope: everyScope,
    resources: [demoResource.identifier]
  },
  'demo-service': {
    client_name: 'Demo service',
    grant_types: ['client_credentials'],
    scope: demoResource.scopes.join(' '),
    resources: [demoResource.identifier],
    introspection: true
  }
})

/**
 * Sees to it that `demo-web`, `demo-native` and `demo-service` are registered and that DATA_DIR/demo-clients.json
 * (mode 0600) tells their secrets.
 *
 * Later starts change nothing; where the file or a secret in it was lost, new secrets are set and written. Returns what
 * the file holds. Only for development: throws elsewhere.
 */
export async function ensureDemoClients(ctx: Context, { demoPort = 3001 } = {}): Promise<DemoClient[]> {
  if (!ctx.config.development) throw new Error('the demo clients are for development only')
  const path = join(ctx.config.dataDir, 'demo-clients.json')
  return await inTransaction(ctx, async tx => {
    // Two processes on one directory: the second one finds the first one's file.
    await lockDemoClients(tx.sql)
    if ((await findResource(tx.sql, demoResource.identifier)) === null)
      await registerResource(tx, demoResource)

    const written = readDemoClients(path)
    const clients: DemoClient[] = []
    for (const [clientId, registration] of Object.entries(registrations(demoPort))) {
      const secret = written.find(({ client_id }) => client_id === clientId)?.client_secret
      clients.push(await ensureDemoClient(tx, clientId, { registration, secret }))
    }
    // Before the commit: should that fail, the next start finds secrets that do not fit and sets new ones.
    if (JSON.stringify(written) !== JSON.stringify(clients)) writeSecrets(path, clients)
    return clients
  })
}

type Wanted = { registration: Record<string, unknown>; secret: string | undefined }

async function ensureDemoClient(
  tx: Context,
  clientId: string,
  { registration, secret }: Wanted
): Promise<DemoClient> {
  const before = await findClient(tx.sql, clientId)
  const issued = isAsRegistered(before, registration) ? null : await register(tx, clientId, registration)
  const known = before !== null && secretFits(before, secret) ? secret : null
  const client_secret = issued ?? known ?? (await replaceClientSecret(tx, clientId))

  const client = await findClient(tx.sql, clientId)
  if (client === null) throw new Error(`demo client ${clientId} is gone`)
  return describe(client, client_secret)
}

function isAsRegistered(client: Client | null, registration: Record<string, unknown>): boolean {
  if (client === null) return false
  const { client_id, ...metadata } = metadataOf(client)
  const wanted = parseClientMetadata(registration, { development: true })
  return wanted.ok && isDeepStrictEqual(wanted.metadata, metadata)
}

/** Returns the secret that this registration made, if it made one. */
async function register(
  tx: Context,
  clientId: string,
  registration: Record<string, unknown>
): Promise<string | null> {
  const replaced = await replaceClient(tx, clientId, registration)
  const outcome =
    'reason' in replaced && replaced.reason === 'unknown_client'
      ? await registerClient(tx, registration, { clientId })
      : replaced
  if (!outcome.ok) throw new Error(`demo client ${clientId}: ${JSON.stringify(outcome.faults)}`)
  return outcome.client_secret
}

const secretFits = (client: Client, secret: string | undefined): boolean =>
  secret !== undefined &&
  client.clientSecretHash !== null &&
  equalBytes(hashToken(secret), client.clientSecretHash)

function describe(client: Client, secret: string | null): DemoClient {
  const { client_id, ...metadata } = metadataOf(client)
  // RFC 7591 §3.2.1: a secret says when it expires; 0 is never.
  return {
    client_id,
    ...(secret === null ? {} : { client_secret: secret, client_secret_expires_at: 0 }),
    ...metadata
  }
}

/** What an earlier start wrote; empty when the file is missing or holds something else. */
function readDemoClients(path: string): DemoClient[] {
  const value = readSecrets(path)
  return Array.isArray(value) ? value.filter(entry => typeof entry?.client_id === 'string') : []
}
