// SQL that tells whether anybody still stands behind a token that is stored nowhere, and marks those that were taken back.
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'

export type GrantStanding = { grantId: string; accountId: string; clientId: string }

/**
 * The grant behind a JWT access token, while it stands: it has not ended, its account lives and has not moved its cut-off past the
 * token's birth (which it tells to the second), and the token has not been revoked.
 */
export async function findGrantStanding(
  sql: Sql,
  of: { grantId: string; jtiHash: Buffer; issuedAt: number; now: Date }
): Promise<GrantStanding | null> {
  // (read-only join of accounts)
  const [row] = await sql<GrantStanding[]>`
    select g.id as grant_id, g.account_id, g.client_id from grants g join accounts a on a.id = g.account_id
    where g.id = ${of.grantId} and g.expires_at > ${of.now} and a.disabled_at is null
      and a.tokens_valid_from < to_timestamp(${of.issuedAt + 1})
      and not exists (select from revoked_tokens r where r.jti_hash = ${of.jtiHash})`
  return row ?? null
}

/**
 * The newest grant of an account and a client that an ID token of theirs can have come of, by which it stands: as
 * `findGrantStanding`. What the person granted later revives none.
 */
export async function findGrantOfClient(
  sql: Sql,
  of: { accountId: string; clientId: string; issuedAt: number; now: Date }
): Promise<GrantStanding | null> {
  // (read-only join of accounts)
  const [row] = await sql<GrantStanding[]>`
    select g.id as grant_id, g.account_id, g.client_id from grants g join accounts a on a.id = g.account_id
    where g.account_id = ${of.accountId} and g.client_id = ${of.clientId} and g.expires_at > ${of.now}
      and a.disabled_at is null and a.tokens_valid_from < to_timestamp(${of.issuedAt + 1})
      and g.created_at < to_timestamp(${of.issuedAt + 1})
    order by g.created_at desc limit 1`
  return row ?? null
}

/** Whether a JWT access token was taken back before its time. */
export async function findRevokedToken(sql: Sql, jtiHash: Buffer): Promise<boolean> {
  const rows = await sql`select from revoked_tokens where jti_hash = ${jtiHash}`
  return rows.length > 0
}

/** Takes a JWT access token back. The mark is of no use once the token has expired. */
export const insertRevokedToken = (jtiHash: Buffer, expiresAt: Date): Write => ({
  text: bind => `insert into revoked_tokens (jti_hash, expires_at) values (${bind(jtiHash)}, ${bind(expiresAt)})
    on conflict (jti_hash) do nothing`
})
