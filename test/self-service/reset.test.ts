// Somebody forgot their password: the mail, its link and its code, and the way back to where they were.
import t from 'tap'
import { faultOf, lastConfirmation, openSignIn, signUpAndWait, typedIn } from '../helpers/forms.ts'
import {
  askForReset,
  createPerson,
  lastReset,
  newPassword,
  resetByLink,
  startWithApplication
} from '../helpers/resets.ts'
import { password, Visitor } from '../helpers/service.ts'

const { service, application, letsIn } = await startWithApplication(t, {
  environment: { MAILS_PER_RECIPIENT_PER_HOUR: '50' }
})

t.test('who forgot the password gets a mail, sets another one, and goes on where they were', async t => {
  const email = 'ada@example.org'
  await createPerson(service, { email })
  const { visitor, page, finish } = await openSignIn(service, { application })
  const link = /id="to-reset-password" href="([^"]+)"/.exec(page.text)?.[1] ?? ''
  const form = await visitor.visit(new URL(link, page.url).href)
  t.match(form.text, /id="back" href="\/interaction\/[\w-]+"/)
  const waiting = await visitor.submit(form, 'reset-request-form', { email })
  t.match(waiting.text, email)
  const mailed = await lastReset(service, email)
  const done = await visitor.follow(await resetByLink(mailed.link, newPassword, visitor))
  t.match(done.text, 'Your password is changed')
  t.equal(visitor.cookie('session'), undefined, 'nobody is signed in by it')
  const back = /id="back" href="([^"]+)"/.exec(done.text)?.[1] ?? ''
  t.equal(new URL(back, page.url).pathname, new URL(page.url).pathname.replace('/sign-in', ''))
  const signIn = await visitor.visit(new URL(back, page.url).href)
  t.equal((await visitor.post(signIn, 'sign-in-form', { email, password })).status, 422)
  const consent = await visitor.submit(signIn, 'sign-in-form', { email, password: newPassword })
  const end = await visitor.submit(consent, 'consent-form', { decision: 'allow' })
  t.match((await finish(end.location)).claims(), { iss: service.issuer })
})

t.test('the code of the mail does as well, in the browser that asked', async t => {
  const email = 'code@example.org'
  await createPerson(service, { email })
  const { visitor, page } = await askForReset(service, 'CODE@example.org')
  const { code } = await lastReset(service, email)
  const typed = ` ${code.slice(0, 3)}-${code.slice(3)} `
  const done = await visitor.submit(page, 'reset-code-form', { code: typed, password: newPassword })
  t.match(done.text, 'Your password is changed')
  t.equal(visitor.cookie('reset'), undefined, 'and the browser forgets what it asked for')
  t.strictSame([await letsIn(email, password), await letsIn(email, newPassword)], [false, true])
})

t.test('a link opened elsewhere works as well, and leads nowhere that this browser has not been', async t => {
  const email = 'phone@example.org'
  await createPerson(service, { email })
  await askForReset(service, email)
  const phone = new Visitor()
  const page = await phone.visit((await lastReset(service, email)).link)
  t.match(page.text, email, 'it says whose password it is')
  const done = await phone.submit(page, 'reset-form', { password: newPassword })
  t.match(done.text, 'Go back to the application')
  t.equal(await letsIn(email, newPassword), true)
})

t.test('every fault of the forms is told by its field; the address is kept, a password never', async t => {
  const visitor = new Visitor()
  const form = await visitor.visit(`${service.issuer}/reset-password`)
  for (const [typed, told] of [
    ['', /Enter your email/],
    ['ines.moreau', /like name@/],
    [`${'a'.repeat(300)}@example.org`, /too long/]
  ] as const) {
    const answer = await visitor.post(form, 'reset-request-form', { email: typed })
    t.equal(answer.status, 422)
    t.match(faultOf(answer, 'email'), told)
    t.equal(typedIn(answer, 'email'), typed)
  }
  const email = 'faults@example.org'
  await createPerson(service, { email })
  const { visitor: asker, page } = await askForReset(service, email)
  const both = await asker.post(page, 'reset-code-form', { password: 'too short' })
  t.equal(both.status, 422)
  t.match(faultOf(both, 'code'), /six digits/)
  t.match(faultOf(both, 'password'), /too short/)
  t.notMatch(both.text, 'value="too short"')
  const { link, code } = await lastReset(service, email)
  for (const [typed, told] of [
    ['', /Choose a password/],
    ['x'.repeat(14), /too short/],
    ['x'.repeat(257), /too long/]
  ] as const) {
    const answer = await resetByLink(link, typed)
    t.equal(answer.status, 422)
    t.match(faultOf(answer, 'password'), told)
  }
  for (let i = 0; i < 6; i++)
    t.match(
      faultOf(await asker.post(page, 'reset-code-form', { code: '000000', password: 'short' }), 'code'),
      undefined,
      'a password that may not be set costs no try'
    )
  t.equal((await asker.post(page, 'reset-code-form', { code, password: newPassword })).status, 303)
})

t.test('a new mail can be asked for: its code counts, the one before no longer does', async t => {
  const email = 'again@example.org'
  await createPerson(service, { email })
  const { visitor, page } = await askForReset(service, email)
  const first = await lastReset(service, email)
  const resent = await visitor.submit(page, 'resend-form')
  t.match(resent.text, 'a new mail is on its way')
  const second = await lastReset(service, email, 2)
  t.not(first.token, second.token)
  const old = await visitor.post(resent, 'reset-code-form', { code: first.code, password: newPassword })
  t.equal(old.status, first.code === second.code ? 303 : 422)
  t.equal((await resetByLink(first.link)).status, 410)
  t.equal((await resetByLink(second.link)).status, 303)
})

t.test('RST-3: link and code last an hour, and what came too late leads on', async t => {
  const email = 'late@example.org'
  await createPerson(service, { email })
  const { visitor, page } = await askForReset(service, email)
  const { link, code } = await lastReset(service, email)
  service.advance(3599)
  t.equal((await new Visitor().visit(link)).status, 200)
  const open = await new Visitor().visit(link)
  service.advance(2)
  const late = await new Visitor().visit(link)
  t.equal(late.status, 410)
  t.match(late.text, 'This link is too old')
  t.match(late.text, /id="to-reset-password" href="\/reset-password"/)
  const reader = new Visitor()
  const form = await reader.visit(`${service.issuer}/reset-password`)
  const forged = { ...form, text: form.text.replace(/<form[^>]*>/, `<form id="x" action="${open.url}">`) }
  t.equal((await reader.post(forged, 'x', { password: newPassword })).status, 410)
  t.equal((await visitor.post(page, 'reset-code-form', { code, password: newPassword })).status, 422)
  t.strictSame([await letsIn(email, password), await letsIn(email, newPassword)], [true, false])
})

t.test('an account without a password gets one; its passkeys stay', async t => {
  const email = 'passkey@example.org'
  const id = await createPerson(service, { email, passwordless: true })
  await service.pool`
    insert into webauthn_credentials (id, account_id, credential_id, public_key, sign_count, aaguid, name,
      backup_eligible, backed_up, user_verified, created_at)
    values (${id}, ${id}, '\\x01', '\\x02', 0, ${id}, 'Laptop', true, true, true, now())`
  await askForReset(service, email)
  await resetByLink((await lastReset(service, email)).link)
  const { visitor, page } = await openSignIn(service, { application })
  const next = await visitor.submit(page, 'sign-in-form', { email, password: newPassword })
  t.match(new URL(next.url).pathname, /\/second-factor$/, 'and are asked for now')
  t.equal((await service.pool`select from webauthn_credentials where account_id = ${id}`).length, 1)
})

t.test('who resets an address that a stranger signed up with has an account of their own', async t => {
  const email = 'victim@example.org'
  const eve = await signUpAndWait(service, { email, name: 'Eve', password }, { application })
  const eves = await lastConfirmation(service, email)
  await askForReset(service, email)
  await resetByLink((await lastReset(service, email)).link)
  const [account] = await service.pool`
    select name, email_verified_at is not null as verified from accounts where email_key = ${email}`
  t.strictSame(account, { name: 'victim', verified: true }, 'what the stranger typed is gone')
  t.strictSame([await letsIn(email, password), await letsIn(email, newPassword)], [false, true])
  t.equal((await new Visitor().visit(eves.link)).status, 410)
  t.equal((await eve.visitor.post(eve.page, 'verify-form', { code: eves.code })).status, 422)
  t.notMatch((await eve.visitor.visit(eve.page.url)).text, 'consent-form')
})

t.test('password managers find the way to change a password', async t => {
  const answer = await new Visitor().request(`${service.issuer}/.well-known/change-password`)
  t.match(answer, { status: 303, location: `${service.issuer}/account/security` })
})

t.test('the pages of a reset that nobody asked for here lead to its beginning', async t => {
  const visitor = new Visitor()
  const page = await visitor.visit(`${service.issuer}/reset-password/sent`)
  t.match(page.text, 'reset-request-form')
  for (const value of ['x', 'a.b', `${'a'.repeat(43)}`, `${'a'.repeat(43)}.${'a'.repeat(900)}`]) {
    visitor.cookies.set('reset|/', { value, path: '/' })
    t.match((await visitor.visit(`${service.issuer}/reset-password/sent`)).text, 'reset-request-form')
  }
  visitor.cookies.set('reset_origin|/', { value: '//evil.example', path: '/' })
  for (const path of [
    '/reset-password',
    '/reset-password/done',
    '/reset-password?interaction=//evil.example'
  ])
    t.notMatch((await visitor.visit(`${service.issuer}${path}`)).text, 'evil.example')
})
