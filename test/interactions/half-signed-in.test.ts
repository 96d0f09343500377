// MFA-6: a browser that has proved a password, and owes the second factor, at every address that there is.
import t, { type Test } from 'tap'
import { beginTotpEnrolment } from '../../src/credentials/totp-enrolment-service.ts'
import { beginRegistration } from '../../src/credentials/webauthn-registration-service.ts'
import { hashToken } from '../../src/lib/tokens.ts'
import { createWorld } from '../helpers/factor-paths.ts'
import { createHolder, newKey, nextCode, stepOf, typePassword } from '../helpers/factors.ts'
import { openSignIn } from '../helpers/forms.ts'
import { newPassword } from '../helpers/resets.ts'
import { listRoutes } from '../helpers/routes.ts'
import { startService } from '../helpers/service.ts'
import { codeShown } from '../helpers/totp.ts'
import { type Answer, findForm, type Visitor } from '../helpers/visitor.ts'

const service = await startService(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '100' } })
const { shop } = await createWorld(service)
const { pool, issuer } = service
const { ctx } = service.app
const stranger = 'stranger@example.org'

type Holder = Awaited<ReturnType<typeof createHolder>>

/** Everything that opens the account, or that its owner would be told by. */
async function stateOf({ account: { id } }: Holder): Promise<object> {
  const [row] = await pool`
    select a.email, a.name, a.email_verified_at, a.disabled_at, a.factor_changes_frozen_until, a.tokens_valid_from,
      (select password_hash from password_credentials where account_id = a.id) as password,
      array(select t.id || t.name || encode(t.secret_sealed, 'hex') from totp_credentials t where account_id = a.id order by 1) as totp,
      array(select w.id || w.name from webauthn_credentials w where account_id = a.id order by 1) as keys,
      array(select encode(r.code_hash, 'hex') from recovery_codes r where account_id = a.id order by 1) as codes,
      array(select d.id::text from devices d where account_id = a.id) as devices,
      array(select r.role from role_assignments r where account_id = a.id) as roles,
      (select count(*)::int from sessions s where s.account_id = a.id) as sessions,
      (select count(*)::int from grants g where g.account_id = a.id) as grants,
      (select count(*)::int from security_tokens s where s.account_id = a.id and s.kind <> 'reset_password') as tokens
    from accounts a where a.id = ${id}`
  return { ...row }
}

async function halfSignedIn(): Promise<{ holder: Holder; visitor: Visitor; page: Answer; uid: string }> {
  const holder = await createHolder(service, { totp: true, key: 'security_key', recoveryCodes: true })
  const { visitor, page: form } = await openSignIn(service, { application: shop })
  const page = await typePassword(visitor, form, holder)
  t.equal(stepOf(page), 'second-factor')
  return { holder, visitor, page, uid: /\/interaction\/([\w-]+)/.exec(page.url)?.[1] ?? '' }
}

/** Whatever a form could want, and as good as the browser could make it: only the step is wrong. */
async function goodFields({ account, password }: Holder, uid: string): Promise<Record<string, string>> {
  const enrolling = { account, boundTo: hashToken(uid) }
  const { secret, enrolment } = beginTotpEnrolment(ctx, enrolling)
  return {
    email: stranger,
    name: 'Stranger',
    current: password,
    password: newPassword,
    enrolment,
    code: codeShown(secret, ctx.now()),
    response: newKey(service, 'passkey').create(await beginRegistration(ctx, enrolling)),
    trust: 'yes',
    way: 'passkey',
    decision: 'allow',
    logout: 'yes'
  }
}

// Signs nobody in, and is the one thing that may be done at any step.
const isCancel = (url: string) => url.endsWith('/cancel')
const givesUp = (url: string) => url.startsWith('/session/') || url === '/auth/:uid'
// The development mailbox is everybody's.
const isDevelopment = (url: string) => url.startsWith('/dev/')

/** Where the browser may find itself, having asked for an address. */
function checkPlace(t: Test, url: string, { end, uid }: { end: Answer; uid: string }): void {
  const what = `${url} leads to ${end.url} (${end.status})`
  t.ok(end.status < 500 || url === '/readyz', what)
  t.notMatch(
    end.text,
    /id="(totp-set-up|first-password|password|authenticator|change-address|consent)-form"/,
    what
  )
  t.notMatch(end.text, /data-ceremony="registration"|Signed in as/, what)
  if (url.startsWith('/interaction/:uid')) {
    const own = end.url.startsWith(`${issuer}/interaction/${uid}/second-factor`)
    t.ok(own, `a page of the sign-in: ${what}`)
  } else if (/^\/account(?!\/return)/.test(url) && end.status !== 404)
    t.equal(stepOf(end), 'sign-in', `a page of the account: ${what}`)
}

t.test('MFA-6: no address but that of the step does anything, for anything that is sent', async t => {
  const { holder, visitor, page, uid } = await halfSignedIn()
  const _csrf = findForm(page, 'cancel-form').fields._csrf ?? ''
  const before = await stateOf(holder)
  const [device] = await pool<
    { id: string }[]
  >`select id from totp_credentials where account_id = ${holder.account.id}`
  const routes = listRoutes(service).filter(({ url }) => !isCancel(url) && !isDevelopment(url))
  t.ok(routes.length > 60, `${routes.length} routes`)
  // Last: who asks to be signed out, or goes back with nothing in hand, has given the sign-in up.
  routes.sort((a, b) => Number(givesUp(a.url)) - Number(givesUp(b.url)))
  for (const { url, methods } of routes) {
    const address = `${issuer}${url
      .replace(':uid', uid)
      .replace(':id', device?.id ?? '')
      .replace(':token', 'x'.repeat(43))}`
    for (const method of methods.filter(method => method === 'GET' || method === 'POST')) {
      const body = new URLSearchParams({ _csrf, ...(await goodFields(holder, uid)) })
      const answer = await visitor.request(address, { method, ...(method === 'POST' ? { body } : {}) })
      checkPlace(t, url, { end: await visitor.follow(answer), uid })
    }
  }
  t.strictSame(await stateOf(holder), before, 'nothing has changed')
  t.strictSame(
    (await service.mailTo(stranger, 0)).filter(({ text }) => text.includes(holder.email)),
    [],
    'nobody else is written to'
  )
})

t.test('MFA-6: what the step itself tells is how, and never a secret', async t => {
  const { holder, visitor, page } = await halfSignedIn()
  for (const method of ['passkey', 'totp', 'recovery_code', 'mail', 'nonsense']) {
    const { text } = await visitor.visit(`${page.url.split('?')[0]}?method=${method}`)
    for (const secret of [holder.secret, holder.password, ...holder.recoveryCodes]) t.notMatch(text, secret)
  }
})

t.test('MFA-6: having asked for everything else, the person can still take the step', async t => {
  const { holder, visitor, page } = await halfSignedIn()
  for (const path of ['/account/security', '/reset-password', '/']) await visitor.visit(`${issuer}${path}`)
  const form = await visitor.visit(`${page.url}?method=totp`)
  const next = await visitor.submit(form, 'totp-form', { code: nextCode(service, holder) })
  t.equal(stepOf(next), 'consent')
})

t.test('MFA-6: giving up leaves nothing behind', async t => {
  const { holder, visitor, page } = await halfSignedIn()
  const { location } = await visitor.submit(page, 'cancel-form')
  t.match(location, 'error=access_denied')
  t.equal((await visitor.visit(page.url)).status, 400, 'it is over')
  t.equal((await pool`select from sessions where account_id = ${holder.account.id}`).length, 0)
})
