// The audit trail's table and its monthly partitions. Events are only ever added; whole months are dropped.
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'

export type AuditEvent = {
  id: string
  occurredAt: Date
  type: string
  accountId: string | null
  clientId: string | null
  ip: string | null
  userAgent: string | null
  requestId: string | null
  details: Record<string, string | number | boolean | null | string[]>
}

/** Part of a batch, so that the event stands or falls with what it tells of. `select`: it may depend on another write. */
export const insertEvent = (event: AuditEvent): Write => ({
  text: bind => `insert into audit_events (id, occurred_at, type, account_id, client_id, ip, user_agent, request_id, details)
    select ${bind(event.id)}::uuid, ${bind(event.occurredAt)}::timestamptz, ${bind(event.type)}::text, ${bind(event.accountId)}::uuid,
      ${bind(event.clientId)}::text, ${bind(event.ip)}::inet, ${bind(event.userAgent)}::text, ${bind(event.requestId)}::text,
      ${bind(event.details)}::jsonb`
})

/** A person's events, newest first. `before` is the id of the last one of the page before. */
export async function listEventsOfAccount(
  sql: Sql,
  { accountId, before, limit }: { accountId: string; before: string | null; limit: number }
): Promise<AuditEvent[]> {
  return await sql<AuditEvent[]>`
    select id, occurred_at, type, account_id, client_id, host(ip) as ip, user_agent, request_id, details
    from audit_events
    where account_id = ${accountId} ${before === null ? sql`` : sql`and id < ${before}`}
    order by id desc
    limit ${limit}
  `
}

/** Names like audit_events_2026_11, oldest first. */
export async function listPartitions(sql: Sql): Promise<string[]> {
  const rows = await sql<{ name: string }[]>`
    select child.relname as name
    from pg_inherits join pg_class child on child.oid = inhrelid
    where inhparent = 'audit_events'::regclass and child.relname <> 'audit_events_default'
    order by child.relname
  `
  return rows.map(({ name }) => name)
}

/** Held until the transaction ends: two nodes do not make the same partition. */
export async function updatePartitionLock(sql: Sql): Promise<void> {
  // Partition work waits for locks that sign-ins hold and makes further ones queue behind it: better to give up.
  await sql`set local lock_timeout = '2s'`
  await sql`select pg_advisory_xact_lock(hashtext('audit_events partitions'))`
}

/**
 * Makes a partition for [from, to) and moves into it what has already fallen into the default one.
 * `name` is not from outside: a utility statement takes no parameters.
 */
export async function insertPartition(
  sql: Sql,
  { name, from, to }: { name: string; from: Date; to: Date }
): Promise<void> {
  await sql`create table ${sql(name)} (like audit_events including defaults including constraints)`
  await sql`
    with moved as (
      delete from audit_events_default where occurred_at >= ${from} and occurred_at < ${to} returning *
    )
    insert into ${sql(name)} select * from moved
  `
  // Attaching locks the parent far less than creating a partition in place does.
  await sql.unsafe(
    `alter table audit_events attach partition ${name} for values from ('${from.toISOString()}') to ('${to.toISOString()}')`
  )
}

export async function deletePartition(sql: Sql, name: string): Promise<void> {
  await sql`drop table ${sql(name)}`
}

/** The default partition holds what came when a month's own was missing. */
export async function deleteEventsBefore(sql: Sql, before: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from audit_events_default
    where (id, occurred_at) in (
      select id, occurred_at from audit_events_default where occurred_at < ${before}
      limit ${limit} for update skip locked
    )
  `
  return count
}
