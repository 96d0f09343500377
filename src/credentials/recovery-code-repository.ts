// Recovery codes, by their hashes. A used one is gone.
import type { Sql } from '../db/connect.ts'

/** Sets an account's codes; those that it had are void. */
export async function updateRecoveryCodes(
  sql: Sql,
  { accountId, codeHashes, at }: { accountId: string; codeHashes: Buffer[]; at: Date }
): Promise<void> {
  await sql`
    with replaced as (delete from recovery_codes where account_id = ${accountId})
    insert into recovery_codes (account_id, code_hash, created_at)
    select ${accountId}::uuid, code_hash, ${at}::timestamptz from unnest(${sql.array(codeHashes)}::bytea[]) as code_hash
  `
}

/** Takes a code, once. */
export async function consumeRecoveryCode(
  sql: Sql,
  { accountId, codeHash }: { accountId: string; codeHash: Buffer }
): Promise<boolean> {
  const { count } = await sql`
    delete from recovery_codes where account_id = ${accountId} and code_hash = ${codeHash}
  `
  return count === 1
}

export async function countRecoveryCodes(sql: Sql, accountId: string): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from recovery_codes where account_id = ${accountId}
  `
  return row?.count ?? 0
}

/** Removes the codes of an account that has no second factor they could stand in for. Returns how many. */
export async function deleteStrayRecoveryCodes(sql: Sql, accountId: string): Promise<number> {
  const { count } = await sql`
    delete from recovery_codes c where c.account_id = ${accountId}
      and not exists (select from totp_credentials t where t.account_id = c.account_id)
      and not exists (select from webauthn_credentials w where w.account_id = c.account_id)
  `
  return count
}

/** Removes a set that was made at that moment or later. Returns how many codes it had. */
export async function deleteRecoveryCodesSince(sql: Sql, accountId: string, since: Date): Promise<number> {
  const { count } = await sql`
    delete from recovery_codes where account_id = ${accountId} and created_at >= ${since}
  `
  return count
}
