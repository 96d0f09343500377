// Undoing a change of the address, by the link that was mailed to the address before.
import { recordEvent } from '../audit/service.ts'
import type { Context } from '../context.ts'
import { hashOf, moveToAddress, type UndoData } from './address-service.ts'
import type { Account } from './model.ts'
import { findAccountForUpdate } from './repository.ts'
import { deleteUndoTokensSince } from './security-token-repository.ts'
import { type Redeemed, readSecurityToken, redeemSecurityToken } from './security-token-service.ts'
import { endAllTokens, freezeFactorChanges } from './service.ts'

export type Undo = { ok: true; oldEmail: string } | { ok: false; reason: 'invalid' | 'expired' }

/** The address that a link would give back; nothing is spent. */
export async function readUndo(ctx: Context, token: string): Promise<Undo> {
  const found = await readSecurityToken(ctx, 'undo_address', token)
  return found.ok ? { ok: true, oldEmail: String(found.data.oldEmail) } : found
}

export type UndoOutcome =
  | {
      ok: true
      account: Account
      /** The address that the account had until now. */
      givenUp: string
      /** False: the address is another account's by now. Everything else is done all the same. */
      restored: boolean
    }
  | { ok: false; reason: 'invalid' | 'expired' }

/**
 * Gives an account back the address before a change, once, whoever is signed in and however often it was changed since.
 * Run in a transaction, by `onceMoreIfTaken`.
 *
 * Ends all sessions and tokens, freezes changes of how to sign in for a day, voids the mails that are out, and the links
 * that would undo this change's successors: of all mailboxes the earliest decides. Records
 * `account.email_change_undone`.
 *
 * Somebody who knows the password still knows it, and nobody is told: both are the caller's.
 */
export async function undoAddressChange(tx: Context, token: string): Promise<UndoOutcome> {
  const found = await readSecurityToken(tx, 'undo_address', token)
  if (!found.ok) return found
  const account = await findAccountForUpdate(tx.sql, found.accountId)
  if (account === null || account.disabledAt !== null) return { ok: false, reason: 'invalid' }
  const spent = await redeemSecurityToken(tx, 'undo_address', token)
  return spent.ok ? await restore(tx, account, spent) : spent
}

async function restore(tx: Context, account: Account, { data }: Redeemed): Promise<UndoOutcome> {
  const { oldEmail: email, oldEmailKey: emailKey, changedAt } = data as UndoData
  const changed = await moveToAddress(tx, account, { email, emailKey })
  await deleteUndoTokensSince(tx.sql, account.id, new Date(changedAt))
  await endAllTokens(tx, account.id)
  await freezeFactorChanges(tx, account.id)
  const restored = changed !== null
  const details = { from: hashOf(account.emailKey), to: hashOf(emailKey), restored }
  await recordEvent(tx, { type: 'account.email_change_undone', accountId: account.id, details })
  return { ok: true, account: changed ?? account, givenUp: account.email, restored }
}
