// The development mailbox: what would have been sent, newest 200. Sealed like the outbox, for it holds links and codes.
import type { Sql } from '../db/connect.ts'

export type MailboxRow = { id: string; contentSealed: Buffer; sentAt: Date }

/** Adds a mail, once however often it is sent, and forgets what is older than the newest `keep`. */
export async function insertMailboxMail(sql: Sql, row: MailboxRow, keep: number): Promise<void> {
  await sql`
    with forgotten as (
      delete from development_mailbox
      where id in (select id from development_mailbox order by sent_at desc, id desc offset ${keep - 1})
    )
    insert into development_mailbox (id, content_sealed, sent_at)
    values (${row.id}, ${row.contentSealed}, ${row.sentAt})
    on conflict (id) do nothing
  `
}

export async function listMailboxMails(sql: Sql): Promise<MailboxRow[]> {
  return await sql<MailboxRow[]>`
    select id, content_sealed, sent_at from development_mailbox order by sent_at desc, id desc
  `
}
