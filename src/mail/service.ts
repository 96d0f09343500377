// Mail is queued by the transaction that gives the reason for it, and leaves after that has committed.
import type { Context } from '../context.ts'
import type { RetentionRule } from '../jobs/model.ts'
import { createId } from '../lib/ids.ts'
import { deriveKey, open, seal } from '../lib/sealed-box.ts'
import { hashToken } from '../lib/tokens.ts'
import type { Mail, MailTransport, RenderedMail } from './model.ts'
import { hourlyCapOf, MailRefused } from './model.ts'
import {
  deleteMailsBefore,
  findMail,
  insertMail,
  updateMailFailed,
  updateMailSent,
  updateRecipientLock
} from './repository.ts'

const hourMs = 3_600_000
const keptDays = 30

/**
 * Puts a mail in the outbox, and a job that sends it in the queue, as part of `tx`'s transaction: one that rolls
 * back sends nothing.
 *
 * `capped`: as many mails of this kind as `hourlyCapOf` allows were queued within the hour, and
 * this one was not. Transactions for the same recipient wait for each other, so the cap holds for any number at once.
 * `sendBefore` is when the mail stops being of use; after it, it is never sent. `deliver: false`: the same work and the
 * same answers for an address that nobody has; nothing is sent, and no content stored.
 */
export async function queueMail(
  tx: Context,
  { deliver = true, ...mail }: Mail & { deliver?: boolean },
  sendBefore: Date
): Promise<'queued' | 'capped'> {
  const now = tx.now()
  const id = createId(now)
  const recipientHash = await holdRecipient(tx, mail.to)
  const contentSealed = seal(mailKey(tx), JSON.stringify({ to: mail.to, data: mail.data }), id)
  const withinCap = await insertMail(tx.sql, {
    id,
    kind: mail.kind,
    recipientHash,
    contentSealed: deliver ? contentSealed : null,
    sendBefore,
    createdAt: now,
    countedSince: new Date(now.getTime() - hourMs),
    cap: hourlyCapOf(mail.kind, tx.config.mailsPerRecipientPerHour)
  })
  // Also where there is nothing to send, so that both take the same time.
  await tx.enqueue(tx.sql, 'mail', { mailId: id })
  return withinCap ? 'queued' : 'capped'
}

/**
 * Makes everybody else who writes to an address wait until `tx` ends. Who will write to it after changing a row that
 * the others may refer to holds it before: or each would wait for the other.
 */
export async function holdRecipient(tx: Context, to: string): Promise<Buffer> {
  const recipientHash = hashToken(to.toLowerCase())
  await updateRecipientLock(tx.sql, recipientHash.readBigInt64BE(0))
  return recipientHash
}

/**
 * Sends a mail of the outbox, then drops its content.
 *
 * At least once: a process killed after the mail server took the mail and before that is written sends it again,
 * with the same Message-ID. `given_up`: the server refused it for good, or its time had passed. A fault that may
 * pass is thrown, for the queue to try again.
 */
export async function sendMail(
  ctx: Context,
  id: string,
  { render, transport }: { render: (mail: Mail & { id: string }) => RenderedMail; transport: MailTransport }
): Promise<'sent' | 'given_up' | 'nothing_to_do'> {
  const row = await findMail(ctx.sql, id)
  if (row === null || row.contentSealed === null) return 'nothing_to_do'
  if (row.sendBefore <= ctx.now()) return await giveUpMail(ctx, id, 'its time has passed')

  const content = JSON.parse(open(mailKey(ctx), row.contentSealed, id).toString()) as Pick<
    Mail,
    'to' | 'data'
  >
  try {
    await transport.send(render({ ...content, kind: row.kind, id } as Mail & { id: string }))
  } catch (error) {
    if (!(error instanceof MailRefused)) throw error
    return await giveUpMail(ctx, id, error.message)
  }
  await updateMailSent(ctx.sql, id, ctx.now())
  return 'sent'
}

/** Notes that a mail will not be sent, and drops its content. */
export async function giveUpMail(ctx: Context, id: string, reason: string): Promise<'given_up'> {
  const changed = await updateMailFailed(ctx.sql, id, ctx.now())
  if (changed) ctx.log.warn({ mailId: id, reason }, 'a mail was given up')
  return 'given_up'
}

function mailKey(ctx: Context): Buffer {
  return deriveKey(ctx.config.encryptionKey, 'mail')
}

/** Rows stay for a month, without their contents, to tell what became of a mail. */
export const mailRetention: RetentionRule[] = [
  {
    table: 'mail_outbox',
    deleteExpired: (sql, now, limit) =>
      deleteMailsBefore(sql, new Date(now.getTime() - keptDays * 24 * hourMs), limit)
  }
]
