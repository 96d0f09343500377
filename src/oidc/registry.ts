// Applications and resources as the protocol asks for them: in memory, loaded when first needed, dropped when they change.
// The library's own cache holds a hundred and costs a look-up and a hash each time.
import { type Client, errors, Provider, type ResourceServer } from 'oidc-provider'
import { isClientIdUrl } from '../clients/metadata-document-model.ts'
import {
  allowedScopes,
  type Client as ClientRow,
  ownClientId,
  type RegisteredBy,
  type Resource,
  secretKeeping
} from '../clients/model.ts'
import { narrowed } from '../clients/registration-model.ts'
import type { Acceptance } from '../clients/registration-service.ts'
import { findClient, findResource } from '../clients/repository.ts'
import { clientSecretKey, hashedSecretPrefix, protocolMetadata, toClient } from '../clients/service.ts'
import type { Context } from '../context.ts'
import { equalBytes, hashToken } from '../lib/tokens.ts'
import { accountClientMetadata } from './account-client.ts'
import { type ClientDocuments, createClientDocuments } from './client-documents.ts'

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

/** What Gatehouse adds to the library's client. */
export type RegisteredClient = Client & {
  first_party: boolean
  introspection: boolean
  resources: string[]
  access_token_signing_alg?: string
  /** How surely people must prove who they are to use it. */
  required_acr?: string
  /** Its whole scope: the library is told only of OpenID Connect's. */
  registered_scope: string | null
  /** Absent: the operator. */
  registered_by?: Exclude<RegisteredBy, 'operator'>
}
export const ownMetadata = [
  'first_party',
  'introspection',
  'resources',
  'access_token_signing_alg',
  'required_acr',
  'registered_scope',
  'registered_by'
]

export type Registry = {
  clients: Cache<RegisteredClient | undefined>
  resources: Cache<Resource | null>
  /** What the library would not take of metadata that passed our checks. */
  accepts: Acceptance
  /** The row of an application that registered itself, as it was when it was loaded. */
  rowOf: (client: RegisteredClient) => ClientRow | undefined
}

type ClientModel = {
  new (metadata: object): RegisteredClient
  find: (id: unknown) => Promise<RegisteredClient | undefined>
  prototype: { compareClientSecret: (this: { clientSecret?: string }, actual: unknown) => boolean }
}

/** Gives the library clients from our cache, and a comparison for secrets of which only the hash is kept. */
export function createRegistry(ctx: Context, provider: Provider): Registry {
  const key = clientSecretKey(ctx.config)
  const model = provider.Client as unknown as ClientModel
  const { toLibrary, accepts, rowOf } = createOwnClients(ctx, model)
  const documents = ctx.config.clientIdMetadata.enabled ? createClientDocuments(ctx) : null
  const clients = createCache(ctx.now, async id => {
    if (id === ownClientId) return new model(accountClientMetadata(ctx.config))
    if (isClientIdUrl(id)) {
      const described = await documents?.find(id)
      return described?.ok === true ? toLibrary(described.row) : undefined
    }
    // PostgreSQL takes no NUL, and nobody has such an id.
    const row = id.includes('\0') ? null : await findClient(ctx.sql, id)
    if (row === null) return undefined
    return row.registeredBy === 'operator'
      ? new model({ ...protocolMetadata(row, key), registered_scope: row.scope })
      : toLibrary(row)
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
  const resources = createCache(ctx.now, identifier => findResource(ctx.sql, identifier))
  return { clients, resources, accepts, rowOf }
}

/** Whoever begins a sign-in is told what is wrong with their document; elsewhere such a client is one that is not there. */
async function explain(documents: ClientDocuments, id: unknown): Promise<void> {
  if (typeof id !== 'string' || !isClientIdUrl(id) || Provider.ctx?.oidc.route !== 'authorization') return
  const described = await documents.find(id)
  if (!described.ok) throw new errors.InvalidClient(`the document at client_id ${described.reason}`)
}

/** Applications that registered themselves: they are what the policy of today lets them be. */
function createOwnClients(ctx: Context, model: ClientModel) {
  const key = clientSecretKey(ctx.config)
  const rows = new WeakMap<RegisteredClient, ClientRow>()
  const toLibrary = (row: ClientRow): RegisteredClient => {
    const { scope, ...narrow } = narrowed(row, ctx.config)
    const client = new model({
      ...protocolMetadata({ scope, ...narrow }, key),
      registered_scope: scope,
      registered_by: row.registeredBy
    })
    rows.set(client, row)
    return client
  }
  const accepts: Acceptance = metadata => {
    const at = ctx.now()
    const needsSecret = secretKeeping(metadata) !== 'none'
    const row = toClient(metadata, {
      clientId: 'not-registered-yet',
      clientSecretHash: needsSecret ? Buffer.alloc(32) : null,
      clientSecretSealed: null,
      registeredBy: 'registration',
      registrationAccessTokenHash: null,
      lastUsedAt: null,
      createdAt: at,
      updatedAt: at
    })
    try {
      toLibrary(row)
      return []
    } catch (error) {
      if (!(error instanceof errors.InvalidClientMetadata)) throw error
      return [{ field: '', message: error.error_description ?? 'not supported' }]
    }
  }
  return { toLibrary, accepts, rowOf: (client: RegisteredClient) => rows.get(client) }
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
  const alg =
    resource.accessTokenSigningAlg ?? client.access_token_signing_alg ?? ctx.config.accessTokenSigningAlg
  return {
    audience: resource.identifier,
    scope: allowedScopes({ resources: client.resources, scope: client.registered_scope }, resource).join(' '),
    accessTokenFormat: resource.accessTokenFormat,
    accessTokenTTL: resource.accessTokenLifetimeSeconds ?? ctx.config.accessTokenLifetimeSeconds,
    ...(resource.accessTokenFormat === 'jwt' ? { jwt: { sign: { alg: alg as 'ES256' } } } : {})
  } as ResourceServer
}
