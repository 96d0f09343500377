// Sends through an SMTP server. Nothing of a mail is ever joined into a header or a command by us.
import type { Config } from '../config/schema.ts'
import type { Context } from '../context.ts'
import { isLoopback } from '../lib/urls.ts'
import { MailRefused, type MailTransport, parseSender } from './model.ts'

// Within the queue's limit of 180 s a job (jobs/model.ts), also where a batch of ten waits for five connections.
const timeouts = {
  connectionTimeout: 10_000,
  greetingTimeout: 10_000,
  socketTimeout: 30_000,
  dnsTimeout: 10_000
}

/** A pool of connections to SMTP_URL. Certificates are verified; a password is never sent over an open line. */
export function createSmtpTransport(
  config: Config & { smtpUrl: string },
  now: Context['now']
): MailTransport {
  const from = parseSender(config.mailFrom)
  const host = new URL(config.issuer).hostname
  const options = {
    ...timeouts,
    url: config.smtpUrl,
    pool: true,
    maxConnections: 5,
    requireTLS: carriesPasswordAcrossNetwork(new URL(config.smtpUrl)),
    disableFileAccess: true,
    disableUrlAccess: true
  }
  // With the first mail: the library takes 3 MB, and an installation may mail nothing for hours.
  const open = async () => (await import('nodemailer')).createTransport(options)
  let smtp: ReturnType<typeof open> | null = null
  return {
    send: async ({ id, to, subject, text, html }) => {
      if (!isPlainAddress(to)) throw new MailRefused('the recipient is not one plain address')
      try {
        smtp ??= open()
        await (await smtp).sendMail({
          from,
          // As an object: a header's string would be parsed as a list, with display names and comments.
          to: { name: '', address: to },
          envelope: { from: from.address, to: [to] },
          subject,
          text,
          html,
          date: now(),
          // The same at every try, so that a receiver may recognise a mail that was sent twice.
          messageId: `<${id}@${host}>`,
          // RFC 3834 §5: asks holiday responders to be quiet.
          headers: { 'Auto-Submitted': 'auto-generated' }
        })
      } catch (error) {
        throw refusalOf(error) ?? error
      }
    },
    close: () => void smtp?.then(opened => opened.close())
  }
}

/**
 * The last look at an address that was parsed long before: the library below also understands lists, groups, quotes
 * and display names, in the envelope too.
 */
function isPlainAddress(to: string): boolean {
  return /^[!#-'*+\-./0-9=?A-Z^_`a-z{|}~]{1,64}@[a-z0-9.-]{3,253}$/.test(to)
}

function carriesPasswordAcrossNetwork(url: URL): boolean {
  return url.protocol === 'smtp:' && url.username !== '' && !isLoopback(url)
}

/**
 * Only an answer to this recipient or this message is final. A refused password, certificate or sender is the
 * operator's to mend, and the mail waits for it.
 *
 * @see RFC 5321 §4.2.1
 */
function refusalOf(error: unknown): MailRefused | null {
  const { responseCode, command } = error as { responseCode?: number; command?: string }
  const final = responseCode !== undefined && responseCode >= 500 && responseCode < 600
  if (!final || (command !== 'RCPT TO' && command !== 'DATA')) return null
  return new MailRefused(`the mail server answered ${responseCode} to ${command}`, { cause: error })
}
