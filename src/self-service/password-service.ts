// Changing one's own password, with the sessions that it ends.
import { findAccount } from '../accounts/repository.ts'
import { type Context, inTransaction } from '../context.ts'
import { giveBack, type TooMany, takeGuess, type WorkNeeded } from '../credentials/guess-service.ts'
import {
  applyPasswordChange,
  type PasswordRefusal,
  preparePasswordChange
} from '../credentials/password-service.ts'
import type { ProofOfWork } from '../credentials/proof-of-work-model.ts'
import { untrustDevices } from '../sessions/device-service.ts'
import { endOtherSessions } from '../sessions/service.ts'

/**
 * Changes the password of somebody who is signed in, by `sessionUid`, and knows the current one. Every other session
 * ends, and so do all applications' tokens and the trust in every browser.
 *
 * - `session_over`: it ended meanwhile, and nothing has changed.
 * - `too_many`, `work_needed`: a wrong current password is a guess at the account, as at its sign-in.
 *
 * @throws HashingBusy before anything is written
 */
export async function changeOwnPassword(
  ctx: Context,
  typed: Typed
): Promise<{ ok: true } | { ok: false; reason: 'session_over' } | PasswordRefusal | TooMany | WorkNeeded> {
  const prepared = await prepare(ctx, typed)
  if (!prepared.ok) return prepared
  try {
    const outcome = await inTransaction(ctx, async tx => {
      const applied = await applyPasswordChange(tx, prepared.change)
      // Thrown, so that the change is taken back: whoever was signed out may set nothing.
      if (applied.ok && !(await endOtherSessions(tx, typed))) throw new SessionOver()
      if (applied.ok) await untrustDevices(tx.sql, typed.accountId)
      return applied
    })
    // Once more: until the commit, somebody could still sign in with the old password.
    if (outcome.ok) await inTransaction(ctx, tx => endOtherSessions(tx, typed))
    return outcome
  } catch (error) {
    if (error instanceof SessionOver) return { ok: false, reason: 'session_over' }
    throw error
  }
}

type Typed = {
  accountId: string
  sessionUid: string
  current: unknown
  password: unknown
  proofOfWork?: ProofOfWork
}

/** Pays for the guess first, so that no two at once are looked at for one; only a wrong one stays paid. */
async function prepare(ctx: Context, typed: Typed) {
  const account = await findAccount(ctx.sql, typed.accountId)
  if (account === null) return { ok: false, reason: 'session_over' } as const
  const taken = await takeGuess(ctx, { emailKey: account.emailKey, proofOfWork: typed.proofOfWork })
  if (!taken.ok) return taken
  let wrong = false
  try {
    const prepared = await preparePasswordChange(ctx, typed)
    wrong = !prepared.ok && prepared.reason === 'faulty' && prepared.faults.current === 'wrong'
    return prepared
  } finally {
    if (!wrong) await giveBack(ctx, taken.guess)
  }
}

class SessionOver extends Error {}
