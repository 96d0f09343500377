// Applications that registered themselves, in the clients table; and the tokens that let them.
import type { Value, Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import type { Client } from './model.ts'

/** How many registered themselves and never came back, up to `limit`. */
export async function countNeverUsedClients(sql: Sql, limit: number): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from (
      select from clients where registered_by = 'registration' and last_used_at is null limit ${limit}
    ) as never_used`
  return row?.count ?? 0
}

/** Notes a use, unless one was noted since `notSince`: most uses of a day write nothing. */
export const updateClientUsed = ({
  clientId,
  at,
  notSince
}: {
  clientId: string
  at: Date
  notSince: Date
}): Write => ({
  text: bind => `update clients set last_used_at = ${bind(at)}
    where client_id = ${bind(clientId)} and registered_by <> 'operator'
      and (last_used_at is null or last_used_at < ${bind(notSince)})`
})

/** Keeps what a document said when a person let its application in: grants and consents refer to the row. */
export const upsertDocumentClient = (client: Client): Write => ({
  text: bind => {
    const row = documentColumns(client)
    const names = Object.keys(row)
    const changing = names.filter(name => name !== 'client_id' && name !== 'created_at')
    return `insert into clients (${names.join(', ')}) values (${Object.values(row).map(bind).join(', ')})
      on conflict (client_id) do update set ${changing.map(name => `${name} = excluded.${name}`).join(', ')}
      where clients.registered_by = 'client_id_metadata_document'`
  }
})

const documentColumns = (client: Client): Record<string, Value> => ({
  client_id: client.clientId,
  client_name: client.clientName,
  application_type: client.applicationType,
  redirect_uris: client.redirectUris,
  post_logout_redirect_uris: client.postLogoutRedirectUris,
  grant_types: client.grantTypes,
  response_types: client.responseTypes,
  token_endpoint_auth_method: client.tokenEndpointAuthMethod,
  scope: client.scope,
  resources: client.resources,
  security_profile: client.securityProfile,
  other_metadata: client.otherMetadata,
  registered_by: client.registeredBy,
  last_used_at: client.lastUsedAt,
  created_at: client.createdAt,
  updated_at: client.updatedAt
})

/** Removes up to `limit` of those that registered themselves and were not used since `before`, with their grants. */
export async function deleteUnusedClients(
  sql: Sql,
  { before, limit }: { before: Date; limit: number }
): Promise<string[]> {
  const rows = await sql<{ clientId: string }[]>`
    with deleted as (
      delete from clients where client_id in (
        select client_id from clients
        where registered_by <> 'operator' and coalesce(last_used_at, created_at) < ${before}
        order by coalesce(last_used_at, created_at) limit ${limit} for update skip locked
      )
      returning client_id
    )
    select client_id, pg_notify('gatehouse_clients', client_id) from deleted`
  return rows.map(({ clientId }) => clientId)
}

export type InitialAccessToken = {
  id: string
  tokenHash: Buffer
  name: string
  usesLeft: number
  createdAt: Date
  expiresAt: Date
}

const tokenColumns = (sql: Sql) => sql`id, token_hash, name, uses_left, created_at, expires_at`

export async function insertInitialAccessToken(sql: Sql, token: InitialAccessToken): Promise<void> {
  await sql`
    insert into initial_access_tokens (${tokenColumns(sql)})
    values (${token.id}, ${token.tokenHash}, ${token.name}, ${token.usesLeft}, ${token.createdAt}, ${token.expiresAt})`
}

/** A token that is still good for a registration; null when it is unknown, expired or used up. */
export async function findInitialAccessToken(
  sql: Sql,
  { tokenHash, now }: { tokenHash: Buffer; now: Date }
): Promise<InitialAccessToken | null> {
  const [row] = await sql<InitialAccessToken[]>`
    select ${tokenColumns(sql)} from initial_access_tokens
    where token_hash = ${tokenHash} and expires_at > ${now} and uses_left > 0`
  return row ?? null
}

/** Takes one use of a token. Null when none was left: of two at once, the last use goes to one. */
export async function consumeInitialAccessToken(
  sql: Sql,
  { id, now }: { id: string; now: Date }
): Promise<{ usesLeft: number } | null> {
  const [row] = await sql<{ usesLeft: number }[]>`
    update initial_access_tokens set uses_left = uses_left - 1
    where id = ${id} and expires_at > ${now} and uses_left > 0
    returning uses_left`
  return row ?? null
}

/** Tokens by the moment they were made, starting after `after`. */
export async function listInitialAccessTokens(
  sql: Sql,
  { after = '00000000-0000-0000-0000-000000000000', limit = 100 }: { after?: string; limit?: number } = {}
): Promise<InitialAccessToken[]> {
  return await sql<InitialAccessToken[]>`
    select ${tokenColumns(sql)} from initial_access_tokens where id > ${after} order by id limit ${limit}`
}

/** Returns whether there was one. */
export async function deleteInitialAccessToken(sql: Sql, id: string): Promise<boolean> {
  const { count } = await sql`delete from initial_access_tokens where id = ${id}`
  return count > 0
}

export async function deleteExpiredInitialAccessTokens(sql: Sql, now: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from initial_access_tokens where id in (
      select id from initial_access_tokens where expires_at < ${now} limit ${limit} for update skip locked
    )`
  return count
}
