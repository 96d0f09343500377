// Setting a new password by a mail, with all that it ends.
import { emailKeyOf } from '../accounts/model.ts'
import { sendNotice } from '../accounts/notice-service.ts'
import type { TokenRefusal } from '../accounts/security-token-service.ts'
import { type Context, inTransaction } from '../context.ts'
import {
  giveBack,
  type TooMany,
  takeGuess,
  type WorkNeeded,
  workAhead
} from '../credentials/guess-service.ts'
import { hashPassword } from '../credentials/hashing.ts'
import type { PasswordFault } from '../credentials/model.ts'
import { judgeNewPassword } from '../credentials/password-policy-service.ts'
import type { ProofOfWork } from '../credentials/proof-of-work-model.ts'
import { type ResetClaim, readResetLink, takeResetClaim, tryResetCode } from '../credentials/reset-service.ts'
import { untrustDevices } from '../sessions/device-service.ts'
import { endAllSessions } from '../sessions/service.ts'

type Refusal = { ok: false; reason: 'invalid' } | { ok: false; reason: 'faulty'; fault: PasswordFault }

/**
 * Sets a new password by the link of a mail, once; the account is the token's.
 *
 * Ends every session, token and sign-in under way, and the trust in every browser, and tells the owner. Second factors
 * stay as they are, and nobody is signed in by it. A password that may not be set spends nothing.
 *
 * @throws HashingBusy before anything is written
 */
export async function resetByLink(
  ctx: Context,
  { token, password }: { token: string; password: unknown }
): Promise<{ ok: true } | TokenRefusal | Refusal> {
  const link = await readResetLink(ctx, token)
  return link.ok ? await resetWith(ctx, link.claim, password) : link
}

export type CodeFaults = { code?: 'missing' | 'invalid'; password?: PasswordFault }

/** `askedBy` and `email`: the browser that asked for the mail, and what was typed there. */
type CodeTyped = {
  askedBy: string
  email: string
  code: unknown
  password: unknown
  proofOfWork?: ProofOfWork
}

/**
 * Sets a new password by the code of a mail, in the browser that asked for it; else as `resetByLink`. A password that
 * nobody may have is told before the code is tried; what is wrong with it for this person alone, only after.
 *
 * A code is a guess at the account: `too_many` and `work_needed` are `takeGuess`'s. `challenge` is the work that the next
 * try needs.
 *
 * @throws HashingBusy when the code was right, at the price of that try
 */
export async function resetByCode(
  ctx: Context,
  { password, proofOfWork, ...typed }: CodeTyped
): Promise<
  | { ok: true }
  | { ok: false; reason: 'faulty'; faults: CodeFaults; challenge: string | null }
  | TooMany
  | WorkNeeded
> {
  const fault = await judgeNewPassword(ctx, password, { email: '', name: '' })
  const missing = typed.code === undefined || typed.code === ''
  if (fault !== null || missing)
    return faulty({
      ...(missing ? { code: 'missing' } : {}),
      ...(fault === null ? {} : { password: fault })
    })
  const taken = await takeGuess(ctx, { emailKey: emailKeyOf(typed.email), proofOfWork })
  if (!taken.ok) return taken
  const claim = await tryResetCode(ctx, typed)
  if (claim === null) return faulty({ code: 'invalid' }, workAhead(ctx, taken.guess))
  await giveBack(ctx, taken.guess)
  const outcome = await resetWith(ctx, claim, password)
  if (outcome.ok) return outcome
  return faulty(outcome.reason === 'faulty' ? { password: outcome.fault } : { code: 'invalid' })
}

const faulty = (faults: CodeFaults, challenge: string | null = null) =>
  ({ ok: false, reason: 'faulty', faults, challenge }) as const

const invalid: Refusal = { ok: false, reason: 'invalid' }

async function resetWith(
  ctx: Context,
  claim: ResetClaim,
  password: unknown
): Promise<{ ok: true } | Refusal> {
  const fault = await judgeNewPassword(ctx, password, claim.account)
  if (fault !== null) return { ok: false, reason: 'faulty', fault }
  // Before the transaction: nobody waits for a connection that waits for a hash.
  const passwordHash = await hashPassword(ctx.config, password as string)
  const account = await inTransaction(ctx, async tx => {
    const account = await takeResetClaim(tx, claim, passwordHash)
    if (account === null) return null
    await endAllSessions(tx, account.id)
    await untrustDevices(tx.sql, account.id)
    await sendNotice(tx, account, { kind: 'password_changed', data: {} })
    return account
  })
  if (account === null) return invalid
  // Once more: until the commit, somebody could still sign in with the old password.
  await endAllSessions(ctx, account.id)
  return { ok: true }
}
