// Registers applications and keeps their secrets. What they may then do is the protocol's work (oidc/).
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { createId } from '../lib/ids.ts'
import { deriveKey, open, seal } from '../lib/sealed-box.ts'
import { createToken, equalBytes, hashToken } from '../lib/tokens.ts'
import { installationOf, type ParseOutcome, parseClientMetadata } from './metadata-model.ts'
import {
  type Client,
  type ClientMetadata,
  type Fault,
  metadataOf,
  openidScopes,
  ownClientId,
  secretKeeping
} from './model.ts'
import { deleteClient, findClient, insertClient, listResources, updateClient } from './repository.ts'
import { sectorFaults } from './sector-service.ts'

export type RegisterOutcome =
  | { ok: true; client_id: string; client_secret: string | null; metadata: ClientMetadata }
  | { ok: false; faults: Fault[] }

export type UpdateOutcome = RegisterOutcome | { ok: false; faults: []; reason: 'unknown_client' }

/**
 * Registers an application for the operator.
 *
 * `client_secret` is in the answer this once, and null for a client that proves itself otherwise; afterwards only its
 * hash is known, or its sealed form where an HMAC needs it back. Tells every node; records `client.registered`.
 *
 * @see RFC 7591 §3.2.1
 */
export async function registerClient(
  ctx: Context,
  input: unknown,
  { clientId }: { clientId?: string } = {}
): Promise<RegisterOutcome> {
  const id = clientId ?? createId(ctx.now())
  const idFaults = clientIdFaults(id)
  const checked = await checkMetadata(ctx, input, { selfRegistered: false })
  if (!checked.ok) return { ok: false, faults: [...idFaults, ...checked.faults] }
  if (idFaults.length > 0) return { ok: false, faults: idFaults }
  return await addClient(ctx, checked.metadata, {
    clientId: id,
    registeredBy: 'operator',
    registrationAccessTokenHash: null
  })
}

/**
 * Adds an application whose metadata were checked. The only fault left is an id that is taken. Answers, tells and
 * records as `registerClient`.
 */
export async function addClient(
  ctx: Context,
  metadata: ClientMetadata,
  own: Pick<Client, 'clientId' | 'registeredBy' | 'registrationAccessTokenHash'>
): Promise<RegisterOutcome> {
  const { clientId } = own
  const { secret, ...kept } = createSecret(ctx, clientId, metadata)
  const at = ctx.now()
  const client = toClient(metadata, { ...own, ...kept, lastUsedAt: null, createdAt: at, updatedAt: at })
  return await inTransaction(ctx, async tx => {
    if (!(await insertClient(tx.sql, client)))
      return { ok: false, faults: [{ field: 'client_id', message: 'is taken' }] }
    await recordEvent(tx, {
      type: 'client.registered',
      clientId,
      details: { client_name: client.clientName, registered_by: client.registeredBy }
    })
    return { ok: true, client_id: clientId, client_secret: secret, metadata }
  })
}

/**
 * Replaces an application's registration.
 *
 * Its secret stays, unless the new registration needs it kept in another way: then a new one is in the answer. Tells
 * every node; records `client.updated`.
 */
export async function replaceClient(ctx: Context, clientId: string, input: unknown): Promise<UpdateOutcome> {
  const checked = await checkMetadata(ctx, input, { selfRegistered: false })
  return checked.ok ? await overwriteClient(ctx, clientId, checked.metadata) : checked
}

/** As `replaceClient`, with metadata that were checked. */
export async function overwriteClient(
  ctx: Context,
  clientId: string,
  metadata: ClientMetadata
): Promise<UpdateOutcome> {
  return await inTransaction(ctx, async tx => {
    const before = await findClient(tx.sql, clientId)
    if (before === null) return { ok: false, faults: [], reason: 'unknown_client' }

    const keepsSecret = secretKeeping(metadataOf(before)) === secretKeeping(metadata)
    const { secret, ...kept } = keepsSecret
      ? {
          secret: null,
          clientSecretHash: before.clientSecretHash,
          clientSecretSealed: before.clientSecretSealed
        }
      : createSecret(tx, clientId, metadata)
    const client = toClient(metadata, { ...before, ...kept, updatedAt: tx.now() })
    // When its secret ends is the operator's word: what registered itself does not take that back.
    const endsAsBefore = keepsSecret && before.registeredBy !== 'operator'
    const { clientSecretExpiresAt } = endsAsBefore ? before : client
    await updateClient(tx.sql, { ...client, clientSecretExpiresAt })
    await recordEvent(tx, { type: 'client.updated', clientId })
    return { ok: true, client_id: clientId, client_secret: secret, metadata }
  })
}

/**
 * Gives a client a new secret, good until `expiresAt` (null: for ever); the old one is worth nothing from then on.
 * Returns it, or null when there is no such client or it has no secret. Tells every node; records
 * `client.secret_replaced`.
 */
export async function replaceClientSecret(
  ctx: Context,
  clientId: string,
  { expiresAt = null }: { expiresAt?: Date | null } = {}
): Promise<string | null> {
  return await inTransaction(ctx, async tx => {
    const client = await findClient(tx.sql, clientId)
    if (client === null) return null
    const { secret, ...kept } = createSecret(tx, clientId, metadataOf(client))
    if (secret === null) return null
    await updateClient(tx.sql, {
      ...client,
      ...kept,
      clientSecretExpiresAt: expiresAt,
      updatedAt: tx.now()
    })
    await recordEvent(tx, { type: 'client.secret_replaced', clientId })
    return secret
  })
}

/**
 * Removes a client with every grant that people gave it. Returns whether there was one. Tells every node; records
 * `client.removed`.
 */
export async function removeClient(ctx: Context, clientId: string): Promise<boolean> {
  return await inTransaction(ctx, async tx => {
    if (!(await deleteClient(tx.sql, clientId))) return false
    await recordEvent(tx, { type: 'client.removed', clientId })
    return true
  })
}

/** What marks a client_secret in `protocolMetadata` as the hash of one: base64url of its SHA-256 follows. */
export const hashedSecretPrefix = 'sha256:'

/**
 * The client as the protocol library wants it.
 *
 * `client_secret` is `sha256:<base64url>` where only the hash is kept (the library's comparison is replaced by one that
 * knows the mark), and the secret itself where an HMAC needs it. `scope` names OpenID Connect's scopes and
 * `customScopes` alone, since the library refuses others; a resource's are `allowedScopes`. Custom ones are only for
 * whoever is registered for them by name. Throws when ENCRYPTION_KEY does not open the secret.
 */
export function protocolMetadata(
  client: Client,
  keyToOpenSecret: Uint8Array,
  customScopes: readonly string[] = []
): Record<string, unknown> & { client_id: string } {
  const { scope, ...metadata } = metadataOf(client)
  const known: readonly string[] = [...openidScopes, ...customScopes]
  const all = customScopes.length === 0 ? undefined : [...openidScopes]
  const scopes = scope?.split(' ').filter(name => known.includes(name)) ?? all
  const secret = storedSecret(client, keyToOpenSecret)
  return {
    ...metadata,
    // A client of resources alone: openid by itself opens nothing without a person's sign-in.
    ...(scopes === undefined ? {} : { scope: scopes.join(' ') || 'openid' }),
    ...(secret === null ? {} : { client_secret: secret })
  }
}

/** The key that `protocolMetadata` opens sealed secrets with. */
export function clientSecretKey(config: { encryptionKey: Uint8Array }): Buffer {
  return deriveKey(config.encryptionKey, 'client secrets')
}

/** Whether a client's secret is this one. Constant in time. */
export function isSecretOf({ config }: Pick<Context, 'config'>, client: Client, secret: unknown): boolean {
  const stored = storedSecret(client, clientSecretKey(config))
  if (typeof secret !== 'string' || stored === null) return false
  const hash = client.clientSecretHash ?? hashToken(stored)
  return equalBytes(hashToken(secret), hash)
}

function storedSecret(client: Client, key: Uint8Array): string | null {
  if (client.clientSecretHash !== null)
    return `${hashedSecretPrefix}${client.clientSecretHash.toString('base64url')}`
  if (client.clientSecretSealed === null) return null
  try {
    return open(key, client.clientSecretSealed, client.clientId).toString()
  } catch (cause) {
    throw new Error(`ENCRYPTION_KEY does not open the secret of client ${client.clientId}`, { cause })
  }
}

type KeptSecret = Pick<Client, 'clientSecretHash' | 'clientSecretSealed'>

function createSecret(
  ctx: Context,
  clientId: string,
  metadata: Pick<ClientMetadata, 'token_endpoint_auth_method' | 'id_token_signed_response_alg'>
): KeptSecret & { secret: string | null } {
  const keeping = secretKeeping(metadata)
  if (keeping === 'none') return { secret: null, clientSecretHash: null, clientSecretSealed: null }
  const secret = createToken()
  return keeping === 'hash'
    ? { secret, clientSecretHash: hashToken(secret), clientSecretSealed: null }
    : {
        secret,
        clientSecretHash: null,
        clientSecretSealed: seal(clientSecretKey(ctx.config), secret, clientId)
      }
}

function clientIdFaults(clientId: string): Fault[] {
  if (clientId === ownClientId) return [{ field: 'client_id', message: 'is taken' }]
  return /^[A-Za-z0-9._~-]{3,100}$/.test(clientId)
    ? []
    : [{ field: 'client_id', message: 'must be 3 to 100 letters, digits, or any of . _ ~ -' }]
}

/**
 * Checks a registration by what this installation has: its settings, its resources, and what the site says that a
 * `sector_identifier_uri` names, which is fetched.
 */
export async function checkMetadata(
  ctx: Context,
  input: unknown,
  { selfRegistered }: { selfRegistered: boolean }
): Promise<ParseOutcome> {
  const parsed = parseClientMetadata(input, installationOf(ctx.config, { selfRegistered }))
  if (!parsed.ok) return parsed
  const { resources } = parsed.metadata
  const known =
    resources.length === 0 ? [] : (await listResources(ctx.sql)).map(({ identifier }) => identifier)
  const faults = resources.flatMap((identifier, index) =>
    known.includes(identifier)
      ? []
      : [{ field: `resources[${index}]`, message: 'is not registered: add the resource first' }]
  )
  const sector = await sectorFaults(ctx, parsed.metadata)
  return faults.length + sector.length === 0 ? parsed : { ok: false, faults: [...faults, ...sector] }
}

type OwnColumns = Pick<
  Client,
  'clientId' | 'registeredBy' | 'registrationAccessTokenHash' | 'lastUsedAt' | 'createdAt' | 'updatedAt'
>

/** The row of a checked registration. */
export function toClient(metadata: ClientMetadata, own: OwnColumns & KeptSecret): Client {
  const { clientId, clientSecretHash, clientSecretSealed, registeredBy } = own
  const { registrationAccessTokenHash, lastUsedAt, createdAt, updatedAt } = own
  const {
    client_name,
    application_type,
    redirect_uris,
    post_logout_redirect_uris,
    grant_types,
    response_types,
    token_endpoint_auth_method,
    scope,
    resources,
    first_party,
    introspection,
    access_token_signing_alg,
    required_acr,
    security_profile,
    access_token_format,
    access_token_lifetime_seconds,
    id_token_lifetime_seconds,
    refresh_token_idle_seconds,
    refresh_token_absolute_seconds,
    refresh_token_grace_seconds,
    refresh_token_rotation,
    client_secret_expires_at,
    token_exchange,
    ...otherMetadata
  } = metadata
  return {
    clientId,
    clientSecretHash,
    clientSecretSealed,
    registeredBy,
    registrationAccessTokenHash,
    lastUsedAt,
    createdAt,
    updatedAt,
    clientName: client_name,
    applicationType: application_type,
    redirectUris: redirect_uris,
    postLogoutRedirectUris: post_logout_redirect_uris,
    grantTypes: grant_types,
    responseTypes: response_types,
    tokenEndpointAuthMethod: token_endpoint_auth_method,
    scope: scope ?? null,
    resources,
    firstParty: first_party,
    introspection,
    accessTokenSigningAlg: access_token_signing_alg ?? null,
    requiredAcr: required_acr ?? null,
    securityProfile: security_profile ?? null,
    accessTokenFormat: access_token_format ?? null,
    accessTokenLifetimeSeconds: access_token_lifetime_seconds ?? null,
    idTokenLifetimeSeconds: id_token_lifetime_seconds ?? null,
    refreshTokenIdleSeconds: refresh_token_idle_seconds ?? null,
    refreshTokenAbsoluteSeconds: refresh_token_absolute_seconds ?? null,
    refreshTokenGraceSeconds: refresh_token_grace_seconds ?? null,
    refreshTokenRotation: refresh_token_rotation ?? null,
    clientSecretExpiresAt: client_secret_expires_at ? new Date(client_secret_expires_at * 1000) : null,
    tokenExchange: token_exchange ?? null,
    otherMetadata
  }
}
