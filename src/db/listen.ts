// News that travels between nodes: PostgreSQL's LISTEN, kept up over lost connections.
import type { Pool } from './connect.ts'

export type Listener = { stop(): Promise<void> }

/**
 * Calls `onPayload` with the payload of every NOTIFY on `channel`, in order, until stopped.
 *
 * All listeners of a pool share one connection of their own beside the pool's. When it is lost, postgres.js connects
 * again by itself, for as long as it takes. What was sent meanwhile is gone, so `onReconnect` is called each time the
 * channel is heard again: reload there whatever the notifications keep fresh. A callback that throws ends the process
 * (it is called from the socket's event): callbacks catch what they start.
 *
 * Throws when the first connection cannot be made.
 *
 * @see https://www.postgresql.org/docs/current/sql-listen.html
 */
export async function listen(
  pool: Pool,
  channel: string,
  onPayload: (payload: string) => void,
  onReconnect: () => void
): Promise<Listener> {
  // postgres.js loses the handle of a listener that it has carried over to a new connection: its unlisten then does
  // nothing. The flags, not the handle, decide what is passed on.
  let stopped = false
  let heard = false
  const { unlisten } = await pool
    .listen(
      channel,
      payload => {
        if (!stopped) onPayload(payload)
      },
      () => {
        if (heard && !stopped) onReconnect()
        heard = true
      }
    )
    .catch(error => {
      stopped = true
      throw error
    })
  return {
    stop: async () => {
      stopped = true
      // A connection that is down at this moment has nothing to unlisten from.
      await unlisten().catch(() => {})
    }
  }
}
