// Which ways of signing in an account has, for who asks for that alone.
// (read-only join of accounts: the column speaks of its row)
import type { Sql } from '../db/connect.ts'
import { type FactorFacts, factorFactsColumn } from './factor-model.ts'

const findFactorsText = `select ${factorFactsColumn} from accounts a where a.id = $1`

export async function findFactors(sql: Sql, accountId: string): Promise<FactorFacts | null> {
  const [row] = await sql.unsafe<{ factors: FactorFacts | null }[]>(findFactorsText, [accountId], {
    prepare: true
  })
  return row?.factors ?? null
}
