// Signing up, from outside: what a stranger can learn, break or use against others.
import t from 'tap'
import { createApplication, newcomer } from '../helpers/application.ts'
import {
  comparable,
  faultOf,
  lastConfirmation,
  openSignIn,
  openSignUp,
  postRaw,
  signUpAndWait,
  statementsOf,
  typedIn
} from '../helpers/forms.ts'
import { password, startService } from '../helpers/service.ts'
import { Visitor } from '../helpers/visitor.ts'

const service = await startService(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '3' } })
const application = await createApplication(service)

const accountsLike = async (pattern: string) =>
  await service.pool<{ email: string; emailKey: string; name: string }[]>`
    select email, email_key, name from accounts where email_key like ${pattern}`

t.test('REG-1: a taken, an unconfirmed and a new address get one answer, by the same statements', async t => {
  await newcomer(service, application, { email: 'taken@example.org' })
  await signUpAndWait(service, { email: 'unconfirmed@example.org' })

  const observe = async (email: string) => {
    const { visitor, page } = await openSignUp(service)
    service.statements.length = 0
    const answer = await visitor.post(page, 'sign-up-form', { email, name: 'Eve', password })
    const statements = statementsOf(service)
    const next = await visitor.follow(answer)
    return {
      answer: comparable(answer, [email]),
      next: comparable(next, [email]),
      wrong: comparable(await visitor.post(next, 'verify-form', { code: '000000' }), [email]),
      resent: comparable(await visitor.post(next, 'resend-form'), [email]),
      signIn: comparable(await visitor.visit(page.url.replace('sign-up', 'sign-in')), [email]),
      statements
    }
  }
  const fresh = await observe('fresh@example.org')
  t.match(fresh.answer, { status: 303 })
  t.match(fresh.next, { status: 200, body: /six digits/ })
  t.ok(fresh.statements.length >= 5, `${fresh.statements.length} statements`)
  for (const email of ['taken@example.org', 'unconfirmed@example.org', 'another@example.org'])
    t.strictSame(await observe(email), fresh, email)
})

t.test(
  'REG-1: the owner of a taken address gets mail, at the address as stored, that has no link or code',
  async t => {
    await newcomer(service, application, { email: 'Owner@example.org' })
    await signUpAndWait(service, { email: 'oWNER@example.org', name: 'Eve' })
    const mails = await service.mailTo('Owner@example.org', 2)
    t.match(mails[0], { subject: /^You already have/ })
    t.notMatch(mails[0]?.text, /Eve|verify-email|\b\d{6}\b/)
  }
)

t.test(
  'REG-1: a stranger who is signed in sees the address as they typed it, not as its owner wrote it',
  async t => {
    await newcomer(service, application, { email: 'Mixed.Case@example.org' })
    const { visitor } = await newcomer(service, application, { email: 'eve@example.org' })
    const options = { application, visitor, params: { prompt: 'login' } }
    const { page } = await signUpAndWait(service, { email: 'mixed.case@example.org' }, options)
    t.notMatch(page.text, 'Mixed.Case')
    for (const step of ['sign-in', 'sign-up', 'verify-email'])
      t.notMatch((await visitor.visit(page.url.replace('verify-email', step))).text, 'Mixed.Case', step)
  }
)

t.test('REG-2: without the proof of the address there is no way on, and no field makes one', async t => {
  const { visitor, page } = await openSignUp(service, { application })
  const extra =
    'email_verified=true&emailVerifiedAt=2020-01-01&verified_at=1&email_verified_at=1&role=admin&id=1'
  const answer = await postRaw(visitor, page, {
    form: 'sign-up-form',
    body: `email=unproven%40example.org&name=U&password=${encodeURIComponent(password)}&${extra}`
  })
  t.match(answer.location, /\/verify-email$/)
  const base = page.url.replace('/sign-up', '')
  for (const step of ['', '/consent', '/verify-email', '?confirmed']) {
    const next = await visitor.visit(`${base}${step}`)
    t.match(next.url, /\/verify-email$/, `${step} leads to the proof`)
    t.match(next.text, 'verify-form')
  }
  const waiting = await visitor.visit(base)
  const consent = await visitor.request(`${base}/consent`, {
    method: 'POST',
    body: new URLSearchParams({
      _csrf: /name="_csrf" value="([^"]+)"/.exec(waiting.text)?.[1] ?? '',
      decision: 'allow'
    })
  })
  t.match(consent.location, /\/verify-email$/)

  const again = await openSignIn(service, { application })
  const asked = await again.visitor.submit(again.page, 'sign-in-form', {
    email: 'unproven@example.org',
    password
  })
  t.match(asked.url, /\/verify-email$/, 'the right password leads to the proof, too')
  t.strictSame(
    [
      ...(await service.pool`select email_verified_at, disabled_at from accounts where email_key = 'unproven@example.org'`)
    ],
    [{ emailVerifiedAt: null, disabledAt: null }]
  )
})

t.test('REG-5: spellings of one address are one account, and mail goes where the account says', async t => {
  await signUpAndWait(service, { email: 'Grace@example.org' })
  for (const email of ['grace@EXAMPLE.org', ' GRACE@example.org ', 'grace@example.ORG']) {
    const { page } = await signUpAndWait(service, { email })
    t.match(page.url, /verify-email/, email)
  }
  t.strictSame(
    (await accountsLike('%grace%')).map(({ email }) => email),
    ['Grace@example.org']
  )
  t.equal((await service.mailTo('Grace@example.org', 3)).length, 3)
})

const refusedAddresses = [
  'gr\u0000ace@example.org',
  'grace@example.org.',
  'grace@example.org\u0000',
  '＠example.org',
  'grace＠example.org',
  'grace@ｅxample.org',
  '\u212Aelvin@example.org',
  'dotless\u0131@example.org',
  'DOTTED\u0130@example.org',
  `${'a'.repeat(310)}@example.org`,
  'grace@localhost',
  'grace@[127.0.0.1]',
  '"grace hopper"@example.org'
]

t.test('REG-5: what only looks like an address is refused, and nobody is written to', async t => {
  const before = await service.pool`select count(*)::int as mails from mail_outbox`
  for (const email of refusedAddresses) {
    const { visitor, page } = await openSignUp(service, { application })
    const answer = await visitor.submit(page, 'sign-up-form', { email, name: 'Grace', password })
    t.equal(answer.status, 422, JSON.stringify(email))
    t.ok(faultOf(answer, 'email'), JSON.stringify(email))
  }
  t.strictSame([...(await service.pool`select count(*)::int as mails from mail_outbox`)], [...before])
})

t.test('REG-6: one address a request: lists, arrays and names around it are refused', async t => {
  const before = await service.pool`select count(*)::int as mails from mail_outbox`
  for (const body of [
    'email[]=v%40example.org&email[]=a%40example.org',
    'email=v%40example.org&email=a%40example.org',
    'email[0]=v%40example.org',
    'email[address]=v%40example.org',
    'email=v%40example.org%2Ca%40example.org',
    'email=v%40example.org%3Ba%40example.org',
    'email=v%40example.org%20a%40example.org',
    'email=v%40example.org%0d%0aBcc%3a%20a%40example.org',
    'email=v%40example.org%0aa%40example.org',
    'email=V%20%3Cv%40example.org%3E',
    'email=%3Cv%40example.org%3E',
    'email=v%40example.org(comment)',
    'email=v%40example.org%00a%40example.org',
    'email=%5B%22v%40example.org%22%2C%22a%40example.org%22%5D'
  ]) {
    const { visitor, page } = await openSignUp(service, { application })
    const rest = `name=V&password=${encodeURIComponent(password)}`
    const answer = await postRaw(visitor, page, { form: 'sign-up-form', body: `${body}&${rest}` })
    t.equal(answer.status, 422, body)
    t.ok(faultOf(answer, 'email'), body)
  }
  t.strictSame([...(await service.pool`select count(*)::int as mails from mail_outbox`)], [...before])
})

t.test('REG-7: fifty sign-ups at one address at once make one account and at most three mails', async t => {
  const browsers = await Promise.all(Array.from({ length: 50 }, () => openSignUp(service, { application })))
  const answers = await Promise.all(
    browsers.map(({ visitor, page }) =>
      visitor.post(page, 'sign-up-form', { email: 'race@example.org', name: 'R', password })
    )
  )
  t.strictSame(
    new Set(answers.map(({ status, location }) => `${status} ${/[^/]+$/.exec(location ?? '')}`)),
    new Set(['303 verify-email'])
  )
  t.equal((await accountsLike('race@example.org')).length, 1)
  const [counts] = await service.pool`
    select count(*) filter (where send_before > created_at)::int as sent from mail_outbox
    where created_at > now() - interval '1 minute' and recipient_hash = sha256('race@example.org')`
  t.strictSame(counts, { sent: 3 })
})

t.test('REG-8: a hundred resends write three mails, and every page after says where to look', async t => {
  const { visitor, page } = await signUpAndWait(service, { email: 'bombed@example.org' }, { application })
  const notices = new Set<string>()
  for (let i = 0; i < 100; i++) {
    const answer = await visitor.submit(page, 'resend-form')
    t.equal(answer.status, 200)
    notices.add(/role="status">([^<]{10})/.exec(answer.text)?.[1] ?? 'none')
  }
  t.strictSame(notices, new Set(['A new mail', 'Several ma']))
  const [counts] = await service.pool`
    select count(*) filter (where send_before > created_at)::int as sent from mail_outbox
    where recipient_hash = sha256('bombed@example.org')`
  t.strictSame(counts, { sent: 3 })
  const { code } = await lastConfirmation(service, 'bombed@example.org', 3)
  const next = await visitor.submit(page, 'verify-form', { code })
  t.match(next.text, 'consent-form', 'the newest mail that was sent is still good')
})

t.test(
  'every fault of the form is told at once by its field, what was typed is kept, the password never is',
  async t => {
    const { visitor, page } = await openSignUp(service, { application })
    const typed = { email: 'not an address', name: 'A\u202Eb', password: 'short secret' }
    const answer = await visitor.submit(page, 'sign-up-form', typed)
    t.equal(answer.status, 422)
    for (const field of ['email', 'name', 'password']) t.ok(faultOf(answer, field), field)
    t.equal(typedIn(answer, 'email'), typed.email)
    t.equal(typedIn(answer, 'name'), typed.name)
    t.equal(typedIn(answer, 'password'), '')
    t.notMatch(answer.text, 'short secret')

    const empty = await visitor.submit(page, 'sign-up-form', {})
    t.equal(empty.status, 422)
    for (const field of ['email', 'name', 'password']) t.ok(faultOf(empty, field), field)
    const fixed = await visitor.submit(answer, 'sign-up-form', {
      email: 'fixed@example.org',
      name: 'F',
      password
    })
    t.match(fixed.url, /verify-email$/, 'the page with the faults is good to go on with')
  }
)

t.test('PWD-1: fifteen characters of anything that is not plain will do, and 256 too', async t => {
  const prose =
    'Seven grey herons, 3 of them asleep, waited for the ferry to Ærø; nobody had told them. '.repeat(3)
  const signs = [...'🦉🐢🌵🎻🚲🍋🪁🧭🎈🔑🍄🦊🧵🛶🌋']
  const table: [string, number][] = [
    ['fourteen chars', 422],
    ['fifteen letters', 303],
    ['aaaaaaaaaaaaaaa', 422],
    [' '.repeat(15), 422],
    [' tidy   otters ', 303],
    ['пятнадцать букв', 303],
    [signs.slice(1).join(''), 422],
    [signs.join(''), 303],
    [prose.slice(0, 64), 303],
    [prose.slice(0, 256), 303],
    [prose.slice(0, 257), 422],
    [[...signs.join('').repeat(18)].slice(0, 256).join(''), 303],
    ['éàèùâêîôûëïüÿçœ', 303]
  ]
  for (const [index, [secret, status]] of table.entries()) {
    const { visitor, page } = await openSignUp(service, { application })
    const answer = await visitor.post(page, 'sign-up-form', {
      email: `length${index}@example.org`,
      name: 'L',
      password: secret
    })
    t.equal(answer.status, status, `${[...secret].length} × ${[...secret].slice(0, 15).join('')}`)
    if (status === 422) t.ok(faultOf(answer, 'password'))
  }
})

t.test('PWD-5: what is stored is argon2id with a salt of its own', async t => {
  const rows = await service.pool<{ passwordHash: string }[]>`select password_hash from password_credentials`
  t.ok(rows.length > 5)
  const salts = rows.map(({ passwordHash }) => {
    t.match(passwordHash, /^\$argon2id\$v=19\$m=7168,t=1,p=1\$[\w+/]{22}\$[\w+/]{43}$/)
    return passwordHash.split('$')[4]
  })
  t.equal(new Set(salts).size, rows.length)
})

t.test('a visitor without the cookies of the sign-in is led back to the application', async t => {
  const { page } = await openSignUp(service, { application })
  const answer = await new Visitor().visit(page.url)
  t.equal(answer.status, 400)
  t.match(answer.text, 'This sign-in has ended')
})
