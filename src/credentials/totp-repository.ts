// Authenticator applications. Their secrets come and go sealed.
import type { Sql } from '../db/connect.ts'

/** An authenticator as its owner sees it; never with its secret. */
export type TotpCredential = { id: string; name: string; createdAt: Date; lastUsedAt: Date | null }

export async function listTotp(sql: Sql, accountId: string): Promise<TotpCredential[]> {
  return await sql<TotpCredential[]>`
    select id, name, created_at, last_used_at from totp_credentials where account_id = ${accountId} order by id
  `
}

/** One of an account's own; null when it is another's or nobody's. */
export async function findTotp(
  sql: Sql,
  { accountId, id }: { accountId: string; id: string }
): Promise<TotpCredential | null> {
  const [row] = await sql<TotpCredential[]>`
    select id, name, created_at, last_used_at from totp_credentials
    where id = ${id} and account_id = ${accountId}
  `
  return row ?? null
}

export async function listTotpSecrets(
  sql: Sql,
  accountId: string
): Promise<{ id: string; secretSealed: Buffer }[]> {
  return await sql<{ id: string; secretSealed: Buffer }[]>`
    select id, secret_sealed from totp_credentials where account_id = ${accountId}
  `
}

/** Adds an authenticator. False: this id was added before. */
export async function insertTotp(
  sql: Sql,
  row: { id: string; accountId: string; name: string; secretSealed: Buffer; lastUsedStep: number; at: Date }
): Promise<boolean> {
  const { count } = await sql`
    insert into totp_credentials (id, account_id, name, secret_sealed, last_used_step, created_at)
    values (${row.id}, ${row.accountId}, ${row.name}, ${row.secretSealed}, ${row.lastUsedStep}, ${row.at})
    on conflict (id) do nothing
  `
  return count === 1
}

/**
 * Takes a step of an authenticator, once, and answers with its id; null when that step, or a later one, was taken
 * already, or there is no match. One statement, which is sent for `match: null` too, so that both take as long.
 */
export async function consumeTotpStep(
  sql: Sql,
  { accountId, match, now }: { accountId: string; match: { id: string; step: number } | null; now: Date }
): Promise<string | null> {
  const [row] = await sql<{ id: string }[]>`
    update totp_credentials set last_used_step = ${match?.step ?? 0}, last_used_at = ${now}
    where id = ${match?.id ?? null} and account_id = ${accountId} and last_used_step < ${match?.step ?? 0}
    returning id
  `
  return row?.id ?? null
}

export async function updateTotpName(
  sql: Sql,
  { accountId, id, name }: { accountId: string; id: string; name: string }
): Promise<boolean> {
  const { count } = await sql`
    update totp_credentials set name = ${name} where id = ${id} and account_id = ${accountId}
  `
  return count === 1
}

export async function deleteTotp(
  sql: Sql,
  { accountId, id }: { accountId: string; id: string }
): Promise<boolean> {
  const { count } = await sql`delete from totp_credentials where id = ${id} and account_id = ${accountId}`
  return count === 1
}

/** Removes what was added at that moment or later. Returns how many. */
export async function deleteTotpSince(sql: Sql, accountId: string, since: Date): Promise<number> {
  const { count } = await sql`
    delete from totp_credentials where account_id = ${accountId} and created_at >= ${since}
  `
  return count
}
