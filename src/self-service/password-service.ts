// Changing one's own password, with the sessions that it ends.
import { type Context, inTransaction } from '../context.ts'
import {
  applyPasswordChange,
  type PasswordRefusal,
  preparePasswordChange
} from '../credentials/password-service.ts'
import { endOtherSessions } from '../sessions/service.ts'

/**
 * Changes the password of somebody who is signed in, by `sessionUid`, and knows the current one. Every other session
 * ends, and so do all applications' tokens; trusted browsers stay trusted. `session_over`: it ended meanwhile, and
 * nothing has changed.
 *
 * @throws HashingBusy before anything is written
 */
export async function changeOwnPassword(
  ctx: Context,
  typed: { accountId: string; sessionUid: string; current: unknown; password: unknown }
): Promise<{ ok: true } | { ok: false; reason: 'session_over' } | PasswordRefusal> {
  const prepared = await preparePasswordChange(ctx, typed)
  if (!prepared.ok) return prepared
  try {
    return await inTransaction(ctx, async tx => {
      const applied = await applyPasswordChange(tx, prepared.change)
      // Thrown, so that the change is taken back: whoever was signed out may set nothing.
      if (applied.ok && !(await endOtherSessions(tx, typed))) throw new SessionOver()
      return applied
    })
  } catch (error) {
    if (error instanceof SessionOver) return { ok: false, reason: 'session_over' }
    throw error
  }
}

class SessionOver extends Error {}
