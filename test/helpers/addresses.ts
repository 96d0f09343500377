// People who change their address, as far as a test needs them to.
import { confirmAddressChangeByLink, requestAddressChange } from '../../src/accounts/address-service.ts'
import type { Account } from '../../src/accounts/model.ts'
import { findAccount } from '../../src/accounts/repository.ts'
import type { Mail } from '../../src/mail/model.ts'
import type { TestContext } from './context.ts'
import { listQueuedMails } from './people.ts'

/** The mails of a kind in the outbox, oldest first. */
export async function mailsOf<Kind extends Mail['kind']>(ctx: TestContext, kind: Kind) {
  const mails = await listQueuedMails(ctx)
  return mails.filter((mail): mail is Extract<Mail, { kind: Kind }> => mail.kind === kind)
}

/** The token of a link. */
export const lastPart = (link: string) => link.split('/').at(-1) ?? ''

/** Asks for a change, and reads the mail that came of it; null: none did. */
export async function askForChange(
  ctx: TestContext,
  account: Account,
  { newEmail = 'ada@new.example', askedBy = 'session-1' } = {}
): Promise<{ token: string; code: string; to: string } | null> {
  ctx.clock.advance(1000)
  const before = (await mailsOf(ctx, 'confirm_new_address')).length
  const outcome = await requestAddressChange(ctx, { account, newEmail, askedBy })
  if (!outcome.ok) throw new Error(outcome.reason)
  const mail = (await mailsOf(ctx, 'confirm_new_address'))[before]
  return mail === undefined ? null : { token: lastPart(mail.data.link), code: mail.data.code, to: mail.to }
}

export async function changeAskedFor(
  ctx: TestContext,
  account: Account,
  options: Parameters<typeof askForChange>[2] = {}
) {
  const mail = await askForChange(ctx, account, options)
  if (mail === null) throw new Error('no mail was queued')
  return mail
}

/** Changes the address, and returns the token of the undo link. */
export async function changedAddress(ctx: TestContext, accountId: string, newEmail: string): Promise<string> {
  const account = await findAccount(ctx.sql, accountId)
  if (account === null) throw new Error('nobody')
  const { token } = await changeAskedFor(ctx, account, { newEmail })
  ctx.clock.advance(1000)
  const outcome = await confirmAddressChangeByLink(ctx, { token, accountId })
  if (!outcome.ok) throw new Error(outcome.reason)
  return lastPart((await mailsOf(ctx, 'address_changed')).at(-1)?.data.undoLink ?? '')
}

export const emailOf = async (ctx: TestContext, { id }: Account) => (await findAccount(ctx.sql, id))?.email
