// Notices: what happened to an account is mailed to its owner, each with the link for “this wasn't me”.
import type { Context } from '../context.ts'
import type { Mail, NoticeData } from '../mail/model.ts'
import { queueMail } from '../mail/service.ts'
import { browserOf } from './browser-model.ts'
import { issueSecurityToken } from './security-token-service.ts'

const linkLifetimeSeconds = 7 * 86_400
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })

/**
 * A notice's own facts; where, when and the link are added here. `happenedAt`: not after what it tells of, for its link
 * takes away what was added since; default: now.
 */
export type Notice = NoticeOf<Mail>
type NoticeOf<M extends Mail> = M extends { data: NoticeData }
  ? { kind: M['kind']; data: Omit<M['data'], keyof NoticeData>; happenedAt?: Date }
  : never

/**
 * Mails a notice to an account's owner, as part of `tx`'s transaction. `to` is the address that it goes to: where the
 * address was changed, the old one.
 */
export async function sendNotice(
  tx: Context,
  { id: accountId, email: to }: { id: string; email: string },
  { kind, data: facts, happenedAt = tx.now() }: Notice
): Promise<void> {
  const now = tx.now()
  const { token } = await issueSecurityToken(tx, {
    kind: 'not_me',
    accountId,
    askedBy: null,
    // Whoever reads this mailbox; the account may have another by the time that the link is used.
    data: { email: to, at: happenedAt.toISOString() },
    lifetimeSeconds: linkLifetimeSeconds,
    replacing: false
  })
  const data: NoticeData = {
    at: `${moment.format(happenedAt)} UTC`,
    browser: tx.request === undefined ? null : browserOf(tx.request.userAgent),
    ip: tx.request?.ip ?? null,
    notMeLink: `${tx.config.issuer}/not-me/${token}`
  }
  const mail = { kind, to, data: { ...facts, ...data } } as Mail
  await queueMail(tx, mail, new Date(now.getTime() + linkLifetimeSeconds * 1000))
}
