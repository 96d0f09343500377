// People as tests need them: signed up, verified, with the mail that was written to them at hand.

import type { Account } from '../../src/accounts/model.ts'
import { findAccountByEmailKey } from '../../src/accounts/repository.ts'
import { confirmEmailByToken, signUp } from '../../src/credentials/sign-up-service.ts'
import { deriveKey, open } from '../../src/lib/sealed-box.ts'
import type { Mail } from '../../src/mail/model.ts'
import type { TestContext } from './context.ts'

export const goodPassword = 'correct horse battery staple'

/** Every mail in the outbox, oldest first. */
export async function listQueuedMails(ctx: TestContext): Promise<Mail[]> {
  const rows = await ctx.pool<{ id: string; kind: string; contentSealed: Buffer }[]>`
    select id, kind, content_sealed from mail_outbox where content_sealed is not null order by created_at, id
  `
  const key = deriveKey(ctx.config.encryptionKey, 'mail')
  return rows.map(
    ({ id, kind, contentSealed }) =>
      ({ kind, ...JSON.parse(open(key, contentSealed, id).toString()) }) as Mail
  )
}

export type Confirmation = { token: string; code: string; to: string; name: string }

/** Link and code of every confirmation mail, oldest first. */
export async function listConfirmations(ctx: TestContext): Promise<Confirmation[]> {
  return (await listQueuedMails(ctx)).flatMap(mail =>
    mail.kind === 'confirm_address'
      ? [
          {
            token: new URL(mail.data.link).pathname.split('/').at(-1) ?? '',
            code: mail.data.code,
            to: mail.to,
            name: mail.data.name
          }
        ]
      : []
  )
}

export async function lastConfirmation(ctx: TestContext): Promise<Confirmation> {
  const last = (await listConfirmations(ctx)).at(-1)
  if (last === undefined) throw new Error('no confirmation was mailed')
  return last
}

export type Typed = { email?: string; name?: string; password?: string; interactionUid?: string | null }

/** Signs up, and answers with the account behind it. */
export async function signedUp(
  ctx: TestContext,
  typed: Typed = {}
): Promise<{ accountId: string; interactionUid: string }> {
  // Mails are told apart by their moment.
  ctx.clock.advance(1)
  const interactionUid = typed.interactionUid ?? 'interaction-1'
  const outcome = await signUp(ctx, {
    email: 'ada@example.org',
    name: 'Ada',
    password: goodPassword,
    ...typed,
    interactionUid
  })
  if (!outcome.ok) throw new Error(JSON.stringify(outcome))
  return { accountId: outcome.pendingAccountId, interactionUid }
}

/** Signs up and confirms. The clock goes on by a second in between, as it does when a person reads mail. */
export async function verifiedAccount(ctx: TestContext, typed: Typed = {}): Promise<Account> {
  await signedUp(ctx, typed)
  ctx.clock.advance(1000)
  const outcome = await confirmEmailByToken(ctx, (await lastConfirmation(ctx)).token)
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.account
}

export async function accountOf(ctx: TestContext, emailKey: string): Promise<Account> {
  const account = await findAccountByEmailKey(ctx.pool, emailKey)
  if (account === null) throw new Error(`nobody has ${emailKey}`)
  return account
}
