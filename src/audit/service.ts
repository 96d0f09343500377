// What happened, who did it and from where. Written by the transaction that made it happen.
import { type Context, inTransaction } from '../context.ts'
import { runBatch, type Write } from '../db/batch.ts'
import type { RecurringJob } from '../jobs/model.ts'
import { createId } from '../lib/ids.ts'
import {
  type AuditEvent,
  deleteEventsBefore,
  deletePartition,
  insertEvent,
  insertPartition,
  listPartitions,
  updatePartitionLock
} from './repository.ts'

/** How many months beside the current one have their partition ready. */
const monthsAhead = 2

type NewEvent = { type: string; accountId?: string; clientId?: string; details?: AuditEvent['details'] }

/**
 * An event as part of a batch of writes.
 *
 * `type` is `noun.past_participle`. Address, user agent and request id come from `ctx.request`. `details` never
 * holds what a person typed: people type passwords into every field.
 */
export function eventWrite(ctx: Pick<Context, 'now' | 'request'>, event: NewEvent): Write {
  const occurredAt = ctx.now()
  return insertEvent({
    id: createId(occurredAt),
    occurredAt,
    type: event.type,
    accountId: event.accountId ?? null,
    clientId: event.clientId ?? null,
    ip: ctx.request?.ip ?? null,
    userAgent: ctx.request?.userAgent.slice(0, 400) ?? null,
    requestId: ctx.request?.id ?? null,
    details: event.details ?? {}
  })
}

/** Adds an event to the audit trail: one statement, in the transaction of `ctx`. */
export async function recordEvent(ctx: Context, event: NewEvent): Promise<void> {
  await runBatch(ctx.sql, [eventWrite(ctx, event)])
}

/** Sees that this month and the next two have a partition. Called by a job each day, and where migrations are run. */
export async function createAuditPartitions(ctx: Pick<Context, 'sql' | 'now'>): Promise<string[]> {
  return await inTransaction(ctx as Context, async tx => {
    await updatePartitionLock(tx.sql)
    const existing = new Set(await listPartitions(tx.sql))
    const made: string[] = []
    for (let ahead = 0; ahead <= monthsAhead; ahead++) {
      const from = monthStart(tx.now(), ahead)
      const name = partitionName(from)
      if (existing.has(name)) continue
      await insertPartition(tx.sql, { name, from, to: monthStart(from, 1) })
      made.push(name)
    }
    return made
  })
}

/** Drops the months that AUDIT_RETENTION_MONTHS lets go, and empties the default partition of them. */
export async function dropOldAuditPartitions(ctx: Context): Promise<string[]> {
  const keepFrom = monthStart(ctx.now(), -ctx.config.auditRetentionMonths)
  const dropped = await inTransaction(ctx, async tx => {
    await updatePartitionLock(tx.sql)
    const old = (await listPartitions(tx.sql)).filter(
      name => /^audit_events_\d{4}_\d{2}$/.test(name) && name < partitionName(keepFrom)
    )
    for (const name of old) await deletePartition(tx.sql, name)
    return old
  })
  while ((await deleteEventsBefore(ctx.sql, keepFrom, 1000)) === 1000);
  return dropped
}

export const auditPartitionsJob: RecurringJob = {
  name: 'audit-partitions',
  everySeconds: 86_400,
  run: async ctx => {
    const made = await createAuditPartitions(ctx)
    const dropped = await dropOldAuditPartitions(ctx)
    if (made.length + dropped.length > 0)
      ctx.log.info({ made, dropped }, 'audit partitions brought up to date')
  }
}

/** The first moment of the month that is `offset` months from the one of `at`, in UTC. */
function monthStart(at: Date, offset: number): Date {
  return new Date(Date.UTC(at.getUTCFullYear(), at.getUTCMonth() + offset, 1))
}

function partitionName(from: Date): string {
  return `audit_events_${from.getUTCFullYear()}_${String(from.getUTCMonth() + 1).padStart(2, '0')}`
}
