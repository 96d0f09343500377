// The links and codes that prove an address. Each is taken by one statement, so that no two can use the same.
import type { Sql } from '../db/connect.ts'
import { hashToken } from '../lib/tokens.ts'

export type EmailToken = {
  tokenHash: Buffer
  accountId: string
  emailKey: string
  codeHash: Buffer
  codeAttemptsLeft: number
  name: string | null
  passwordHash: string | null
  interactionHash: Buffer | null
  expiresAt: Date
}

/**
 * Adds a token; of the same sign-in (`interactionHash`) it replaces the one before. Of the account's other tokens
 * only the newest two stay alive: the rest expire now, but keep the name and password that were typed with them,
 * which a new mail for their sign-in takes over.
 */
export async function insertEmailToken(sql: Sql, token: EmailToken & { createdAt: Date }): Promise<void> {
  await sql`
    with crowded_out as (
      update account_email_tokens set expires_at = ${token.createdAt}
      where token_hash in (
        select token_hash from account_email_tokens
        where account_id = ${token.accountId} and expires_at > ${token.createdAt}
          and interaction_hash is distinct from ${token.interactionHash}
        order by created_at desc offset 2
        -- a row that is being confirmed goes anyway
        for update skip locked
      )
    )
    insert into account_email_tokens as stored (
      token_hash, account_id, email_key, code_hash, code_attempts_left, name, password_hash, interaction_hash,
      created_at, expires_at
    )
    values (
      ${token.tokenHash}, ${token.accountId}, ${token.emailKey}, ${token.codeHash}, ${token.codeAttemptsLeft},
      ${token.name}, ${token.passwordHash}, ${token.interactionHash}, ${token.createdAt}, ${token.expiresAt}
    )
    on conflict (account_id, interaction_hash) do update set
      token_hash = excluded.token_hash,
      email_key = excluded.email_key,
      code_hash = excluded.code_hash,
      code_attempts_left = excluded.code_attempts_left,
      name = coalesce(excluded.name, stored.name),
      password_hash = coalesce(excluded.password_hash, stored.password_hash),
      created_at = excluded.created_at,
      expires_at = excluded.expires_at
  `
}

export async function findEmailToken(sql: Sql, tokenHash: Buffer): Promise<EmailToken | null> {
  const [row] = await sql<EmailToken[]>`select * from account_email_tokens where token_hash = ${tokenHash}`
  return row ?? null
}

/** How many other sign-ins have a token of the same account, be it still good or not. */
export async function countRivalEmailTokens(sql: Sql, token: EmailToken): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from account_email_tokens
    where account_id = ${token.accountId} and token_hash <> ${token.tokenHash}
  `
  return row?.count ?? 0
}

/** The token that waits for a code in this sign-in. */
export async function findEmailTokenOfInteraction(
  sql: Sql,
  accountId: string,
  interactionUid: string
): Promise<EmailToken | null> {
  const [row] = await sql<EmailToken[]>`
    select * from account_email_tokens where account_id = ${accountId} and interaction_hash = ${hashToken(interactionUid)}
  `
  return row ?? null
}

/**
 * Takes a token and every other one of its account; null when it is unknown, used or expired.
 *
 * One statement: of two clicks on a link, and of two different links of an account, one wins. An expired token is left
 * where it is, for the name and password typed with it.
 */
export async function consumeEmailToken(sql: Sql, tokenHash: Buffer, now: Date): Promise<EmailToken | null> {
  const rows = await sql<EmailToken[]>`
    delete from account_email_tokens
    where token_hash in (
      select token_hash from account_email_tokens
      where account_id = (
        select account_id from account_email_tokens where token_hash = ${tokenHash} and expires_at > ${now}
      )
      -- in one order, so that two of these never wait for each other
      order by token_hash for update
    )
    returning *
  `
  return rows.find(row => row.tokenHash.equals(tokenHash)) ?? null
}

/** Pays for one guess before it is looked at, so that many at once get no more than there are. Null: none is left. */
export async function consumeCodeAttempt(
  sql: Sql,
  { accountId, interactionUid, now }: { accountId: string; interactionUid: string; now: Date }
): Promise<EmailToken | null> {
  const [row] = await sql<EmailToken[]>`
    update account_email_tokens set code_attempts_left = code_attempts_left - 1
    where account_id = ${accountId} and interaction_hash = ${hashToken(interactionUid)}
      and code_attempts_left > 0 and expires_at > ${now}
    returning *
  `
  return row ?? null
}

export async function deleteEmailTokens(sql: Sql, accountId: string): Promise<void> {
  await sql`delete from account_email_tokens where account_id = ${accountId}`
}

export async function deleteEmailTokensBefore(sql: Sql, before: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from account_email_tokens where token_hash in (
      select token_hash from account_email_tokens where expires_at < ${before}
      limit ${limit} for update skip locked
    )
  `
  return count
}
