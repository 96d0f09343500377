// Tells applications that somebody's sessions have ended. By jobs: nobody who signs out waits for an application.
import { type Context, inTransaction } from '../context.ts'
import type { JobHandler } from '../jobs/model.ts'
import type { LogoutReceiver } from './model.ts'
import { deleteSessionClientsOfAccount, deleteSessionsOfAccount } from './repository.ts'

export type Logout = { accountId: string; receivers: LogoutReceiver[] }
export type LogoutNotice = { accountId: string } & LogoutReceiver

/**
 * Sees that the applications are told, if what `tx` does is done: `receivers` is kept with the job, since the sessions
 * may be gone by the time it is worked.
 */
export async function announceLogout(tx: Context, { accountId, receivers }: Logout): Promise<void> {
  if (receivers.length > 0) await tx.enqueue(tx.sql, 'logout', { accountId, receivers } satisfies Logout)
}

/**
 * Removes the browser sessions of an account whose cut-off was moved, all but `except`, and has their applications told
 * (`logout-notice`).
 *
 * @see OpenID Connect Back-Channel Logout 1.0
 */
export async function endSessions(
  tx: Context,
  { accountId, except = null }: { accountId: string; except?: string | null }
): Promise<void> {
  await announceLogout(tx, {
    accountId,
    receivers: await deleteSessionsOfAccount(tx.sql, { accountId, except })
  })
}

/** Takes an application out of all of an account's browser sessions, which go on, and has it told. */
export async function endClientSessions(
  tx: Context,
  { accountId, clientId }: { accountId: string; clientId: string }
): Promise<void> {
  const receivers = await deleteSessionClientsOfAccount(tx.sql, { accountId, clientId })
  await announceLogout(tx, { accountId, receivers })
}

/** A job for each application, so that one that does not answer holds up no other. */
export const logoutHandlers: Record<string, JobHandler> = {
  logout: async (ctx, { data }) => {
    const { accountId, receivers } = data as Logout
    await inTransaction(ctx, async tx => {
      for (const receiver of receivers)
        await tx.enqueue(tx.sql, 'logout-notice', { accountId, ...receiver } satisfies LogoutNotice)
    })
  }
}
