// Applications that registered themselves and that nobody uses any more.
import { eventWrite } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { runBatch, type Write } from '../db/batch.ts'
import type { RecurringJob } from '../jobs/model.ts'
import { deleteUnusedClients, updateClientUsed } from './registration-repository.ts'

const dayMs = 86_400_000

const batchSize = 100

/**
 * Removes the applications that registered themselves and were not used for UNUSED_CLIENT_DAYS, with what people had
 * granted them. Records `client.expired` for each; returns how many there were.
 */
export async function removeUnusedClients(ctx: Context): Promise<number> {
  const { unusedClientDays } = ctx.config.registration
  const before = new Date(ctx.now().getTime() - unusedClientDays * dayMs)
  let removed = 0
  for (;;) {
    const ids = await inTransaction(ctx, async tx => {
      const gone = await deleteUnusedClients(tx.sql, { before, limit: batchSize })
      await runBatch(
        tx.sql,
        gone.map(clientId => eventWrite(tx, { type: 'client.expired', clientId }))
      )
      return gone
    })
    removed += ids.length
    if (ids.length < batchSize) return removed
  }
}

export const unusedClientsJob: RecurringJob = {
  name: 'unused-clients',
  everySeconds: 3600,
  run: async ctx => {
    const removed = await removeUnusedClients(ctx)
    if (removed > 0) ctx.log.info({ removed }, 'applications that nobody used were removed')
  }
}

/**
 * Notes that an application which registered itself was given something, as part of a batch; null where that was noted
 * within a day.
 */
export function useWrite(
  { now }: Pick<Context, 'now'>,
  { clientId, lastUsedAt }: { clientId: string; lastUsedAt: Date | null }
): Write | null {
  const at = now()
  const notSince = new Date(at.getTime() - dayMs)
  return lastUsedAt !== null && lastUsedAt >= notSince ? null : updateClientUsed({ clientId, at, notSince })
}
