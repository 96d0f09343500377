// What applications were allowed, taken back.
import type { Context } from '../context.ts'
import { deleteConsentsOfAccount } from './interaction-repository.ts'
import { deleteGrantsOfAccount } from './repository.ts'

/**
 * Takes back everything that an account's applications were given: each must ask anew. Tokens that are out are ended
 * by the account's cut-off, which the caller moves.
 */
export async function revokeAllGrants(tx: Context, accountId: string): Promise<void> {
  await deleteGrantsOfAccount(tx.sql, accountId)
  await deleteConsentsOfAccount(tx.sql, accountId)
}
