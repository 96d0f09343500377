// “This wasn't me”: everybody is put out, nothing can be changed for a day, and the mailbox leads back in.
import { findAccountForUpdate } from '../accounts/repository.ts'
import {
  readSecurityToken,
  redeemSecurityToken,
  type TokenRefusal
} from '../accounts/security-token-service.ts'
import { freezeFactorChanges } from '../accounts/service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { mailReset, voidPassword } from '../credentials/reset-service.ts'
import { removeFactorsSince } from '../credentials/takeover-service.ts'
import { revokeAllGrants } from '../oidc/grant-service.ts'
import { untrustDevices } from '../sessions/device-service.ts'
import { endAllSessions } from '../sessions/service.ts'

export type NotMeOutcome =
  | {
      ok: true
      /** The mail went to `email`. `capped`: too many within the hour, it must be asked for later. `none`: see below. */
      recovery: 'queued' | 'capped' | 'none'
      /** The address that the notice went to. */
      email: string
    }
  | TokenRefusal

/**
 * What the link of a notice does, once: ends every session, token and sign-in under way, takes back what applications
 * were given and the trust in every browser, voids the password and every mail that could get somebody in, takes away the
 * factors that were added since the notice, keeps ways of signing in from being changed for a day, and mails a reset
 * whose code counts in the browser of `askedBy`.
 *
 * Recovery is `none` where the account's address is not the one that the notice went to, or the account is disabled:
 * a reset would go to whoever has the address now. Records `account.takeover_reported`.
 */
export async function reportTakeover(
  ctx: Context,
  { token, askedBy }: { token: string; askedBy: string }
): Promise<NotMeOutcome> {
  const link = await readSecurityToken(ctx, 'not_me', token)
  if (!link.ok) return link
  const outcome = await inTransaction<NotMeOutcome>(ctx, async tx => {
    const account = await findAccountForUpdate(tx.sql, link.accountId)
    const taken = await redeemSecurityToken(tx, 'not_me', token)
    if (!taken.ok) return taken
    if (account === null) return { ok: false, reason: 'invalid' }
    await endAllSessions(tx, account.id)
    await revokeAllGrants(tx, account.id)
    await untrustDevices(tx.sql, account.id)
    await voidPassword(tx, account.id)
    const factorsRemoved = await removeFactorsSince(tx, account.id, new Date(String(taken.data.at)))
    await freezeFactorChanges(tx, account.id)
    const email = String(taken.data.email)
    const mayReset = account.disabledAt === null && account.email === email
    const recovery = mayReset ? await mailReset(tx, { account, to: email, askedBy }) : 'none'
    await recordEvent(tx, {
      type: 'account.takeover_reported',
      accountId: account.id,
      details: { recovery, factorsRemoved }
    })
    return { ok: true, recovery, email }
  })
  // Once more: until the commit, somebody could still sign in with the password.
  if (outcome.ok) await endAllSessions(ctx, link.accountId)
  return outcome
}
