// Signing in with a password.
import { type Account, parseEmail } from '../accounts/model.ts'
import { recordEvent } from '../audit/service.ts'
import type { Context } from '../context.ts'
import type { Guess } from './guess-model.ts'
import type { Found } from './guess-repository.ts'
import { giveBack, type TooMany, takeGuess, type WorkNeeded, workAhead } from './guess-service.ts'
import { hashPassword, isUsableHash, joinHashing, needsRehash, verifyPassword } from './hashing.ts'
import { HashingBusy } from './hashing-queue.ts'
import type { ProofOfWork } from './proof-of-work-model.ts'
import { updatePasswordHash } from './repository.ts'

export type SignInOutcome =
  | {
      ok: true
      account: Account
      /** To be given back by the step that goes on, with its other writes. */
      guess: Guess
    }
  | {
      ok: false
      reason: 'wrong_credentials'
      /** The work that the network's next try needs; null for none. */
      challenge: string | null
    }
  | TooMany
  | WorkNeeded

type Typed = { email: unknown; password: unknown; proofOfWork?: ProofOfWork }

/**
 * Checks an address and a password. One statement finds the account and pays for the guess; a refusal is recorded as
 * `sign_in.failed`, a success by the step that goes on with it.
 *
 * Unknown, disabled, without a password and wrong password are one answer after the same work, and so is having to wait:
 * `too_many` and `work_needed` are `takeGuess`'s. An account whose address is not confirmed is let through here:
 * `account.emailVerifiedAt` is null, and the next step asks for the proof. Where the costs of hashing were raised, or
 * other software made the hash, it is made anew.
 *
 * @throws HashingBusy; no guess is counted then
 */
export async function signIn(ctx: Context, { email, password, proofOfWork }: Typed): Promise<SignInOutcome> {
  const parsed = parseEmail(email)
  if (!parsed.ok) {
    await verifyPassword(ctx.config, null, password)
    return await refuse(ctx, { found: null, right: false, challenge: null })
  }
  const leave = joinHashing(ctx.config)
  const taken = await takeGuess(ctx, { emailKey: parsed.emailKey, proofOfWork }).finally(leave)
  if (!taken.ok) return taken
  const { found, guess } = taken
  const right = await verifyGuess(ctx, { found, guess, password })
  warnOfUselessHash(ctx, found)
  if (found === null || !right || found.account.disabledAt !== null)
    return await refuse(ctx, { found, right, challenge: workAhead(ctx, guess) })
  const { account, passwordHash } = found
  if (passwordHash !== null && needsRehash(ctx.config, passwordHash))
    await rehash(ctx, { accountId: account.id, from: passwordHash, password: password as string })
  return { ok: true, account, guess }
}

/** A guess that is not looked at after all, since the line grew while it was paid for, is given back. */
async function verifyGuess(
  ctx: Context,
  { found, guess, password }: { found: Found | null; guess: Guess; password: unknown }
): Promise<boolean> {
  try {
    return await verifyPassword(ctx.config, found?.passwordHash ?? null, password)
  } catch (error) {
    if (error instanceof HashingBusy) await giveBack(ctx, guess)
    throw error
  }
}

function warnOfUselessHash(ctx: Context, found: Found | null): void {
  if (found === null || found.passwordHash === null || isUsableHash(ctx.config, found.passwordHash)) return
  const reason = 'no password can match the stored hash: it is malformed, or costs too much'
  ctx.log.warn({ accountId: found.account.id }, reason)
}

async function refuse(
  ctx: Context,
  { found, right, challenge }: { found: Found | null; right: boolean; challenge: string | null }
): Promise<SignInOutcome> {
  await recordEvent(ctx, {
    type: 'sign_in.failed',
    ...(found === null ? {} : { accountId: found.account.id }),
    details: { reason: found === null ? 'unknown_account' : right ? 'disabled' : 'wrong_password' }
  })
  return { ok: false, reason: 'wrong_credentials', challenge }
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
