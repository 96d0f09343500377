// Signing up with a password, and proving the address that was signed up with.
import {
  countRivalEmailTokens,
  type EmailToken,
  findEmailTokenOfInteraction
} from '../accounts/email-token-repository.ts'
import {
  type RedeemCodeOutcome,
  type RedeemOutcome,
  redeemEmailCode,
  redeemEmailToken,
  sendConfirmation
} from '../accounts/email-token-service.ts'
import { type Account, parseEmail, parseName } from '../accounts/model.ts'
import { findAccount } from '../accounts/repository.ts'
import { findOrCreateAccount } from '../accounts/service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import type { Guess } from './guess-model.ts'
import { giveBack, takeSignUp, type WorkNeeded } from './guess-service.ts'
import { hashPassword, joinHashing, verifyPassword } from './hashing.ts'
import { HashingBusy } from './hashing-queue.ts'
import type { PasswordFault } from './model.ts'
import { judgeNewPassword } from './password-policy-service.ts'
import type { ProofOfWork } from './proof-of-work-model.ts'
import { deletePassword, findPasswordHash, insertPassword, updatePassword } from './repository.ts'

export type SignUpFaults = {
  email?: 'missing' | 'invalid' | 'too_long'
  name?: 'missing' | 'too_long' | 'invalid'
  password?: PasswordFault
}

/** In the place of a token's hash: confirming it leaves the account without a password. */
const noPassword = ''

export type SignUpTyped = {
  email: unknown
  name: unknown
  password: unknown
  /** The person wants a passkey and no password: it is created once the address is confirmed. */
  withPasskey?: boolean
  interactionUid: string | null
  proofOfWork?: ProofOfWork
}

export type SignUpOutcome =
  | {
      ok: true
      /** As typed, normalised: to be shown. The stored one may differ in case, and would tell that it exists. */
      email: string
      /**
       * The account that a confirmation would open. **Nothing is proven yet**: it can be somebody else's, verified
       * long ago. Only the outcome of `confirmEmailByCode` or `confirmEmailByToken` may sign anybody in.
       */
      pendingAccountId: string
    }
  | { ok: false; faults: SignUpFaults }
  | WorkNeeded

/**
 * Signs a person up at an address, and writes to it.
 *
 * - A new address: an account that is not verified, with this password, and a mail with a link and a code.
 * - One that nobody has confirmed: nothing of the account changes. The mail's token carries the name and password typed
 *   now, and confirming it sets them, so that a stranger who was first has gained nothing.
 * - A verified one: its owner is told that they have an account.
 *
 * The answer, the statements and the hashing are the same in each case. All faults are told at once; `work_needed` is
 * `takeSignUp`'s, once there are none. Records `account.created` or `account.sign_up_repeated`.
 *
 * @throws HashingBusy; no sign-up is counted then
 */
export async function signUp(ctx: Context, typed: SignUpTyped): Promise<SignUpOutcome> {
  const email = parseEmail(typed.email)
  const name = parseName(typed.name)
  const owner = { email: email.ok ? email.email : '', name: name.ok ? name.name : '' }
  const { withPasskey = false } = typed
  const passwordFault = withPasskey ? null : await judgeNewPassword(ctx, typed.password, owner)
  if (!email.ok || !name.ok || passwordFault !== null) {
    const faults: SignUpFaults = {
      ...(email.ok ? {} : { email: email.reason }),
      ...(name.ok ? {} : { name: name.reason }),
      ...(passwordFault === null ? {} : { password: passwordFault })
    }
    return { ok: false, faults }
  }
  const leave = joinHashing(ctx.config)
  const taken = await takeSignUp(ctx, typed.proofOfWork).finally(leave)
  if (!taken.ok) return taken
  // Before the transaction: nobody waits for a connection that waits for a hash.
  const passwordHash = withPasskey ? noPassword : await hashPaidFor(ctx, typed.password as string, taken)
  const person = { email: email.email, emailKey: email.emailKey, name: name.name }
  return await inTransaction(ctx, async tx => {
    const { account, created } = await findOrCreateAccount(tx, person)
    const wanted = created && !withPasskey
    await insertPassword(tx.sql, { accountId: account.id, passwordHash, at: tx.now(), wanted })
    await sendConfirmation(tx, {
      account,
      pending: { name: person.name, passwordHash },
      interactionUid: typed.interactionUid,
      keepOnCap: false
    })
    const type = created ? 'account.created' : 'account.sign_up_repeated'
    await recordEvent(tx, { type, accountId: account.id })
    return { ok: true, email: person.email, pendingAccountId: account.id }
  })
}

async function hashPaidFor(ctx: Context, password: string, paid: Pick<Guess, 'payments'>): Promise<string> {
  try {
    return await hashPassword(ctx.config, password)
  } catch (error) {
    if (error instanceof HashingBusy) await giveBack(ctx, paid)
    throw error
  }
}

/**
 * Sends the confirmation once more, with a new link and code that replace this sign-in's last ones, and carry the name
 * and password typed in it. `capped`: too many within the hour; the last mail's link and code stay good.
 *
 * Also the first mail of somebody who signs in with an address that is not confirmed yet.
 */
export async function resendConfirmation(
  ctx: Context,
  { accountId, interactionUid }: { accountId: string; interactionUid: string }
): Promise<'sent' | 'capped'> {
  return await inTransaction(ctx, async tx => {
    const account = await findAccount(tx.sql, accountId)
    // Removed since, unconfirmed for a week. The page says the same: signing up again helps.
    if (account === null) return 'capped'
    const token = await findEmailTokenOfInteraction(tx.sql, accountId, interactionUid)
    // The password typed with it stays in the token's row, which the new token takes over.
    const pending = { name: token?.name ?? null, passwordHash: null }
    const outcome = await sendConfirmation(tx, { account, pending, interactionUid, keepOnCap: true })
    await recordEvent(tx, { type: 'account.confirmation_resent', accountId, details: { outcome } })
    return outcome
  })
}

/**
 * Whether somebody else may have signed up at the same address: then a link alone does not tell whose sign-up its
 * mail belongs to, and its reader might confirm a stranger's, with the stranger's password.
 */
export async function isContested(ctx: Context, token: EmailToken): Promise<boolean> {
  return (await countRivalEmailTokens(ctx.sql, token)) > 0
}

/**
 * Whether this is the password that confirming the token would leave the account with: only who signed up knows it.
 *
 * @throws HashingBusy
 */
export async function fitsSignUp(ctx: Context, token: EmailToken, password: unknown): Promise<boolean> {
  const phc = token.passwordHash ?? (await findPasswordHash(ctx.sql, token.accountId))
  return await verifyPassword(ctx.config, phc === noPassword ? null : phc, password)
}

export type ConfirmOutcome =
  | {
      ok: true
      account: Account
      /** The sign-in that asked for the mail, as SHA-256 of its uid; null for none. */
      interactionHash: Buffer | null
    }
  | { ok: false; reason: 'invalid' | 'expired' }

/**
 * Confirms an address by the token of its link, once: sets the name and password typed with that sign-up, and ends
 * whatever was issued before. `interactionHash` tells the sign-in that waits for it. Records `account.email_verified`.
 */
export async function confirmEmailByToken(ctx: Context, token: string): Promise<ConfirmOutcome> {
  return await inTransaction(ctx, async tx => await finishConfirmation(tx, await redeemEmailToken(tx, token)))
}

/**
 * Confirms an address by the six digits of its mail, in the sign-in that the mail was for. Else as
 * `confirmEmailByToken`. `no_attempts_left`: five wrong ones; a new mail brings a new code.
 *
 * A wrong code is paid for by this transaction: a caller whose own fails must not give it back.
 */
export async function confirmEmailByCode(
  ctx: Context,
  typed: { accountId: string; interactionUid: string; code: unknown }
): Promise<ConfirmOutcome | { ok: false; reason: 'no_attempts_left' }> {
  const code = typeof typed.code === 'string' ? typed.code : ''
  return await inTransaction(ctx, async tx => {
    const redeemed: RedeemCodeOutcome = await redeemEmailCode(tx, { ...typed, code })
    if (!redeemed.ok) {
      await recordEvent(tx, {
        type: 'account.email_code_refused',
        accountId: typed.accountId,
        details: { reason: redeemed.reason }
      })
      return redeemed
    }
    return await finishConfirmation(tx, redeemed)
  })
}

async function finishConfirmation(tx: Context, redeemed: RedeemOutcome): Promise<ConfirmOutcome> {
  if (!redeemed.ok) return redeemed
  const { account, pending, interactionHash } = redeemed
  const { passwordHash } = pending
  // Whoever signed up first, perhaps a stranger, may have given the account a password: it goes, too.
  if (passwordHash === noPassword) await deletePassword(tx.sql, account.id)
  else if (passwordHash !== null)
    await updatePassword(tx.sql, { accountId: account.id, passwordHash, at: tx.now() })
  await recordEvent(tx, { type: 'account.email_verified', accountId: account.id })
  return { ok: true, account, interactionHash }
}
