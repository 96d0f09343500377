// The claim_mappings table. Every change tells the other nodes in the same statement, so that none can be forgotten.
import type { Sql } from '../db/connect.ts'
import type { ClaimMapping } from './claim-model.ts'

/** What is for all comes first: what follows is for fewer, and counts for those instead. */
export async function listClaimMappings(sql: Sql): Promise<ClaimMapping[]> {
  return await sql<ClaimMapping[]>`
    select id, claim, source, path, value, scope, client_id, destinations, description, created_at
    from claim_mappings
    order by client_id is not null, scope is not null, created_at, id`
}

/** Adds a mapping. False: there is one of this claim for this scope and client. */
export async function insertClaimMapping(sql: Sql, mapping: ClaimMapping): Promise<boolean> {
  const rows = await sql`
    with inserted as (
      insert into claim_mappings (id, claim, source, path, value, scope, client_id, destinations, description, created_at)
      values (
        ${mapping.id}, ${mapping.claim}, ${mapping.source}, ${mapping.path},
        ${mapping.value === null ? null : sql.json(mapping.value as never)}, ${mapping.scope}, ${mapping.clientId},
        ${mapping.destinations}, ${mapping.description}, ${mapping.createdAt}
      )
      on conflict (claim, scope, client_id) do nothing
      returning id
    )
    select pg_notify('gatehouse_claims', id::text) from inserted`
  return rows.length > 0
}

/** Removes a mapping, and answers with its claim; null when there is none. */
export async function deleteClaimMapping(sql: Sql, id: string): Promise<string | null> {
  const [row] = await sql<{ claim: string }[]>`
    with deleted as (delete from claim_mappings where id = ${id} returning id, claim)
    select claim, pg_notify('gatehouse_claims', id::text) from deleted`
  return row?.claim ?? null
}
