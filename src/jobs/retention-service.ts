// Forgets expired rows, in batches so small that nobody waits behind one.
import { setTimeout as sleep } from 'node:timers/promises'
import type { Context } from '../context.ts'
import type { RecurringJob, RetentionRule } from './model.ts'

const batchSize = 1000
/** A turn gives up after so many batches of one table: the next turn goes on, and other tables have theirs. */
const batchesPerTurn = 1000

/**
 * Applies every rule until nothing is left to remove. One rule's failure does not keep the others from running;
 * it is thrown at the end, all of them together.
 */
export async function removeExpired(ctx: Context, rules: RetentionRule[]): Promise<Record<string, number>> {
  const removed: Record<string, number> = {}
  const faults: unknown[] = []
  for (const { table, deleteExpired } of rules) {
    try {
      for (let batch = 0; batch < batchesPerTurn; batch++) {
        const count = await deleteExpired(ctx.sql, ctx.now(), batchSize)
        removed[table] = (removed[table] ?? 0) + count
        if (count < batchSize) break
        // Leaves room for the work that people wait for; measured at 1,000 rows every few hundred milliseconds.
        await sleep(100 + Math.random() * 200)
      }
    } catch (error) {
      faults.push(new Error(`expired rows of ${table} could not be removed`, { cause: error }))
    }
  }
  if (faults.length > 0) throw new AggregateError(faults, 'not every table could be emptied of expired rows')
  return removed
}

/** The recurring job that applies the rules of all features. */
export function retentionJob(rules: RetentionRule[]): RecurringJob {
  return {
    name: 'retention',
    everySeconds: 300,
    run: async ctx => {
      const removed = await removeExpired(ctx, rules)
      ctx.log.debug({ removed }, 'expired rows removed')
    }
  }
}
