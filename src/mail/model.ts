// The mails that Gatehouse writes: what each is given, and what its subject says.

export type Mail =
  | {
      kind: 'confirm_address'
      to: string
      data: { name: string; link: string; code: string; expiresInHours: number }
    }
  | { kind: 'already_registered'; to: string; data: { name: string; signInUrl?: string } }

/** A mail as it leaves: to a mail server, or in development to the mailbox page. */
export type RenderedMail = { id: string; to: string; subject: string; text: string; html: string }

/**
 * Carries a mail away. Throws MailRefused when the server will never take this mail; anything else that is
 * thrown is tried again.
 */
export type MailTransport = { send: (mail: RenderedMail) => Promise<void>; close: () => void }

/** The receiving server refused this recipient or this message for good (SMTP 5xx). */
export class MailRefused extends Error {
  override name = 'MailRefused'
}

/** Nothing that a stranger typed is in a subject: it would be their advertisement in our name. */
export function subjectOf(kind: Mail['kind'], brandName: string): string {
  switch (kind) {
    case 'confirm_address':
      return `Confirm your address for ${brandName}`
    case 'already_registered':
      return `You already have an account at ${brandName}`
  }
}

/** `Name <address>` or an address, as the setting MAIL_FROM has it, in parts: headers are never made of strings. */
export function parseSender(mailFrom: string): { name: string; address: string } {
  const text = mailFrom.replace(/\p{Cc}/gu, ' ').trim()
  const start = text.lastIndexOf('<')
  if (start < 0 || !text.endsWith('>')) return { name: '', address: text }
  return {
    name: text
      .slice(0, start)
      .trim()
      .replace(/^"(.*)"$/, '$1'),
    address: text.slice(start + 1, -1).trim()
  }
}
