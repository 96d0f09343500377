// The mails that Gatehouse writes: what each is given, and what its subject says.

/** What every notice tells: where and when, and the link for “this wasn't me”. */
export type NoticeData = {
  /** The moment, in UTC and words. */
  at: string
  /** The browser and system in words, and the network address; null where no request made it happen. */
  browser: string | null
  ip: string | null
  notMeLink: string
}

export type FactorKind = 'passkey' | 'authenticator' | 'recovery_codes' | 'password'

export type Mail =
  | {
      kind: 'confirm_address'
      to: string
      data: { name: string; link: string; code: string; expiresInHours: number }
    }
  | { kind: 'already_registered'; to: string; data: { name: string; signInUrl?: string } }
  | { kind: 'reset_password'; to: string; data: { link: string; code: string; expiresInMinutes: number } }
  | { kind: 'sign_in_code'; to: string; data: { link: string; code: string; expiresInMinutes: number } }
  | {
      kind: 'confirm_new_address'
      to: string
      data: { link: string; code: string; expiresInMinutes: number }
    }
  | {
      kind: 'approval_requested'
      to: string
      data: { application: string; link: string; expiresInMinutes: number }
    }
  | { kind: 'new_device'; to: string; data: NoticeData }
  | { kind: 'password_changed'; to: string; data: NoticeData }
  | { kind: 'factor_added'; to: string; data: NoticeData & { factor: FactorKind; label: string } }
  | { kind: 'factor_removed'; to: string; data: NoticeData & { factor: FactorKind; label: string } }
  | { kind: 'recovery_code_used'; to: string; data: NoticeData & { codesLeft: number } }
  /** `undoLink`: null where the change was itself an undoing. */
  | {
      kind: 'address_changed'
      to: string
      data: NoticeData & { newAddress: string; undoLink: string | null }
    }
  | { kind: 'many_failures'; to: string; data: NoticeData & { failures: number } }

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
  const subjects: Record<Mail['kind'], string> = {
    confirm_address: `Confirm your address for ${brandName}`,
    already_registered: `You already have an account at ${brandName}`,
    reset_password: `Choose a new password for ${brandName}`,
    sign_in_code: `Your sign-in code for ${brandName}`,
    confirm_new_address: `Confirm your new address for ${brandName}`,
    approval_requested: `Your approval is asked for at ${brandName}`,
    new_device: `New sign-in to your account at ${brandName}`,
    password_changed: `Your password at ${brandName} was changed`,
    factor_added: `A way to sign in was added at ${brandName}`,
    factor_removed: `A way to sign in was removed at ${brandName}`,
    recovery_code_used: `A recovery code was used at ${brandName}`,
    address_changed: `Your address at ${brandName} was changed`,
    many_failures: `Many failed tries to sign in at ${brandName}`
  }
  return subjects[kind]
}

/** How many mails of a kind one recipient is sent within an hour. A notice is sent by what happened, not by who asks. */
export function hourlyCapOf(kind: Mail['kind'], mailsPerRecipientPerHour: number): number {
  switch (kind) {
    case 'confirm_address':
    case 'already_registered':
    case 'reset_password':
    case 'sign_in_code':
    case 'confirm_new_address':
    case 'approval_requested':
      return mailsPerRecipientPerHour
    case 'many_failures':
      return 1
    default:
      return 20
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
