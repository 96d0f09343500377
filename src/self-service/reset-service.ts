// Setting a new password by a mail, with all that it ends.
import { sendNotice } from '../accounts/notice-service.ts'
import type { TokenRefusal } from '../accounts/security-token-service.ts'
import { endAllTokens } from '../accounts/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { hashPassword } from '../credentials/hashing.ts'
import type { PasswordFault } from '../credentials/model.ts'
import { judgeNewPassword } from '../credentials/password-policy-service.ts'
import { type ResetClaim, readResetLink, takeResetClaim, tryResetCode } from '../credentials/reset-service.ts'
import { untrustDevices } from '../sessions/device-service.ts'

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

/**
 * Sets a new password by the code of a mail, in the browser that asked for it; else as `resetByLink`. A password that
 * nobody may have is told before the code is tried; what is wrong with it for this person alone, only after.
 *
 * @throws HashingBusy when the code was right, at the price of that try
 */
export async function resetByCode(
  ctx: Context,
  { askedBy, code, password }: { askedBy: string; code: unknown; password: unknown }
): Promise<{ ok: true } | { ok: false; faults: CodeFaults }> {
  const fault = await judgeNewPassword(ctx, password, { email: '', name: '' })
  const missing = code === undefined || code === ''
  if (fault !== null || missing)
    return {
      ok: false,
      faults: {
        ...(missing ? { code: 'missing' as const } : {}),
        ...(fault === null ? {} : { password: fault })
      }
    }
  const claim = await tryResetCode(ctx, { askedBy, code })
  const outcome = claim === null ? invalid : await resetWith(ctx, claim, password)
  if (outcome.ok) return outcome
  return {
    ok: false,
    faults: outcome.reason === 'faulty' ? { password: outcome.fault } : { code: 'invalid' }
  }
}

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
    await endAllTokens(tx, account.id)
    await untrustDevices(tx.sql, account.id)
    await sendNotice(tx, account, { kind: 'password_changed', data: {} })
    return account
  })
  if (account === null) return invalid
  // Once more: until the commit, somebody could still sign in with the old password.
  await endAllTokens(ctx, account.id)
  return { ok: true }
}
