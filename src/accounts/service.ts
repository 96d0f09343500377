// Accounts: made, found, cut off. Sign-up itself is in credentials/, for it sets a password.
import type { Context } from '../context.ts'
import type { RetentionRule } from '../jobs/model.ts'
import { createId } from '../lib/ids.ts'
import { deleteEmailTokensBefore } from './email-token-repository.ts'
import type { Account } from './model.ts'
import {
  deleteUnverifiedAccounts,
  findAccountByEmailKey,
  insertAccount,
  updateTokensValidFrom
} from './repository.ts'
import { securityTokenRetention } from './security-token-service.ts'

const dayMs = 86_400_000
const unverifiedKeptDays = 7

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

/**
 * Ends every session and token of an account at one stroke: whatever was made before now is void wherever it is
 * read. The rows are removed later.
 */
export async function endAllTokens(ctx: Context, accountId: string): Promise<void> {
  await updateTokensValidFrom(ctx.sql, accountId, ctx.now())
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
