// What exists only in development: a mailbox instead of a mail server.
import type { Context } from '../context.ts'
import { deriveKey, open, seal } from '../lib/sealed-box.ts'
import type { MailTransport, RenderedMail } from '../mail/model.ts'
import { insertMailboxMail, listMailboxMails } from './repository.ts'

const kept = 200

export type MailboxMessage = RenderedMail & {
  /** Every http(s) URL of the text, in order. */
  links: string[]
  sentAt: Date
}

/** Carries mail to the development mailbox. */
export function createMailboxTransport(ctx: Context): MailTransport {
  return {
    send: async ({ id, ...content }) => {
      const contentSealed = seal(mailboxKey(ctx), JSON.stringify(content), id)
      await insertMailboxMail(ctx.sql, { id, contentSealed, sentAt: ctx.now() }, kept)
    },
    close: () => {}
  }
}

/** The mails that would have been sent, newest first. */
export async function listMailbox(ctx: Context): Promise<MailboxMessage[]> {
  const key = mailboxKey(ctx)
  return (await listMailboxMails(ctx.sql)).map(({ id, contentSealed, sentAt }) => {
    const content = JSON.parse(open(key, contentSealed, id).toString()) as Omit<RenderedMail, 'id'>
    const { to, subject, text, html } = content
    return { id, to, subject, text, html, links: linksOf(text), sentAt }
  })
}

/** A full stop after a link ends the sentence, not the link. */
function linksOf(text: string): string[] {
  return (text.match(/https?:\/\/[^\s<>"]+/g) ?? []).map(link => link.replace(/[.,;:!?)]{1,3}$/, ''))
}

function mailboxKey(ctx: Context): Buffer {
  return deriveKey(ctx.config.encryptionKey, 'development mailbox')
}
