// What somebody else who was in an account may have left behind in it: ways of signing in of their own.
import type { Context } from '../context.ts'
import { deleteRecoveryCodesSince, deleteStrayRecoveryCodes } from './recovery-code-repository.ts'
import { deleteTotpSince } from './totp-repository.ts'
import { deletePasskeysSince } from './webauthn-repository.ts'

/** As long as a change of the address can be taken back: whoever reads the mailbox later removes no factor by it. */
const reachMs = 72 * 3_600_000

/**
 * Takes away the passkeys, authenticators and recovery codes that were added since the moment that its owner knows
 * nothing of, within the last 72 hours. The caller holds the account's row. Returns how many factors went, codes apart.
 */
export async function removeFactorsSince(tx: Context, accountId: string, moment: Date): Promise<number> {
  const since = new Date(Math.max(moment.getTime(), tx.now().getTime() - reachMs))
  const passkeys = await deletePasskeysSince(tx.sql, accountId, since)
  const authenticators = await deleteTotpSince(tx.sql, accountId, since)
  await deleteRecoveryCodesSince(tx.sql, accountId, since)
  await deleteStrayRecoveryCodes(tx.sql, accountId)
  return passkeys + authenticators
}
