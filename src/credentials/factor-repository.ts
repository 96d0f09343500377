// An account's ways of signing in together, for who asks for them, and held while one of them changes.
// (read-only join of accounts: the column speaks of its row)
import type { Account } from '../accounts/model.ts'
import type { Sql } from '../db/connect.ts'
import { type FactorFacts, factorFactsColumn } from './factor-model.ts'
import type { WaysIn } from './ways-in-model.ts'

const findFactorsText = `select ${factorFactsColumn} from accounts a where a.id = $1`

export async function findFactors(sql: Sql, accountId: string): Promise<FactorFacts | null> {
  const [row] = await sql.unsafe<{ factors: FactorFacts | null }[]>(findFactorsText, [accountId], {
    prepare: true
  })
  return row?.factors ?? null
}

/**
 * An account and its ways in, locked until the transaction ends: whoever else would change them waits, so what is
 * counted here stays true. Null: no such account.
 */
export async function findWaysInToChange(
  sql: Sql,
  accountId: string
): Promise<{ account: Account; ways: WaysIn } | null> {
  // read-only join: the account is locked, not changed. Not the stronger `for update`, for which every sign-in that
  // adds a row of this account's would have to wait.
  const [account] = await sql<Account[]>`select * from accounts where id = ${accountId} for no key update`
  if (account === undefined) return null
  // A statement of its own: only a new snapshot sees what was committed while this one waited for the lock.
  const [row] = await sql<{ factors: Omit<WaysIn, 'verifiedPasskeys'>; verifiedPasskeys: number }[]>`
    select ${sql.unsafe(factorFactsColumn)},
      (select count(*)::int from webauthn_credentials w where w.account_id = a.id and w.user_verified) as verified_passkeys
    from accounts a where a.id = ${accountId}
  `
  if (row === undefined) throw new Error('a locked account is gone')
  return { account, ways: { ...row.factors, verifiedPasskeys: row.verifiedPasskeys } }
}
