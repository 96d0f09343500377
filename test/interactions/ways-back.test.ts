// The back button, two tabs, an old page, a reloaded form: each lands where the person can go on.
import t, { type Test } from 'tap'
import { agree, createApplication, newcomer } from '../helpers/application.ts'
import { lastConfirmation, openSignIn, openSignUp, signUpAndWait } from '../helpers/forms.ts'
import { password, startService } from '../helpers/service.ts'
import { type Answer, Visitor } from '../helpers/visitor.ts'

const service = await startService(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '20' } })
const application = await createApplication(service)
const home = 'href="http://localhost:'

/** A page is no dead end if it has a form or a link to go on with. */
function leadsOn(t: Test, page: Answer, what: string): void {
  t.ok(page.status < 500, `${what}: ${page.status}`)
  t.match(page.text, /<form|<a [^>]*href=/, `${what}: a way to go on`)
}

t.test('back to an earlier page of the same sign-in, and on again', async t => {
  const { visitor, page, finish } = await signUpAndWait(
    service,
    { email: 'back@example.org' },
    { application }
  )
  const base = page.url.replace('/verify-email', '')
  const form = await visitor.visit(`${base}/sign-up`)
  t.match(form.text, 'sign-up-form', 'the address may be corrected')
  const waiting = await visitor.submit(form, 'sign-up-form', {
    email: 'back2@example.org',
    name: 'B',
    password
  })
  t.match(waiting.text, 'back2@example.org')
  const { code } = await lastConfirmation(service, 'back2@example.org')
  const consent = await visitor.submit(waiting, 'verify-form', { code })
  t.match(consent.text, 'consent-form')
  for (const step of ['/sign-in', '/sign-up', '/verify-email', ''])
    t.match((await visitor.visit(`${base}${step}`)).url, /\/consent$/, `back to ${step}: on to consent`)
  for (const [old, id, fields] of [
    [form, 'sign-up-form', { email: 'other@example.org', name: 'O', password }],
    [waiting, 'verify-form', { code }],
    [waiting, 'resend-form', {}]
  ] as const)
    t.match((await visitor.submit(old, id, fields)).url, /\/consent$/, `${id} sent again: on to consent`)
  t.match((await finish((await agree(visitor, consent)).location)).claims(), { aud: 'demo-web' })
})

t.test('a form that is reloaded when the sign-in is over leads back to the application', async t => {
  const { visitor, page, finish } = await signUpAndWait(
    service,
    { email: 'reload@example.org' },
    { application }
  )
  const { code } = await lastConfirmation(service, 'reload@example.org')
  const consent = await visitor.submit(page, 'verify-form', { code })
  const end = await visitor.submit(consent, 'consent-form', { decision: 'allow' })
  await finish(end.location)
  const base = page.url.replace('/verify-email', '')
  for (const step of ['', '/sign-in', '/sign-up', '/verify-email', '/consent', '?start', '?confirmed']) {
    const answer = await visitor.visit(`${base}${step}`)
    leadsOn(t, answer, `GET ${step}`)
    t.match(answer.text, home, step)
  }
  for (const [old, id, fields] of [
    [page, 'verify-form', { code }],
    [page, 'resend-form', {}],
    [consent, 'consent-form', { decision: 'allow' }],
    [consent, 'consent-form', { decision: 'deny' }]
  ] as const) {
    const answer = await visitor.submit(old, id, fields)
    t.equal(answer.status, 400, id)
    t.match(answer.text, 'This sign-in has ended')
    t.match(answer.text, home)
  }
})

t.test('the protocol’s own addresses, reloaded when the sign-in is over, say what to do', async t => {
  const visitor = new Visitor()
  const { url } = await application.begin()
  const started = await visitor.request(url)
  const uid = /interaction\/([\w-]+)/.exec(started.location ?? '')?.[1] ?? ''
  for (const path of [
    `/auth/${uid}`,
    '/auth/never-there',
    '/interaction/never-there',
    '/interaction/never-there/sign-in'
  ]) {
    const answer = await visitor.visit(`${service.issuer}${path}`)
    t.equal(answer.status, path === `/auth/${uid}` ? answer.status : 400, path)
    t.match(answer.text, /sign-in-form|This sign-in has ended/, path)
  }
})

t.test('two tabs with one sign-in: the first to end ends it, the second says so and leads back', async t => {
  const { tokens: _, email } = await newcomer(service, application, { email: 'tabs@example.org' })
  const first = await openSignIn(service, { application })
  const second = await first.visitor.visit(first.page.url)
  const consent = await first.visitor.submit(first.page, 'sign-in-form', { email, password })
  t.match((await first.visitor.submit(second, 'sign-in-form', { email, password })).url, /\/consent$/)
  await first.finish((await agree(first.visitor, consent)).location)
  const late = await first.visitor.submit(second, 'sign-in-form', { email, password })
  t.equal(late.status, 400)
  leadsOn(t, late, 'the second tab')
  t.match(late.text, home)
})

t.test('two tabs with a sign-in each: both end well, in either order', async t => {
  const { email } = await newcomer(service, application, { email: 'each@example.org' })
  const visitor = new Visitor()
  const one = await openSignIn(service, { application, visitor })
  const two = await openSignIn(service, { application, visitor })
  const consents = [
    await visitor.submit(two.page, 'sign-in-form', { email, password }),
    await visitor.submit(one.page, 'sign-in-form', { email, password })
  ] as const
  t.match((await two.finish((await agree(visitor, consents[0])).location)).claims()?.aud, 'demo-web')
  const end = await agree(visitor, consents[1])
  if (end.location === null) leadsOn(t, end, 'the other tab')
  else t.match((await one.finish(end.location)).claims()?.aud, 'demo-web')
})

t.test('a page that stayed open for too long says so and leads back to the application', async t => {
  const { email } = await newcomer(service, application, { email: 'late@example.org' })
  const { visitor, page } = await openSignIn(service, { application })
  const signUp = await openSignUp(service, { application, visitor })
  const waiting = await signUpAndWait(service, { email: 'late2@example.org' }, { application, visitor })
  service.advance(3601)
  for (const [old, id, fields] of [
    [page, 'sign-in-form', { email, password }],
    [page, 'cancel-form', {}],
    [signUp.page, 'sign-up-form', { email: 'late3@example.org', name: 'L', password }],
    [waiting.page, 'verify-form', { code: '123456' }],
    [waiting.page, 'resend-form', {}]
  ] as const) {
    const answer = await visitor.submit(old, id, fields)
    t.equal(answer.status, 400, id)
    t.match(answer.text, 'This sign-in has ended')
    t.match(answer.text, home, id)
    t.notMatch(answer.text, password)
  }
  const again = await openSignIn(service, { application, visitor })
  t.match((await visitor.submit(again.page, 'sign-in-form', { email, password })).text, 'consent-form')
})

t.test('whoever gives up is back at the application, which is told so', async t => {
  for (const [open, id] of [
    [openSignIn, 'cancel-form'],
    [(service: Parameters<typeof openSignIn>[0]) => openSignIn(service, { application }), 'cancel-form']
  ] as const) {
    const { visitor, page } = await open(service, { application })
    const end = await visitor.submit(page, id)
    t.match(end.location, /^http:\/\/localhost:\d+\/callback\?error=access_denied/)
    t.match(end.location, /[?&]state=/)
    t.match(end.location, /[?&]iss=/)
  }
})

t.test('cookies that are garbled count as none', async t => {
  const { visitor, page } = await openSignIn(service, { application })
  const good = [...visitor.cookies].map(([key, { value }]) => `${key.split('|')[0]}=${value}`).join('; ')
  for (const garbage of [
    '%E0%A4%A=%E0%A4%A',
    '=;;;=;a',
    'csrf=%00; interaction=%FF%FE',
    'session=undefined; session.sig=null',
    'session=a; session=b; csrf=c; csrf=d',
    `application=${'x'.repeat(3000)}`,
    'application=__proto__',
    'application=%00; csrf="quoted',
    '__proto__=x; constructor=y'
  ]) {
    const alone = await fetch(page.url, { headers: { accept: 'text/html', cookie: garbage } })
    t.equal(alone.status, 400, garbage)
    t.match(await alone.text(), 'This sign-in has ended')
    const start = await fetch((await application.begin()).url, {
      redirect: 'manual',
      headers: { accept: 'text/html', cookie: garbage }
    })
    t.equal(start.status, 303, `a sign-in begins with ${garbage}`)
    if (/csrf|interaction|session/.test(garbage)) continue
    const beside = await fetch(page.url, { headers: { accept: 'text/html', cookie: `${garbage}; ${good}` } })
    t.equal(beside.status, 200, `beside good ones: ${garbage}`)
  }
})
