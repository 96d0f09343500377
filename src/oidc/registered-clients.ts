// Applications that nobody registered but themselves, as the library knows them: what the policy of today lets them be.
import { errors } from 'oidc-provider'
import { type Client, secretKeeping } from '../clients/model.ts'
import { narrowed } from '../clients/registration-model.ts'
import type { Acceptance } from '../clients/registration-service.ts'
import { clientSecretKey, protocolMetadata, toClient } from '../clients/service.ts'
import type { Context } from '../context.ts'
import { limitKeyRequests } from './client-keys.ts'
import type { ClientModel, RegisteredClient } from './registry.ts'

export type RegisteredClients = {
  toLibrary: (row: Client) => RegisteredClient
  /** What the library would not take of metadata that passed our checks. */
  accepts: Acceptance
  /** The row that such a client was made of; undefined for others. */
  rowOf: (client: RegisteredClient) => Client | undefined
}

export function createRegisteredClients(
  ctx: Context,
  model: ClientModel,
  customScopes: string[]
): RegisteredClients {
  const key = clientSecretKey(ctx.config)
  const rows = new WeakMap<RegisteredClient, Client>()
  const toLibrary = (row: Client): RegisteredClient => {
    const narrow = narrowed(row, ctx.config)
    const client = new model({
      ...protocolMetadata(narrow, key, customScopes),
      registered_scope: narrow.scope,
      registered_by: row.registeredBy
    })
    rows.set(client, row)
    return limitKeyRequests(ctx, client)
  }
  const accepts: Acceptance = metadata => {
    const at = ctx.now()
    const row = toClient(metadata, {
      clientId: 'not-registered-yet',
      clientSecretHash: secretKeeping(metadata) === 'none' ? null : Buffer.alloc(32),
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
  return { toLibrary, accepts, rowOf: client => rows.get(client) }
}
