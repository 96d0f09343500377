// The outbox: mails that wait to be sent, and that some were sent, which the caps count.
import type { Sql } from '../db/connect.ts'

export type OutboxMail = {
  id: string
  kind: string
  /** null once sent or given up */
  contentSealed: Buffer | null
  sendBefore: Date
}

/**
 * Makes transactions that write to the same recipient wait for each other until they end. Without it, many at once
 * would each count the mails before any of them had added its own.
 */
export async function updateRecipientLock(sql: Sql, key: bigint): Promise<void> {
  await sql`select pg_advisory_xact_lock(${String(key)}::bigint)`
}

/**
 * Adds a mail, unless `cap` ones of its kind went to its recipient since `countedSince`; false: that many did.
 *
 * One too many is added all the same, without its content and never to be sent (`send_before` is `created_at`): whoever
 * signs up at an address again and again cannot tell by the time it takes where the cap is reached. Without content
 * and not one too many is a mail for nobody: it counts as any other.
 */
export async function insertMail(
  sql: Sql,
  mail: {
    id: string
    kind: string
    recipientHash: Buffer
    contentSealed: Buffer | null
    sendBefore: Date
    createdAt: Date
    countedSince: Date
    cap: number
  }
): Promise<boolean> {
  const [row] = await sql<{ withinCap: boolean }[]>`
    insert into mail_outbox (id, kind, recipient_hash, content_sealed, send_before, created_at)
    select
      ${mail.id}, ${mail.kind}, ${mail.recipientHash}, case when not capped then ${mail.contentSealed}::bytea end,
      case when capped then ${mail.createdAt}::timestamptz else ${mail.sendBefore}::timestamptz end,
      ${mail.createdAt}
    from (
      select count(*) >= ${mail.cap} as capped from mail_outbox
      where recipient_hash = ${mail.recipientHash} and kind = ${mail.kind} and created_at > ${mail.countedSince}
        and send_before > created_at
    ) as counted
    returning send_before > created_at as within_cap
  `
  return row?.withinCap ?? false
}

export async function findMail(sql: Sql, id: string): Promise<OutboxMail | null> {
  const [row] = await sql<OutboxMail[]>`
    select id, kind, content_sealed, send_before from mail_outbox where id = ${id}
  `
  return row ?? null
}

/** The content is of no more use, and holds a link and a code. */
export async function updateMailSent(sql: Sql, id: string, at: Date): Promise<void> {
  await sql`update mail_outbox set sent_at = ${at}, content_sealed = null where id = ${id}`
}

export async function updateMailFailed(sql: Sql, id: string, at: Date): Promise<boolean> {
  const { count } = await sql`
    update mail_outbox set failed_at = ${at}, content_sealed = null
    where id = ${id} and sent_at is null and failed_at is null
  `
  return count === 1
}

export async function deleteMailsBefore(sql: Sql, before: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from mail_outbox where id in (
      select id from mail_outbox where created_at < ${before} limit ${limit} for update skip locked
    )
  `
  return count
}
