// Password hashes. A person has one password at most.
import type { Sql } from '../db/connect.ts'

export async function findPasswordHash(sql: Sql, accountId: string): Promise<string | null> {
  const [row] = await sql<{ passwordHash: string }[]>`
    select password_hash from password_credentials where account_id = ${accountId}
  `
  return row?.passwordHash ?? null
}

/** Gives a new account its first password. `wanted: false` does the same work for nothing. */
export async function insertPassword(
  sql: Sql,
  {
    accountId,
    passwordHash,
    at,
    wanted
  }: { accountId: string; passwordHash: string; at: Date; wanted: boolean }
): Promise<void> {
  await sql`
    insert into password_credentials (account_id, password_hash, updated_at)
    select ${accountId}::uuid, ${passwordHash}, ${at}::timestamptz where ${wanted}::boolean
  `
}

/** Sets an account's password, whether or not it has one. */
export async function updatePassword(
  sql: Sql,
  { accountId, passwordHash, at }: { accountId: string; passwordHash: string; at: Date }
): Promise<void> {
  await sql`
    insert into password_credentials (account_id, password_hash, updated_at)
    values (${accountId}, ${passwordHash}, ${at})
    on conflict (account_id) do update set password_hash = excluded.password_hash, updated_at = excluded.updated_at
  `
}

/** Replaces the hash that was read by another; false: the password was changed or removed meanwhile. */
export async function updatePasswordHash(
  sql: Sql,
  { accountId, from, to, at }: { accountId: string; from: string; to: string; at: Date }
): Promise<boolean> {
  const { count } = await sql`
    update password_credentials set password_hash = ${to}, updated_at = ${at}
    where account_id = ${accountId} and password_hash = ${from}
  `
  return count === 1
}

/** Gives an account that has none a password; false: it has one. */
export async function insertFirstPassword(
  sql: Sql,
  { accountId, passwordHash, at }: { accountId: string; passwordHash: string; at: Date }
): Promise<boolean> {
  const { count } = await sql`
    insert into password_credentials (account_id, password_hash, updated_at)
    values (${accountId}, ${passwordHash}, ${at})
    on conflict (account_id) do nothing
  `
  return count === 1
}

export async function deletePassword(sql: Sql, accountId: string): Promise<void> {
  await sql`delete from password_credentials where account_id = ${accountId}`
}
