// Single-use tokens of mails: each is taken by one statement, so that no two can use the same.
import type { Sql } from '../db/connect.ts'

export type SecurityTokenKind = 'reset_password' | 'sign_in' | 'change_address' | 'undo_address' | 'not_me'

export type SecurityToken = {
  tokenHash: Buffer
  kind: SecurityTokenKind
  /** Null: asked for at an address that nobody has. */
  accountId: string | null
  codeHash: Buffer | null
  codeAttemptsLeft: number
  askedByHash: Buffer | null
  data: Record<string, unknown>
  createdAt: Date
  expiresAt: Date
}

/** Adds a token. `replacing`: the account's others of its kind, and its asker's, are void from now on. */
export async function insertSecurityToken(
  sql: Sql,
  token: SecurityToken,
  { replacing }: { replacing: boolean }
): Promise<void> {
  await sql`
    with replaced as (
      delete from security_tokens
      where ${replacing}::boolean and kind = ${token.kind}
        and (account_id = ${token.accountId} or asked_by_hash = ${token.askedByHash})
    )
    insert into security_tokens
      (token_hash, kind, account_id, code_hash, code_attempts_left, asked_by_hash, data, created_at, expires_at)
    values (
      ${token.tokenHash}, ${token.kind}, ${token.accountId}, ${token.codeHash}, ${token.codeAttemptsLeft},
      ${token.askedByHash}, ${sql.json(token.data as never)}, ${token.createdAt}, ${token.expiresAt}
    )
  `
}

export async function findSecurityToken(
  sql: Sql,
  kind: SecurityTokenKind,
  tokenHash: Buffer
): Promise<SecurityToken | null> {
  const [row] = await sql<SecurityToken[]>`
    select * from security_tokens where token_hash = ${tokenHash} and kind = ${kind}
  `
  return row ?? null
}

/** The newest token that waits for a code here. */
export async function findSecurityTokenAskedBy(
  sql: Sql,
  kind: SecurityTokenKind,
  askedByHash: Buffer
): Promise<SecurityToken | null> {
  const [row] = await sql<SecurityToken[]>`
    select * from security_tokens where asked_by_hash = ${askedByHash} and kind = ${kind}
    order by created_at desc limit 1
  `
  return row ?? null
}

/** Takes a token; null when it is unknown, used or expired. */
export async function consumeSecurityToken(
  sql: Sql,
  kind: SecurityTokenKind,
  { tokenHash, now }: { tokenHash: Buffer; now: Date }
): Promise<SecurityToken | null> {
  const [row] = await sql<SecurityToken[]>`
    delete from security_tokens where token_hash = ${tokenHash} and kind = ${kind} and expires_at > ${now}
    returning *
  `
  return row ?? null
}

/** Pays for one guess before it is looked at, so that many at once get no more than there are. Null: none is left. */
export async function consumeSecurityCodeAttempt(
  sql: Sql,
  kind: SecurityTokenKind,
  { askedByHash, now }: { askedByHash: Buffer; now: Date }
): Promise<SecurityToken | null> {
  const [row] = await sql<SecurityToken[]>`
    update security_tokens set code_attempts_left = code_attempts_left - 1
    where asked_by_hash = ${askedByHash} and kind = ${kind} and code_attempts_left > 0 and expires_at > ${now}
    returning *
  `
  return row ?? null
}

export async function deleteSecurityTokens(
  sql: Sql,
  accountId: string,
  kinds: readonly SecurityTokenKind[]
): Promise<void> {
  await sql`delete from security_tokens where account_id = ${accountId} and kind = any(${kinds as string[]})`
}

/** Removes the links that would undo changes of the address made at or after a moment. */
export async function deleteUndoTokensSince(sql: Sql, accountId: string, since: Date): Promise<void> {
  await sql`
    delete from security_tokens
    where account_id = ${accountId} and kind = 'undo_address' and created_at >= ${since}
  `
}

export async function deleteSecurityTokensBefore(sql: Sql, before: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from security_tokens where token_hash in (
      select token_hash from security_tokens where expires_at < ${before}
      limit ${limit} for update skip locked
    )
  `
  return count
}
