// People, and their addresses. Passwords are credentials/'s.
import type { Sql } from '../db/connect.ts'
import type { Account } from './model.ts'

export async function findAccount(sql: Sql, id: string): Promise<Account | null> {
  const [row] = await sql<Account[]>`select * from accounts where id = ${id}`
  return row ?? null
}

/**
 * An account, and its row held until the transaction ends: what changes how the account is entered happens one after
 * the other. It is taken before any row that belongs to the account, so that no two wait for each other.
 */
export async function findAccountForUpdate(sql: Sql, id: string): Promise<Account | null> {
  const [row] = await sql<Account[]>`select * from accounts where id = ${id} for no key update`
  return row ?? null
}

export async function findAccountByEmailKey(sql: Sql, emailKey: string): Promise<Account | null> {
  const [row] = await sql<Account[]>`select * from accounts where email_key = ${emailKey}`
  return row ?? null
}

/** Adds an account that is not verified. False: its address has one already, whatever the case, and nothing changed. */
export async function insertAccount(
  sql: Sql,
  { id, email, emailKey, name, at }: { id: string; email: string; emailKey: string; name: string; at: Date }
): Promise<boolean> {
  const { count } = await sql`
    insert into accounts (id, email, email_key, name, tokens_valid_from, created_at, updated_at)
    values (${id}, ${email}, ${emailKey}, ${name}, ${at}, ${at}, ${at})
    on conflict (email_key) do nothing
  `
  return count === 1
}

/**
 * Marks the address as verified, once: null when it is verified already, is another one by now, or the account is
 * disabled. Everything issued before is void from here on: a stranger may have made the account first.
 */
export async function updateEmailVerified(
  sql: Sql,
  { accountId, emailKey, name, at }: { accountId: string; emailKey: string; name: string | null; at: Date }
): Promise<Account | null> {
  const [row] = await sql<Account[]>`
    update accounts
    set email_verified_at = ${at}, name = coalesce(${name}, name), tokens_valid_from = ${at}, updated_at = ${at}
    where id = ${accountId} and email_key = ${emailKey} and email_verified_at is null and disabled_at is null
    returning *
  `
  return row ?? null
}

export async function updateProfile(
  sql: Sql,
  accountId: string,
  { name, profile, at }: { name: string; profile: Record<string, unknown>; at: Date }
): Promise<void> {
  await sql`
    update accounts set name = ${name}, profile = ${sql.json(profile as Record<string, string>)}, updated_at = ${at}
    where id = ${accountId}`
}

/**
 * Gives an account another address, as one that is proven. Null: somebody else has it, or the account is disabled or
 * gone. Where somebody else takes it at this very moment, the database refuses (`accounts_email_key_key`).
 */
export async function updateEmail(
  sql: Sql,
  { accountId, email, emailKey, at }: { accountId: string; email: string; emailKey: string; at: Date }
): Promise<Account | null> {
  const [row] = await sql<Account[]>`
    update accounts set email = ${email}, email_key = ${emailKey}, email_verified_at = ${at}, updated_at = ${at}
    where id = ${accountId} and disabled_at is null
      and not exists (select from accounts other where other.email_key = ${emailKey} and other.id <> ${accountId})
    returning *
  `
  return row ?? null
}

/** Removes the account that somebody made at an address without proving it. */
export async function deleteUnverifiedAccount(
  sql: Sql,
  { emailKey, except }: { emailKey: string; except: string }
): Promise<void> {
  await sql`delete from accounts where email_key = ${emailKey} and email_verified_at is null and id <> ${except}`
}

/** Moves the cut-off forward, never back. */
export async function updateTokensValidFrom(sql: Sql, accountId: string, at: Date): Promise<void> {
  await sql`
    update accounts set tokens_valid_from = greatest(tokens_valid_from, ${at}), updated_at = ${at}
    where id = ${accountId}
  `
}

export async function updateFactorChangesFrozenUntil(
  sql: Sql,
  accountId: string,
  until: Date
): Promise<void> {
  await sql`update accounts set factor_changes_frozen_until = ${until} where id = ${accountId}`
}

/** Removes accounts that were never confirmed and have no confirmation under way. What belongs to them goes too. */
export async function deleteUnverifiedAccounts(
  sql: Sql,
  before: Date,
  now: Date,
  limit: number
): Promise<number> {
  const { count } = await sql`
    delete from accounts where id in (
      select id from accounts
      where email_verified_at is null and created_at < ${before} and not exists (
        select from account_email_tokens where account_id = accounts.id and expires_at > ${now}
      )
      limit ${limit} for update skip locked
    )
  `
  return count
}
