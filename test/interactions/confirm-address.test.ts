// The mail's link and code: what proves an address, and what must not.
import t from 'tap'
import { agree, createApplication } from '../helpers/application.ts'
import { faultOf, lastConfirmation, openSignIn, signUpAndWait } from '../helpers/forms.ts'
import { password, startService } from '../helpers/service.ts'
import { Visitor } from '../helpers/visitor.ts'

const service = await startService(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '50' } })
const application = await createApplication(service)

const isVerified = async (email: string) => {
  const [row] = await service.pool<{ verified: boolean }[]>`
    select email_verified_at is not null as verified from accounts where email_key = ${email}`
  return row?.verified ?? false
}
const unverify = async (email: string) =>
  void (await service.pool`update accounts set email_verified_at = null where email_key = ${email}`)

t.test('REG-4: scanners may open the link as often as they like; the person’s button works once', async t => {
  const person = await signUpAndWait(service, { email: 'scanned@example.org' }, { application })
  const { link } = await lastConfirmation(service, 'scanned@example.org')
  for (let i = 0; i < 3; i++) {
    const scanner = new Visitor()
    t.equal((await scanner.request(link)).status, 200)
    t.equal((await scanner.request(link, { method: 'HEAD' })).status, 200)
  }
  t.equal(await isVerified('scanned@example.org'), false)
  const [state] =
    await service.pool`select code_attempts_left from account_email_tokens where email_key = 'scanned@example.org'`
  t.strictSame(state, { codeAttemptsLeft: 5 })

  const page = await person.visitor.visit(link)
  const answers = await Promise.all([1, 2].map(() => person.visitor.post(page, 'verify-form')))
  t.strictSame(answers.map(({ status }) => status).sort(), [303, 410])
  t.equal(await isVerified('scanned@example.org'), true)
  const onward = answers.find(({ status }) => status === 303)
  if (onward === undefined) return
  const end = await agree(person.visitor, await person.visitor.follow(onward))
  t.match((await person.finish(end.location)).claims(), { iss: service.issuer })
  t.match((await person.visitor.post(page, 'verify-form')).text, 'This link is not good any more')
})

t.test('a posted link without our form’s own token confirms nothing', async t => {
  await signUpAndWait(service, { email: 'forged@example.org' }, { application })
  const { link } = await lastConfirmation(service, 'forged@example.org')
  const stranger = new Visitor()
  t.equal((await stranger.request(link, { method: 'POST' })).status, 403)
  const page = await stranger.visit(link)
  const { visitor } = await openSignIn(service, { application })
  t.equal(
    (await visitor.post({ ...page, url: link }, 'verify-form')).status,
    403,
    'nor with another browser’s'
  )
  t.equal(await isVerified('forged@example.org'), false)
})

t.test('REG-3: a link is 256 random bits, lasts a day, and one character off is none', async t => {
  await signUpAndWait(service, { email: 'bits@example.org' }, { application })
  const { link } = await lastConfirmation(service, 'bits@example.org')
  const token = /verify-email\/([\w-]+)/.exec(link)?.[1] ?? ''
  t.equal(Buffer.from(token, 'base64url').length, 32)
  for (const other of [
    `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}`,
    token.toLowerCase(),
    token.slice(0, -1),
    `${token}A`,
    `${token}%20`,
    '%00',
    'null'
  ])
    t.equal((await new Visitor().request(link.replace(token, other))).status, 410, other)
  service.advance(86_399)
  t.equal((await new Visitor().request(link)).status, 200)
  service.advance(2)
  const late = await new Visitor().request(link)
  t.equal(late.status, 410)
  t.match(late.text, 'This link is too old')
})

t.test(
  'REG-3: a link is for the address it was mailed to: after that has changed it proves nothing',
  async t => {
    await signUpAndWait(service, { email: 'before@example.org' }, { application })
    const { link } = await lastConfirmation(service, 'before@example.org')
    await service.pool`
    update accounts set email = 'after@example.org', email_key = 'after@example.org' where email_key = 'before@example.org'`
    const visitor = new Visitor()
    const answer = await visitor.submit(await visitor.visit(link), 'verify-form')
    t.equal(answer.status, 410)
    t.equal(await isVerified('after@example.org'), false)
  }
)

t.test('REG-3: of a link and a code of one account, used at the same moment, one wins', async t => {
  const { visitor, page } = await signUpAndWait(service, { email: 'both@example.org' }, { application })
  const { link, code } = await lastConfirmation(service, 'both@example.org')
  const other = new Visitor()
  const linkPage = await other.visit(link)
  const answers = await Promise.all([
    visitor.post(page, 'verify-form', { code }),
    other.post(linkPage, 'verify-form')
  ])
  t.strictSame(
    answers.map(({ status }) => status === 303).sort(),
    [false, true],
    answers.map(({ status }) => status).join()
  )
})

t.test(
  'REG-3: five wrong codes are five, however many are sent at once; then the right one is refused too',
  async t => {
    const { visitor, page } = await signUpAndWait(service, { email: 'guessed@example.org' }, { application })
    const { code } = await lastConfirmation(service, 'guessed@example.org')
    const wrong = Array.from({ length: 20 }, (_, i) =>
      String((Number(code) + i + 1) % 1_000_000).padStart(6, '0')
    )
    const answers = await Promise.all(wrong.map(guess => visitor.post(page, 'verify-form', { code: guess })))
    t.ok(answers.every(({ status }) => status === 422 || status === 429))
    t.equal(answers.filter(answer => /not the code/.test(faultOf(answer, 'code') ?? '')).length, 4)
    t.match(faultOf(await visitor.post(page, 'verify-form', { code }), 'code'), /too many wrong tries/)
    service.advance(16)
    const right = await visitor.post(page, 'verify-form', { code })
    t.equal(right.status, 422)
    t.match(faultOf(right, 'code'), /too often/)
    service.advance(31)
    const resent = await visitor.submit(right, 'resend-form')
    t.equal(resent.status, 200)
    const fresh = await lastConfirmation(service, 'guessed@example.org', 2)
    t.match((await visitor.submit(resent, 'verify-form', { code: fresh.code })).text, 'consent-form')
  }
)

t.test(
  'a code is for the sign-in that it was mailed for: in another browser it is worth nothing',
  async t => {
    await signUpAndWait(service, { email: 'bound@example.org' }, { application })
    const { code } = await lastConfirmation(service, 'bound@example.org')
    const other = await signUpAndWait(service, { email: 'bound@example.org' }, { application })
    t.equal((await other.visitor.post(other.page, 'verify-form', { code })).status, 422)
    t.equal(await isVerified('bound@example.org'), false)
  }
)

t.test('codes as people and their mail programs write them are read; other shapes are refused', async t => {
  const { visitor, page } = await signUpAndWait(service, { email: 'digits@example.org' }, { application })
  const { code } = await lastConfirmation(service, 'digits@example.org')
  const missing = await visitor.post(page, 'verify-form', { code: '' })
  t.equal(missing.status, 422)
  t.match(faultOf(missing, 'code'), /six digits/)
  const fullWidth = [...code].map(digit => String.fromCodePoint(0xff10 + Number(digit))).join('')
  for (const shape of [fullWidth, `${code}0`, '1'.repeat(60_000)])
    t.equal((await visitor.post(page, 'verify-form', { code: shape })).status, 422, shape.slice(0, 10))
  const typed = ` ${code.slice(0, 3)}-${code.slice(3)} `
  t.match((await visitor.submit(page, 'verify-form', { code: typed })).text, 'consent-form')
})

t.test('the link goes on in the browser that began, and says where to go on in any other', async t => {
  const here = await signUpAndWait(service, { email: 'here@example.org' }, { application })
  const { link } = await lastConfirmation(service, 'here@example.org')
  const next = await here.visitor.submit(await here.visitor.visit(link), 'verify-form')
  t.match(next.text, 'consent-form')

  const begun = await signUpAndWait(service, { email: 'elsewhere@example.org' }, { application })
  const phone = new Visitor()
  const mailed = await lastConfirmation(service, 'elsewhere@example.org')
  const answer = await phone.submit(await phone.visit(mailed.link), 'verify-form')
  t.match(answer.text, 'Go on where you began')
  t.equal(phone.cookie('session'), undefined, 'and nobody is signed in there')
  t.match(
    (await begun.visitor.visit(begun.page.url)).text,
    'consent-form',
    'a reload of the first browser goes on'
  )
})

t.test('a link whose sign-in is over still confirms, and the account can sign in', async t => {
  await signUpAndWait(service, { email: 'slow@example.org' }, { application })
  const { link } = await lastConfirmation(service, 'slow@example.org')
  service.advance(3700)
  const visitor = new Visitor()
  const answer = await visitor.submit(await visitor.visit(link), 'verify-form')
  t.equal(answer.status, 200)
  t.equal(await isVerified('slow@example.org'), true)
  const again = await openSignIn(service, { application, visitor })
  const next = await visitor.submit(again.page, 'sign-in-form', { email: 'slow@example.org', password })
  t.match(next.text, 'consent-form')
})

t.test('a link with somebody else’s sign-in written into it leads nowhere but home', async t => {
  await signUpAndWait(service, { email: 'honest@example.org' }, { application })
  const { link } = await lastConfirmation(service, 'honest@example.org')
  const eve = await openSignIn(service, { application })
  const uid = /interaction\/([\w-]+)/.exec(eve.page.url)?.[1] ?? ''
  const url = new URL(link)
  url.searchParams.set('interaction', uid)
  const visitor = new Visitor()
  const answer = await visitor.submit(await visitor.visit(url.href), 'verify-form')
  t.equal(answer.status, 200)
  t.match(answer.text, 'Address confirmed')
  t.match((await eve.visitor.visit(eve.page.url)).text, 'sign-in-form', 'and nobody’s sign-in went on')
  t.notMatch(answer.text, uid)
})

t.test('a confirmation of an account that is disabled meanwhile opens nothing', async t => {
  const { visitor, page } = await signUpAndWait(service, { email: 'disabled@example.org' }, { application })
  const { code } = await lastConfirmation(service, 'disabled@example.org')
  await unverify('disabled@example.org')
  await service.pool`update accounts set disabled_at = now() where email_key = 'disabled@example.org'`
  const answer = await visitor.post(page, 'verify-form', { code })
  t.equal(answer.status, 422)
})
