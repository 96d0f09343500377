// Taking back a change of the address, with all that it ends.
import { onceMoreIfTaken } from '../accounts/address-service.ts'
import { sendNotice } from '../accounts/notice-service.ts'
import { type UndoOutcome, undoAddressChange } from '../accounts/undo-address-service.ts'
import { type Context, inTransaction } from '../context.ts'
import { mailReset, voidPassword } from '../credentials/reset-service.ts'
import { revokeAllGrants } from '../oidc/grant-service.ts'
import { untrustDevices } from '../sessions/device-service.ts'
import { endSessions } from '../sessions/logout-service.ts'

export type TakeBackOutcome =
  | {
      ok: true
      /** The address before the change; with `taken`, the one that the account keeps. */
      email: string
      /** `capped`: too many resets within the hour, it must be asked for later. `taken`: nothing was given back. */
      recovery: 'queued' | 'capped' | 'taken'
    }
  | Extract<UndoOutcome, { ok: false }>

/**
 * Undoes a change of the address as `undoAddressChange` says, and does what “this wasn't me” does: takes back what
 * applications were given and the trust in every browser, voids the password, and mails a reset to the address that the
 * account has again; its code counts in the browser of `askedBy`.
 *
 * The address that is given up is told, with no link to undo the undoing: of two mailboxes that each say that the
 * other is a stranger's, the earlier one is believed.
 */
export async function takeBackAddress(
  ctx: Context,
  { token, askedBy }: { token: string; askedBy: string }
): Promise<TakeBackOutcome> {
  return await onceMoreIfTaken(() =>
    inTransaction(ctx, async tx => {
      const undone = await undoAddressChange(tx, token)
      if (!undone.ok) return undone
      const { account, givenUp, restored } = undone
      const { email, id } = account
      await endSessions(tx, { accountId: id })
      await revokeAllGrants(tx, id)
      await untrustDevices(tx.sql, id)
      await voidPassword(tx, id)
      if (!restored) return { ok: true, email, recovery: 'taken' }
      const data = { newAddress: email, undoLink: null }
      if (givenUp !== email) await sendNotice(tx, { id, email: givenUp }, { kind: 'address_changed', data })
      return { ok: true, email, recovery: await mailReset(tx, { account, to: email, askedBy }) }
    })
  )
}
