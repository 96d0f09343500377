// Undoing a change of the address, by the link that was mailed to the address before.
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { hashOf, moveToAddress, onceMoreIfTaken } from './address-service.ts'
import type { Account } from './model.ts'
import { sendNotice } from './notice-service.ts'
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
      /** False: the address is another account's by now. Everything else is done all the same. */
      restored: boolean
    }
  | { ok: false; reason: 'invalid' | 'expired' }

/**
 * Gives an account back the address before a change, once, whoever is signed in and however often it was changed since.
 *
 * Ends all sessions and tokens, freezes changes of how to sign in for a day, voids the mails that are out, and the links
 * that would undo this change's successors: of all mailboxes the earliest decides. Tells the address that is given up,
 * without a link to undo the undoing. Records `account.email_change_undone`. Begins a transaction of its own.
 *
 * Somebody who knows the password still knows it: the caller starts recovery.
 */
export async function undoAddressChange(ctx: Context, token: string): Promise<UndoOutcome> {
  return await onceMoreIfTaken(() =>
    inTransaction(ctx, async tx => {
      const found = await readSecurityToken(tx, 'undo_address', token)
      if (!found.ok) return found
      const account = await findAccountForUpdate(tx.sql, found.accountId)
      if (account === null || account.disabledAt !== null) return { ok: false, reason: 'invalid' }
      const spent = await redeemSecurityToken(tx, 'undo_address', token)
      return spent.ok ? await restore(tx, account, spent) : spent
    })
  )
}

async function restore(tx: Context, account: Account, { data }: Redeemed): Promise<UndoOutcome> {
  const { oldEmail, oldEmailKey, changedAt } = data as Record<string, string>
  const old = { email: oldEmail ?? '', emailKey: oldEmailKey ?? '' }
  const changed = await moveToAddress(tx, account, old)
  await deleteUndoTokensSince(tx.sql, account.id, new Date(changedAt ?? 0))
  await endAllTokens(tx, account.id)
  await freezeFactorChanges(tx, account.id)
  const restored = changed !== null
  if (restored && account.emailKey !== old.emailKey)
    await sendNotice(tx, account, {
      kind: 'address_changed',
      data: { newAddress: old.email, undoLink: null }
    })
  const details = { from: hashOf(account.emailKey), to: hashOf(old.emailKey), restored }
  await recordEvent(tx, { type: 'account.email_change_undone', accountId: account.id, details })
  return { ok: true, account: changed ?? account, restored }
}
