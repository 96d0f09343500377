// The link of a mail that confirms an address: what it can do in a browser, and doing it.
import { type EmailToken, findEmailToken } from '../accounts/email-token-repository.ts'
import { type Context, inTransaction } from '../context.ts'
import { confirmEmailByToken, fitsSignUp, isContested } from '../credentials/sign-up-service.ts'
import { equalBytes, hashToken } from '../lib/tokens.ts'
import { resumeInteraction } from '../oidc/service.ts'

export type Link = {
  state: 'ready' | 'invalid' | 'expired'
  email: string
  /** The button alone is not enough: the password of the sign-up is asked for, too. */
  passwordNeeded: boolean
}

/**
 * What a mail's link can do in this browser. `waitingUid`: the sign-in that waits for a mail here, null for none.
 *
 * Where several have signed up at the address, a link is sure to be its reader's own only in the browser that asked
 * for it. Elsewhere the password of that sign-up tells: else the owner of the address, who signed up too, might
 * confirm a stranger's sign-up by the stranger's mail.
 */
export async function readLink(
  ctx: Context,
  { token, waitingUid }: { token: string; waitingUid: string | null }
): Promise<Link & { token: EmailToken | null }> {
  const found = await findEmailToken(ctx.sql, hashToken(token))
  if (found === null) return { state: 'invalid', email: '', passwordNeeded: false, token: null }
  const { interactionHash, emailKey: email } = found
  const own =
    waitingUid !== null && interactionHash !== null && equalBytes(hashToken(waitingUid), interactionHash)
  const state = found.expiresAt <= ctx.now() ? 'expired' : 'ready'
  const passwordNeeded = state === 'ready' && !own && (await isContested(ctx, found))
  return { state, email, passwordNeeded, token: found }
}

type LinkUse = { token: string; interactionUid: string | null; waitingUid: string | null; password: unknown }

/**
 * Confirms an address by the mail's link, in whatever browser. The sign-in that asked for the mail goes on, and no
 * other: one that somebody else began with the same address gains nothing. `wrong_password`: see `readLink`; nothing
 * is spent.
 *
 * @throws HashingBusy before anything is written
 */
export async function verifyByLink(
  ctx: Context,
  { token, interactionUid, waitingUid, password }: LinkUse
): Promise<
  { ok: true; continueUid: string | null } | { ok: false; reason: 'invalid' | 'expired' | 'wrong_password' }
> {
  const link = await readLink(ctx, { token, waitingUid })
  if (link.passwordNeeded && link.token !== null && !(await fitsSignUp(ctx, link.token, password)))
    return { ok: false, reason: 'wrong_password' }
  return await inTransaction(ctx, async tx => {
    const outcome = await confirmEmailByToken(tx, token)
    if (!outcome.ok) return outcome
    const { account, interactionHash } = outcome
    if (interactionHash === null) return { ok: true, continueUid: null }
    await resumeInteraction(tx, interactionHash, account.id)
    const named = interactionUid !== null && equalBytes(hashToken(interactionUid), interactionHash)
    return { ok: true, continueUid: named ? interactionUid : null }
  })
}
