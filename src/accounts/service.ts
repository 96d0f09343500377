// Accounts: made, found, cut off. Sign-up itself is in credentials/, for it sets a password.
import { recordEvent } from '../audit/service.ts'
import type { Context } from '../context.ts'
import type { RetentionRule } from '../jobs/model.ts'
import { createId } from '../lib/ids.ts'
import { deleteEmailTokens, deleteEmailTokensBefore } from './email-token-repository.ts'
import type { Account } from './model.ts'
import {
  deleteUnverifiedAccounts,
  findAccountByEmailKey,
  insertAccount,
  updateEmailVerified,
  updateFactorChangesFrozenUntil,
  updateProfile,
  updateTokensValidFrom
} from './repository.ts'
import { securityTokenRetention } from './security-token-service.ts'

const dayMs = 86_400_000
const unverifiedKeptDays = 7
const frozenHours = 24

/**
 * Finds the account of an address, or makes one that is not verified. `created` tells which.
 *
 * Two statements in either case. Of many at once one creates; the others wait for it and find.
 */
export async function findOrCreateAccount(
  tx: Context,
  person: { email: string; emailKey: string; name: string }
): Promise<{ account: Account; created: boolean }> {
  const at = tx.now()
  const created = await insertAccount(tx.sql, { ...person, id: createId(at), at })
  // A statement of its own: only a new snapshot sees the row that a conflict was about.
  const account = await findAccountByEmailKey(tx.sql, person.emailKey)
  if (account === null) throw new Error('an account vanished while somebody signed up at its address')
  return { account, created }
}

/** Sets an account's name and its further standard claims (OpenID Connect Core 1.0 §5.1), all of them. */
export async function setProfile(
  tx: Context,
  accountId: string,
  profile: { name: string; profile: Record<string, unknown> }
): Promise<void> {
  await updateProfile(tx.sql, accountId, { ...profile, at: tx.now() })
}

/**
 * Ends every session and token of an account at one stroke: whatever was made before `at` is void wherever it is
 * read. The rows are removed later.
 */
export async function endAllTokens(ctx: Context, accountId: string, at: Date = ctx.now()): Promise<void> {
  await updateTokensValidFrom(ctx.sql, accountId, at)
}

/**
 * Marks an account's address as verified by whoever reads its mailbox, without a sign-up of theirs to go by. What was
 * typed with sign-ups at the address (tokens, names) is void: a stranger may have typed it. Records
 * `account.email_verified`.
 */
export async function verifyEmailByMailbox(
  tx: Context,
  { id: accountId, email, emailKey }: Account
): Promise<void> {
  const name = email.slice(0, email.lastIndexOf('@'))
  const verified = await updateEmailVerified(tx.sql, { accountId, emailKey, name, at: tx.now() })
  if (verified === null) return
  await deleteEmailTokens(tx.sql, accountId)
  await recordEvent(tx, { type: 'account.email_verified', accountId })
}

/** For a day no way of signing in can be added, changed or removed: not even by somebody who gets in once more. */
export async function freezeFactorChanges(tx: Context, accountId: string): Promise<void> {
  const until = new Date(tx.now().getTime() + frozenHours * 3_600_000)
  await updateFactorChangesFrozenUntil(tx.sql, accountId, until)
}

/**
 * Addresses that nobody confirmed are free again after a week. Tokens are kept for a day after they expire: as long as
 * a sign-in may take, whose next mail takes over the name and password that were typed with the token.
 */
export const accountRetention: RetentionRule[] = [
  securityTokenRetention,
  {
    table: 'account_email_tokens',
    deleteExpired: (sql, now, limit) => deleteEmailTokensBefore(sql, new Date(now.getTime() - dayMs), limit)
  },
  {
    table: 'accounts',
    deleteExpired: (sql, now, limit) =>
      deleteUnverifiedAccounts(sql, new Date(now.getTime() - unverifiedKeptDays * dayMs), now, limit)
  }
]
