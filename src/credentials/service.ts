// Signing in with a password.
import { type Account, parseEmail } from '../accounts/model.ts'
import { recordEvent } from '../audit/service.ts'
import type { Context } from '../context.ts'
import { hashPassword, isUsableHash, needsRehash, verifyPassword } from './hashing.ts'
import { HashingBusy } from './hashing-queue.ts'
import { findAccountWithPassword, updatePasswordHash } from './repository.ts'

export type SignInOutcome = { ok: true; account: Account } | { ok: false; reason: 'wrong_credentials' }

/**
 * Checks an address and a password. One statement reads; a refusal is recorded as `sign_in.failed`, a success by the
 * step that goes on with it.
 *
 * Unknown, disabled, without a password and wrong password are one answer after the same work. An account whose address
 * is not confirmed is let through here: `account.emailVerifiedAt` is null, and the next step asks for the proof.
 * Where the costs of hashing were raised, or other software made the hash, it is made anew.
 *
 * @throws HashingBusy before anything is written
 */
export async function signIn(
  ctx: Context,
  { email, password }: { email: unknown; password: unknown }
): Promise<SignInOutcome> {
  const parsed = parseEmail(email)
  const found = parsed.ok ? await findAccountWithPassword(ctx.sql, parsed.emailKey) : null
  const right = await verifyPassword(ctx.config, found?.passwordHash ?? null, password)
  if (found !== null && found.passwordHash !== null && !isUsableHash(ctx.config, found.passwordHash))
    ctx.log.warn(
      { accountId: found.account.id },
      'no password can match the stored hash: it is malformed, or costs too much'
    )
  if (found === null || !right || found.account.disabledAt !== null) {
    await recordEvent(ctx, {
      type: 'sign_in.failed',
      ...(found === null ? {} : { accountId: found.account.id }),
      details: { reason: found === null ? 'unknown_account' : right ? 'disabled' : 'wrong_password' }
    })
    return { ok: false, reason: 'wrong_credentials' }
  }
  const { account, passwordHash } = found
  if (passwordHash !== null && needsRehash(ctx.config, passwordHash))
    await rehash(ctx, { accountId: account.id, from: passwordHash, password: password as string })
  return { ok: true, account }
}

/** A sign-in does not fail for this: the old hash is good until the next one. */
async function rehash(
  ctx: Context,
  { accountId, from, password }: { accountId: string; from: string; password: string }
): Promise<void> {
  try {
    const to = await hashPassword(ctx.config, password)
    await updatePasswordHash(ctx.sql, { accountId, from, to, at: ctx.now() })
  } catch (error) {
    if (!(error instanceof HashingBusy)) throw error
  }
}
