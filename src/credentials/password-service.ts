// Passwords that people set once they are known: judged, changed, given to an account that has none.
import type { Account } from '../accounts/model.ts'
import { sendNotice } from '../accounts/notice-service.ts'
import { findAccount, findAccountForUpdate } from '../accounts/repository.ts'
import { voidSecurityTokens } from '../accounts/security-token-service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { findWaysInToChange } from './factor-repository.ts'
import { hashPassword, verifyPassword } from './hashing.ts'
import type { PasswordFault } from './model.ts'
import { judgeNewPassword } from './password-policy-service.ts'
import {
  deletePassword,
  findPasswordHash,
  insertFirstPassword,
  updatePassword,
  updatePasswordHash
} from './repository.ts'
import { mayRemove, type RemovalOutcome } from './ways-in-model.ts'

export type PasswordRefusal =
  | { ok: false; reason: 'faulty'; faults: { current?: 'missing' | 'wrong'; password?: PasswordFault } }
  /** After “this wasn't me”, until then. */
  | { ok: false; reason: 'frozen'; until: Date }

/** A change that may be made: the hash that was verified, and the one to take its place. */
export type PasswordChange = { accountId: string; from: string; to: string }

/**
 * Checks that somebody knows the current password and may set the new one, and hashes that. Nothing is changed yet:
 * `applyPasswordChange` does, in a transaction that need not wait for a hash. All faults are told at once.
 *
 * @throws HashingBusy
 */
export async function preparePasswordChange(
  ctx: Context,
  typed: { accountId: string; current: unknown; password: unknown }
): Promise<{ ok: true; change: PasswordChange } | PasswordRefusal> {
  const { accountId, current, password } = typed
  const account = await findAccount(ctx.sql, accountId)
  if (account === null || account.disabledAt !== null) return wrongCurrent
  const until = frozenUntil(ctx, account)
  if (until !== null) return { ok: false, reason: 'frozen', until }
  const from = await findPasswordHash(ctx.sql, accountId)
  const known = current !== undefined && current !== ''
  const right = known && (await verifyPassword(ctx.config, from, current))
  const fault = await judgeNewPassword(ctx, password, account)
  if (from === null || !right || fault !== null) {
    const faults = {
      ...(right ? {} : { current: known ? ('wrong' as const) : ('missing' as const) }),
      ...(fault === null ? {} : { password: fault })
    }
    return { ok: false, reason: 'faulty', faults }
  }
  return { ok: true, change: { accountId, from, to: await hashPassword(ctx.config, password as string) } }
}

/**
 * Makes a prepared change, unless the password was changed or taken away since: then the current one was wrong. Voids
 * what mails could do to reset it, records `password.changed` and tells the owner.
 */
export async function applyPasswordChange(
  tx: Context,
  { accountId, from, to }: PasswordChange
): Promise<{ ok: true } | PasswordRefusal> {
  const account = await findAccountForUpdate(tx.sql, accountId)
  if (account === null || !(await updatePasswordHash(tx.sql, { accountId, from, to, at: tx.now() })))
    return wrongCurrent
  await voidSecurityTokens(tx, accountId)
  await recordEvent(tx, { type: 'password.changed', accountId })
  await sendNotice(tx, account, { kind: 'password_changed', data: {} })
  return { ok: true }
}

/**
 * Gives an account that has no password its first. `has_password`: it has one by now. Voids what mails could do to reset
 * it, records `password.added` and tells the owner.
 *
 * @throws HashingBusy before anything is read or written
 */
export async function setFirstPassword(
  ctx: Context,
  { accountId, password }: { accountId: string; password: unknown }
): Promise<{ ok: true } | { ok: false; reason: 'has_password' } | PasswordRefusal> {
  const person = await findAccount(ctx.sql, accountId)
  if (person === null) throw new Error('somebody without an account sets a password')
  const fault = await judgeNewPassword(ctx, password, person)
  if (fault !== null) return { ok: false, reason: 'faulty', faults: { password: fault } }
  const passwordHash = await hashPassword(ctx.config, password as string)
  return await inTransaction(ctx, async tx => {
    const account = await findAccountForUpdate(tx.sql, accountId)
    const until = account === null ? null : frozenUntil(tx, account)
    if (until !== null) return { ok: false, reason: 'frozen', until }
    const added =
      account !== null && (await insertFirstPassword(tx.sql, { accountId, passwordHash, at: tx.now() }))
    if (!added) return { ok: false, reason: 'has_password' }
    await voidSecurityTokens(tx, accountId)
    await recordEvent(tx, { type: 'password.added', accountId })
    await sendNotice(tx, account, { kind: 'factor_added', data: { factor: 'password', label: '' } })
    return { ok: true }
  })
}

/**
 * Sets an account's password whatever it was, without asking anybody: for what the installation itself decides. Voids
 * what mails could do to reset it; records `password.changed`.
 *
 * @throws HashingBusy
 */
export async function replacePassword(
  ctx: Context,
  { accountId, password }: { accountId: string; password: string }
): Promise<void> {
  const passwordHash = await hashPassword(ctx.config, password)
  await inTransaction(ctx, async tx => {
    await updatePassword(tx.sql, { accountId, passwordHash, at: tx.now() })
    await voidSecurityTokens(tx, accountId)
    await recordEvent(tx, { type: 'password.changed', accountId })
  })
}

/**
 * Removes an account's password where a passkey opens it too. Records `password.removed` and mails a notice. `not_found`:
 * it has none. Else as `mayRemove`.
 */
export async function removePassword(
  ctx: Context,
  { accountId, secondFactorRequired }: { accountId: string; secondFactorRequired: boolean }
): Promise<RemovalOutcome | { ok: false; reason: 'not_found' }> {
  return await inTransaction(ctx, async tx => {
    const held = await findWaysInToChange(tx.sql, accountId)
    if (held === null || !held.ways.password) return { ok: false, reason: 'not_found' }
    const policy = { mailSignIn: tx.config.mailSignIn, secondFactorRequired, now: tx.now() }
    const allowed = mayRemove(held.ways, 'password', policy)
    if (!allowed.ok) return allowed
    await deletePassword(tx.sql, accountId)
    await voidSecurityTokens(tx, accountId)
    await recordEvent(tx, { type: 'password.removed', accountId })
    await sendNotice(tx, held.account, { kind: 'factor_removed', data: { factor: 'password', label: '' } })
    return { ok: true }
  })
}

const wrongCurrent: PasswordRefusal = { ok: false, reason: 'faulty', faults: { current: 'wrong' } }

function frozenUntil({ now }: Context, { factorChangesFrozenUntil: until }: Account): Date | null {
  return until !== null && until > now() ? until : null
}
