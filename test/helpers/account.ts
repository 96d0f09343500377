// People at their account's pages: signed in, with the ways to sign in that a test gives them.
import type { Account } from '../../src/accounts/model.ts'
import { findAccountByEmailKey } from '../../src/accounts/repository.ts'
import { beginRegistration, finishRegistration } from '../../src/credentials/webauthn-registration-service.ts'
import { type AuthenticatorSettings, createAuthenticator } from './authenticator.ts'
import { ownSession } from './passkeys.ts'
import { createPerson } from './resets.ts'
import { password, type Service } from './service.ts'
import { addAuthenticator, codeShown } from './totp.ts'
import { type Answer, findForm, pageText, Visitor } from './visitor.ts'

export const overview = '/account/security'

export type Member = {
  email: string
  account: Account
  visitor: Visitor
  /** Opens a page of the account, with all redirects. */
  open: (path: string) => Promise<Answer>
  /** The code that the authenticator shows next, half a minute later. */
  code: () => string
  /** The authenticator's id; empty without one. */
  authenticatorId: string
}

let people = 0

/**
 * A new person who has just typed the password. With `authenticator` one is added then, and its code given too; unless
 * `halfway`, as in a browser that was signed in to before the authenticator was added elsewhere.
 */
export async function createMember(
  service: Service,
  { authenticator = false, halfway = false }: { authenticator?: boolean; halfway?: boolean } = {}
): Promise<Member> {
  const email = `member${people++}@example.org`
  const { ctx } = service.app
  await createPerson(service, { email })
  const account = await findAccountByEmailKey(service.pool, email)
  if (account === null) throw new Error('nobody was made')
  const visitor = new Visitor()
  const open = (path: string) => visitor.visit(`${service.issuer}${path}`)
  await visitor.submit(await open(overview), 'sign-in-form', { email, password })
  const own = authenticator ? await addAuthenticator(ctx, account) : { id: '', secret: '' }
  const code = () => {
    service.advance(31)
    return codeShown(own.secret, ctx.now())
  }
  if (authenticator && !halfway) {
    const page = await visitor.submit(await open(`${overview}/recovery-codes`), 'totp-form', { code: code() })
    if (pathOf(page) !== `${overview}/recovery-codes`) throw new Error(pageText(page.text))
  }
  return { email, account, visitor, open, code, authenticatorId: own.id }
}

/** Gives somebody a passkey behind the pages' back, and answers with its id. */
export async function addPasskey(
  { app: { ctx }, issuer }: Service,
  account: Account,
  settings: AuthenticatorSettings = {}
): Promise<string> {
  const registering = { account, boundTo: ownSession }
  const response = createAuthenticator({ origin: issuer, ...settings }).create(
    await beginRegistration(ctx, registering)
  )
  const outcome = await finishRegistration(ctx, { ...registering, response })
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.passkey.id
}

/** The page that adds a passkey, and what the browser makes of its options. */
export async function makePasskey(
  { issuer }: Service,
  { visitor, open }: Pick<Member, 'visitor' | 'open'>,
  settings: AuthenticatorSettings = {}
): Promise<{ page: Answer; response: string }> {
  const page = await open(`${overview}/passkeys/add`)
  const { fields } = findForm(page, 'add-passkey-form')
  const options = await visitor.request(`${issuer}${overview}/passkeys/add/options`, {
    method: 'POST',
    body: new URLSearchParams({ _csrf: fields._csrf ?? '' }),
    headers: { accept: 'application/json' }
  })
  if (options.status !== 200) throw new Error(`${options.status} ${options.location}`)
  const authenticator = createAuthenticator({ origin: issuer, ...settings })
  return { page, response: authenticator.create(JSON.parse(options.text)) }
}

/** Adds a passkey at its page, as the page's script does. */
export async function addPasskeyByPage(service: Service, member: Member): Promise<Answer> {
  const { page, response } = await makePasskey(service, member)
  return await member.visitor.submit(page, 'add-passkey-form', { response })
}

/** “This wasn't me”, as it leaves an account for a day. */
export async function freeze({ pool, app }: Service, { id }: Account): Promise<void> {
  const until = new Date(app.ctx.now().getTime() + 86_400_000)
  await pool`update accounts set factor_changes_frozen_until = ${until} where id = ${id}`
}

/** The path that a page was opened at, with its query. */
export const pathOf = ({ url }: Answer): string => new URL(url).pathname + new URL(url).search

/** The authenticator's secret, at the page that offers it. */
export const secretIn = ({ text }: Answer): string => /id="secret">([A-Z2-7 ]+)</.exec(text)?.[1] ?? ''

/** The recovery codes that a page shows. */
export const codesIn = ({ text }: Answer): string[] =>
  [...text.matchAll(/<li><code>([^<]+)<\/code>/g)].map(match => match[1] ?? '')

/** The subjects of the mails to somebody, newest first; waits until there are `count`. */
export const subjectsTo = async (service: Service, { email }: Member, count: number): Promise<string[]> =>
  (await service.mailTo(email, count)).map(({ subject }) => subject)

/** The types of somebody's events that are like `pattern`, oldest first. */
export async function eventsOf({ pool }: Service, { account }: Member, pattern: string): Promise<string[]> {
  const rows = await pool<{ type: string }[]>`
    select type from audit_events where account_id = ${account.id} and type like ${pattern} order by occurred_at, ctid
  `
  return rows.map(({ type }) => type)
}
