// The clients and resources tables. Every change tells the other nodes in the same statement, so that none can be forgotten.
import type { Sql } from '../db/connect.ts'
import type { Client, Resource } from './model.ts'

const clientColumns = (sql: Sql) => sql`
  client_id, client_secret_hash, client_secret_sealed, client_name, application_type, redirect_uris,
  post_logout_redirect_uris, grant_types, response_types, token_endpoint_auth_method, scope, resources, first_party,
  introspection, access_token_signing_alg, required_acr, security_profile, access_token_format,
  access_token_lifetime_seconds, id_token_lifetime_seconds, refresh_token_idle_seconds, refresh_token_absolute_seconds,
  refresh_token_grace_seconds, refresh_token_rotation, client_secret_expires_at, token_exchange, other_metadata,
  registered_by, registration_access_token_hash, last_used_at, created_at, updated_at
`

export async function findClient(sql: Sql, clientId: string): Promise<Client | null> {
  const [row] = await sql<Client[]>`select ${clientColumns(sql)} from clients where client_id = ${clientId}`
  return row ?? null
}

/** Clients by id, starting after `after`. */
export async function listClients(
  sql: Sql,
  { after = '', limit = 100 }: { after?: string; limit?: number } = {}
): Promise<Client[]> {
  return await sql<Client[]>`
    select ${clientColumns(sql)} from clients where client_id > ${after} order by client_id limit ${limit}
  `
}

/** Adds a client. Returns false when its id is taken. */
export async function insertClient(sql: Sql, client: Client): Promise<boolean> {
  const rows = await sql`
    with inserted as (
      insert into clients ${sql(columnsOf(sql, client))}
      on conflict (client_id) do nothing
      returning client_id
    )
    select pg_notify('gatehouse_clients', client_id) from inserted
  `
  return rows.length > 0
}

/** Replaces all of a client but its id and the moment it was made. Returns false when there is none. */
export async function updateClient(sql: Sql, client: Client): Promise<boolean> {
  const { client_id, created_at, ...changed } = columnsOf(sql, client)
  const rows = await sql`
    with updated as (
      update clients set ${sql(changed)} where client_id = ${client_id} returning client_id
    )
    select pg_notify('gatehouse_clients', client_id) from updated
  `
  return rows.length > 0
}

/** Removes a client with its grants. Returns false when there is none. */
export async function deleteClient(sql: Sql, clientId: string): Promise<boolean> {
  const rows = await sql`
    with deleted as (delete from clients where client_id = ${clientId} returning client_id)
    select pg_notify('gatehouse_clients', client_id) from deleted
  `
  return rows.length > 0
}

const columnsOf = (sql: Sql, client: Client) => ({
  client_id: client.clientId,
  client_secret_hash: client.clientSecretHash,
  client_secret_sealed: client.clientSecretSealed,
  client_name: client.clientName,
  application_type: client.applicationType,
  redirect_uris: client.redirectUris,
  post_logout_redirect_uris: client.postLogoutRedirectUris,
  grant_types: client.grantTypes,
  response_types: client.responseTypes,
  token_endpoint_auth_method: client.tokenEndpointAuthMethod,
  scope: client.scope,
  resources: client.resources,
  first_party: client.firstParty,
  introspection: client.introspection,
  access_token_signing_alg: client.accessTokenSigningAlg,
  required_acr: client.requiredAcr,
  security_profile: client.securityProfile,
  access_token_format: client.accessTokenFormat,
  access_token_lifetime_seconds: client.accessTokenLifetimeSeconds,
  id_token_lifetime_seconds: client.idTokenLifetimeSeconds,
  refresh_token_idle_seconds: client.refreshTokenIdleSeconds,
  refresh_token_absolute_seconds: client.refreshTokenAbsoluteSeconds,
  refresh_token_grace_seconds: client.refreshTokenGraceSeconds,
  refresh_token_rotation: client.refreshTokenRotation,
  client_secret_expires_at: client.clientSecretExpiresAt,
  token_exchange: client.tokenExchange === null ? null : sql.json(client.tokenExchange),
  other_metadata: sql.json(client.otherMetadata as Record<string, string>),
  registered_by: client.registeredBy,
  registration_access_token_hash: client.registrationAccessTokenHash,
  last_used_at: client.lastUsedAt,
  created_at: client.createdAt,
  updated_at: client.updatedAt
})

const resourceColumns = (sql: Sql) => sql`
  identifier, name, scopes, access_token_format, access_token_signing_alg, access_token_lifetime_seconds, created_at,
  updated_at
`

export async function findResource(sql: Sql, identifier: string): Promise<Resource | null> {
  const [row] = await sql<Resource[]>`
    select ${resourceColumns(sql)} from resources where identifier = ${identifier}
  `
  return row ?? null
}

export async function listResources(sql: Sql): Promise<Resource[]> {
  return await sql<Resource[]>`select ${resourceColumns(sql)} from resources order by identifier`
}

/** Adds a resource. Returns false when its identifier is taken. */
export async function insertResource(sql: Sql, resource: Resource): Promise<boolean> {
  const rows = await sql`
    with inserted as (
      insert into resources (${resourceColumns(sql)})
      values (
        ${resource.identifier}, ${resource.name}, ${resource.scopes}, ${resource.accessTokenFormat},
        ${resource.accessTokenSigningAlg}, ${resource.accessTokenLifetimeSeconds}, ${resource.createdAt},
        ${resource.updatedAt}
      )
      on conflict (identifier) do nothing
      returning identifier
    )
    select pg_notify('gatehouse_resources', identifier) from inserted
  `
  return rows.length > 0
}

/** Removes a resource. Returns false when there is none. */
export async function deleteResource(sql: Sql, identifier: string): Promise<boolean> {
  const rows = await sql`
    with deleted as (delete from resources where identifier = ${identifier} returning identifier)
    select pg_notify('gatehouse_resources', identifier) from deleted
  `
  return rows.length > 0
}
