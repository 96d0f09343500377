// Parting from a way to sign in, as the signed-in person does it.
import { type Context, inTransaction } from '../context.ts'
import { isSecondFactorRequired } from '../roles/service.ts'
import { untrustDevices } from '../sessions/device-service.ts'

/**
 * Removes one of a person's own ways of signing in. With it goes the trust in every browser: it was given on the word of
 * what the person had then.
 */
export async function removeOwnFactor<Outcome extends { ok: boolean }>(
  ctx: Context,
  accountId: string,
  remove: (tx: Context, policy: { secondFactorRequired: boolean }) => Promise<Outcome>
): Promise<Outcome> {
  return await inTransaction(ctx, async tx => {
    const outcome = await remove(tx, { secondFactorRequired: await isSecondFactorRequired(tx, accountId) })
    if (outcome.ok) await untrustDevices(tx.sql, accountId)
    return outcome
  })
}
