// Applications and resources as the protocol asks for them: in memory, loaded when first needed, dropped when they change.
// The library's own cache holds a hundred and costs a look-up and a hash each time.
import { type Client, errors, Provider, type ResourceServer } from 'oidc-provider'
import { isClientIdUrl } from '../clients/metadata-document-model.ts'
import {
  allowedScopes,
  type ClientMetadata,
  ownClientId,
  type RegisteredBy,
  type Resource
} from '../clients/model.ts'
import { fapiAlgs } from '../clients/profile-model.ts'
import { findClient, findResource } from '../clients/repository.ts'
import { clientSecretKey, hashedSecretPrefix, protocolMetadata } from '../clients/service.ts'
import type { Context } from '../context.ts'
import { equalBytes, hashToken } from '../lib/tokens.ts'
import { accountClientMetadata } from './account-client.ts'
import { type ClientDocuments, createClientDocuments } from './client-documents.ts'
import { limitKeyRequests } from './client-keys.ts'
import { accessTokenSeconds } from './lifetimes.ts'
import { createRegisteredClients, type RegisteredClients } from './registered-clients.ts'

/** A change reaches every node by NOTIFY; should one get lost, the entry is good for this long. */
const maximumAgeMilliseconds = 60_000
const maximumEntries = 10_000

type Entry<T> = { value: Promise<T>; loadedAt: number }

/** Loads once, remembers while fresh. Neither a failed load nor one that found nothing is remembered. */
export type Cache<T> = { find: (key: string) => Promise<T>; drop: (key?: string) => void }

export function createCache<T>(now: () => Date, load: (key: string) => Promise<T>): Cache<T> {
  const entries = new Map<string, Entry<T>>()
  return {
    find: key => {
      const entry = entries.get(key)
      if (entry !== undefined && now().getTime() - entry.loadedAt < maximumAgeMilliseconds) return entry.value
      if (entries.size >= maximumEntries) entries.delete(entries.keys().next().value ?? '')
      const value = load(key)
      entries.set(key, { value, loadedAt: now().getTime() })
      // What is not there is not remembered either: made-up names would push out the true ones.
      value.then(
        found => (found === null || found === undefined) && entries.delete(key),
        () => entries.delete(key)
      )
      return value
    },
    drop: key => void (key === undefined ? entries.clear() : entries.delete(key))
  }
}

/** Of a registration, what the library is told to keep for us. */
const keptMembers = [
  'first_party',
  'introspection',
  'resources',
  'access_token_signing_alg',
  'required_acr',
  'require_pkce',
  'request_uris',
  'security_profile',
  'access_token_format',
  'access_token_lifetime_seconds',
  'id_token_lifetime_seconds',
  'refresh_token_idle_seconds',
  'refresh_token_absolute_seconds',
  'refresh_token_grace_seconds',
  'refresh_token_rotation',
  'token_exchange'
] as const satisfies (keyof ClientMetadata)[]

export const ownMetadata: string[] = [...keptMembers, 'registered_scope', 'registered_by']

/** What Gatehouse adds to the library's client. */
export type RegisteredClient = Client &
  Pick<ClientMetadata, (typeof keptMembers)[number]> & {
    /** Its whole scope: the library is told only of OpenID Connect's. */
    registered_scope: string | null
    /** Absent: the operator. */
    registered_by?: Exclude<RegisteredBy, 'operator'>
  }

export type Registry = {
  clients: Cache<RegisteredClient | undefined>
  resources: Cache<Resource | null>
  registered: RegisteredClients
}

/** The library's class of clients, as far as we use it. */
export type ClientModel = {
  new (metadata: object): RegisteredClient
  find: (id: unknown) => Promise<RegisteredClient | undefined>
  prototype: {
    compareClientSecret: (this: { clientSecret?: string }, actual: unknown) => boolean
    checkClientSecretExpiration: (message: string, errorOverride?: string) => void
  }
}

/** Gives the library clients from our cache, and a comparison for secrets of which only the hash is kept. */
export function createRegistry(ctx: Context, provider: Provider, customScopes: string[]): Registry {
  const key = clientSecretKey(ctx.config)
  const model = provider.Client as unknown as ClientModel
  const registered = createRegisteredClients(ctx, model, customScopes)
  const documents = ctx.config.clientIdMetadata.enabled
    ? createClientDocuments(ctx, registered.accepts)
    : null
  const clients = createCache(ctx.now, async id => {
    if (id === ownClientId) return new model(accountClientMetadata(ctx.config))
    if (isClientIdUrl(id)) {
      const described = await documents?.find(id)
      return described?.ok === true ? registered.toLibrary(described.row) : undefined
    }
    // PostgreSQL takes no NUL, and nobody has such an id.
    const row = id.includes('\0') ? null : await findClient(ctx.sql, id)
    if (row === null) return undefined
    return row.registeredBy === 'operator'
      ? limitKeyRequests(
          ctx,
          new model({ ...protocolMetadata(row, key, customScopes), registered_scope: row.scope })
        )
      : registered.toLibrary(row)
  })
  model.find = async id => {
    const client = typeof id === 'string' && id !== '' ? await clients.find(id) : undefined
    if (client === undefined && documents !== null) await explain(documents, id)
    return client
  }
  const compareClear = model.prototype.compareClientSecret
  model.prototype.compareClientSecret = function (actual) {
    const { clientSecret = '' } = this
    if (!clientSecret.startsWith(hashedSecretPrefix)) return compareClear.call(this, actual)
    const expected = Buffer.from(clientSecret.slice(hashedSecretPrefix.length), 'base64url')
    return typeof actual === 'string' && equalBytes(hashToken(actual), expected)
  }
  const checkExpiry = model.prototype.checkClientSecretExpiration
  model.prototype.checkClientSecretExpiration = function (message, errorOverride) {
    try {
      checkExpiry.call(this, message, errorOverride)
    } catch (error) {
      // The answer to a wrong secret (RFC 6749 §5.2): only its owner is to learn that it has ended.
      throw error instanceof errors.InvalidClient && errorOverride === undefined
        ? new errors.InvalidClientAuth(message)
        : error
    }
  }
  const resources = createCache(ctx.now, identifier => findResource(ctx.sql, identifier))
  return { clients, resources, registered }
}

/** Whoever begins a sign-in is told what is wrong with their document; elsewhere such a client is one that is not there. */
async function explain(documents: ClientDocuments, id: unknown): Promise<void> {
  if (typeof id !== 'string' || !isClientIdUrl(id) || Provider.ctx?.oidc.route !== 'authorization') return
  const described = await documents.find(id)
  if (!described.ok) throw new errors.InvalidClient(`the document at client_id ${described.reason}`)
}

/**
 * What a token for `resource` looks like. Throws invalid_target for a resource that does not exist or is not
 * one of the client's: both look the same from outside.
 *
 * @see RFC 8707 §2, RFC 9068
 */
export async function resourceServer(
  ctx: Context,
  resource: Resource | null,
  client: RegisteredClient
): Promise<ResourceServer> {
  if (resource === null || !client.resources?.includes(resource.identifier)) throw new errors.InvalidTarget()
  const own = client.access_token_signing_alg
  const wanted = resource.accessTokenSigningAlg ?? own ?? ctx.config.accessTokenSigningAlg
  // What the client's profile excludes it does not get, whoever else would have it (FAPI 2.0 Security Profile §5.4.1).
  const excluded = client.security_profile !== undefined && !fapiAlgs.includes(wanted)
  const alg = excluded ? (own ?? 'ES256') : wanted
  const accessTokenFormat = client.access_token_format ?? resource.accessTokenFormat
  return {
    audience: resource.identifier,
    scope: allowedScopes({ resources: client.resources, scope: client.registered_scope }, resource).join(' '),
    accessTokenFormat,
    accessTokenTTL: accessTokenSeconds(ctx.config, client, resource),
    ...(accessTokenFormat === 'jwt' ? { jwt: { sign: { alg: alg as 'ES256' } } } : {})
  } as ResourceServer
}
