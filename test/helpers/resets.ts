// People who forgot their password: accounts of every kind, the mail that they are sent, and what they do with it.
import { hashPassword } from '../../src/credentials/hashing.ts'
import { createId } from '../../src/lib/ids.ts'
import { hashToken } from '../../src/lib/tokens.ts'
import { type Application, createApplication, openid } from './application.ts'
import { openSignIn } from './forms.ts'
import { password, type Service, type ServiceOptions, startService } from './service.ts'
import { type Answer, Visitor } from './visitor.ts'
import { waitFor } from './wait.ts'

export const newPassword = 'quite another battery staple'

type Kind = { email: string; verified?: boolean; disabled?: boolean; passwordless?: boolean }

/** An account as if it had been there for a minute; answers with its id. */
export async function createPerson(
  { app: { ctx }, pool }: Service,
  { email, verified = true, disabled = false, passwordless = false }: Kind
): Promise<string> {
  const at = new Date(Date.now() - 60_000)
  const id = createId(at)
  await pool`
    insert into accounts
      (id, email, email_key, email_verified_at, name, disabled_at, tokens_valid_from, created_at, updated_at)
    values (${id}, ${email}, ${email.toLowerCase()}, ${verified ? at : null}, 'Ada Lovelace', ${disabled ? at : null},
      ${at}, ${at}, ${at})`
  const passwordHash = await hashPassword(ctx.config, password)
  if (!passwordless) await pool`insert into password_credentials values (${id}, ${passwordHash}, ${at})`
  return id
}

/** A browser that asks for a reset; `page` is where it ends up. */
export async function askForReset(
  service: Service,
  email: string,
  visitor = new Visitor()
): Promise<{ visitor: Visitor; answer: Answer; page: Answer }> {
  const form = await visitor.visit(`${service.issuer}/reset-password`)
  const answer = await visitor.post(form, 'reset-request-form', { email })
  return { visitor, answer, page: await visitor.follow(answer) }
}

export type ResetMail = { link: string; token: string; code: string }

/** The newest mail that resets a password at this address, once there are `count` of them. */
export async function lastReset(service: Service, email: string, count = 1): Promise<ResetMail> {
  const [mail] = await mailsAbout(service, { email, about: '/reset-password/', count })
  const link = mail?.links.find(url => url.includes('/reset-password/')) ?? ''
  return {
    link,
    token: link.split('/').at(-1) ?? '',
    code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
  }
}

/** The link for “this wasn't me” of the newest notice to this address, once there are `count` of them. */
export async function lastNotMe(service: Service, email: string, count = 1): Promise<string> {
  const [mail] = await mailsAbout(service, { email, about: '/not-me/', count })
  return mail?.links.find(url => url.includes('/not-me/')) ?? ''
}

/** Link and code of the newest mail to this address whose link has `about` in it. */
export async function mailAbout(
  service: Service,
  email: string,
  about: string
): Promise<{ link: string; code: string }> {
  const [mail] = await mailsAbout(service, { email, about, count: 1 })
  const link = mail?.links.find(link => link.includes(about)) ?? ''
  return { link, code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? '' }
}

async function mailsAbout(
  service: Service,
  { email, about, count }: { email: string; about: string; count: number }
) {
  const list = async () =>
    (await service.mailTo(email, 0)).filter(({ links }) => links.some(link => link.includes(about)))
  await waitFor(async () => (await list()).length >= count)
  return await list()
}

/** Sets a new password by a link, in a browser of its own; a link that is not good answers for itself. */
export async function resetByLink(
  link: string,
  typed = newPassword,
  visitor = new Visitor()
): Promise<Answer> {
  const page = await visitor.visit(link)
  return page.status === 200 ? await visitor.post(page, 'reset-form', { password: typed }) : page
}

/** A service with an application. `letsIn`: whether a password opens the sign-in page in a browser that nobody knows. */
export async function startWithApplication(t: Parameters<typeof startService>[0], options?: ServiceOptions) {
  const service = await startService(t, options)
  const application = await createApplication(service)
  const letsIn = async (email: string, secret = password): Promise<boolean> => {
    const { visitor, page } = await openSignIn(service, { application })
    return (await visitor.post(page, 'sign-in-form', { email, password: secret })).status === 303
  }
  return { service, application, letsIn }
}

/** Somebody who is signed in at an application, with tokens that stay when the browser is gone. */
export async function signedIn(
  service: Service,
  application: Application,
  { email, secret = password }: { email: string; secret?: string }
) {
  const { visitor, page, finish } = await openSignIn(service, { application })
  let answer = await visitor.submit(page, 'sign-in-form', { email, password: secret })
  if (answer.text.includes('id="consent-form"'))
    answer = await visitor.submit(answer, 'consent-form', { decision: 'allow' })
  const tokens = await finish(answer.location)
  return {
    visitor,
    tokens,
    /** Whether the refresh token is still good for new ones. */
    refreshes: async () =>
      await openid.refreshTokenGrant(application.config, tokens.refresh_token ?? '').then(
        () => true,
        () => false
      ),
    /** Whether the browser gets on without being asked who it is. */
    isSignedIn: async () =>
      !(await visitor.visit((await application.begin({ prompt: '' })).url)).text.includes('sign-in-form')
  }
}

/** A browser that the account trusts; answers with a question: does it still? */
export async function trustedDevice({ pool }: Service, accountId: string): Promise<() => Promise<boolean>> {
  const id = createId(new Date())
  const later = new Date(Date.now() + 86_400_000)
  await pool`
    insert into devices (id, account_id, token_hash, user_agent, created_at, last_seen_at, trusted_until, expires_at)
    values (${id}, ${accountId}, ${hashToken(id)}, 'Firefox', now(), now(), ${later}, ${later})`
  return async () =>
    (await pool`select from devices where id = ${id} and trusted_until is not null`).length > 0
}
