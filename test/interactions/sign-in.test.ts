// Signing in with a password, from outside: exactness, bounds, and what a refusal tells.
import t from 'tap'
import { createApplication, newcomer } from '../helpers/application.ts'
import {
  comparable,
  faultOf,
  openSignIn,
  postRaw,
  signUpAndWait,
  statementsOf,
  typedIn
} from '../helpers/forms.ts'
import { forgetGuesses } from '../helpers/guessing.ts'
import { password, startService } from '../helpers/service.ts'

const service = await startService(t)
const application = await createApplication(service)

async function attempt(email: string, secret: string) {
  const { visitor, page } = await openSignIn(service, { application })
  await forgetGuesses(service.pool)
  service.statements.length = 0
  const answer = await visitor.post(page, 'sign-in-form', { email, password: secret })
  const statements = statementsOf(service)
  return { answer, statements, next: await visitor.follow(answer) }
}
const opens = async (email: string, secret: string) => (await attempt(email, secret)).answer.status === 303

t.test(
  'PWD-7: unknown, wrong, disabled and without a password are one answer by the same statements',
  async t => {
    for (const email of ['known@example.org', 'disabled@example.org', 'passwordless@example.org'])
      await newcomer(service, application, { email })
    await service.pool`update accounts set disabled_at = now() where email_key = 'disabled@example.org'`
    await service.pool`delete from password_credentials where account_id =
    (select id from accounts where email_key = 'passwordless@example.org')`
    await signUpAndWait(service, { email: 'unconfirmed@example.org' }, { application })

    const observe = async (email: string, secret: string) => {
      const { answer, statements } = await attempt(email, secret)
      return { answer: comparable(answer, [email]), statements }
    }
    const unknown = await observe('unknown@example.org', password)
    t.match(unknown, { answer: { status: 422, cookies: [/^application;/], body: /do not go together/ } })
    t.ok(unknown.statements.length > 1)
    for (const [email, secret] of [
      ['known@example.org', `${password}!`],
      ['KNOWN@example.org', `${password}!`],
      ['disabled@example.org', password],
      ['disabled@example.org', `${password}!`],
      ['passwordless@example.org', password],
      ['unconfirmed@example.org', `${password}!`]
    ] as const)
      t.strictSame(await observe(email, secret), unknown, email)
  }
)

t.test('PWD-7: each of them costs one hash: the time is that of the hash', async t => {
  // Enough memory that a hash is most of the answer; fewer samples than a benchmark, so a wider bound.
  const slow = await startService(t, { environment: { ARGON2_MEMORY_KIB: '65536', ARGON2_ITERATIONS: '3' } })
  const shop = await createApplication(slow)
  await newcomer(slow, shop, { email: 'known@example.org' })
  const { visitor, page } = await openSignIn(slow, { application: shop })
  const timeOf = async (email: string) => {
    await forgetGuesses(slow.pool)
    const startedAt = performance.now()
    await visitor.post(page, 'sign-in-form', { email, password: `${password}!` })
    return performance.now() - startedAt
  }
  const times = { known: [] as number[], unknown: [] as number[] }
  // As many as an account allows in a burst.
  for (let round = 0; round < 5; round++) {
    times.known.push(await timeOf('known@example.org'))
    times.unknown.push(await timeOf('unknown@example.org'))
  }
  const best = (values: number[]) => Math.min(...values)
  t.ok(best(times.unknown) > 30, `${best(times.unknown)} ms: a hash was made`)
  const ratio = best(times.unknown) / best(times.known)
  t.ok(ratio > 0.7 && ratio < 1.4, `unknown / known = ${ratio.toFixed(2)}`)
})

t.test('PWD-2: a password is compared whole, to its last byte, as it was typed', async t => {
  const stem = 'é'.repeat(60)
  const exact = `  Leading, trailing ${stem}X `
  const { visitor, page } = await signUpAndWait(
    service,
    { email: 'exact@example.org', password: exact },
    { application }
  )
  const [mail] = await service.mailTo('exact@example.org')
  await visitor.submit(page, 'verify-form', { code: /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? '' })

  t.equal(await opens('exact@example.org', exact), true)
  t.equal(await opens('exact@example.org', exact.normalize('NFD')), true, 'another encoding of the same text')
  for (const [what, other] of [
    ['last byte', `${exact.slice(0, -2)}Y `],
    ['trimmed', exact.trim()],
    ['trailing space', exact.trimEnd()],
    ['leading space', exact.trimStart()],
    ['case', exact.toLowerCase()],
    ['first 72 bytes', exact.slice(0, 45)],
    ['without accents', exact.replaceAll('é', 'e')],
    ['one more', `${exact}!`],
    ['NUL', `${exact}\u0000`]
  ] as const)
    t.equal(await opens('exact@example.org', other), false, what)
})

t.test('PWD-3: a megabyte is refused before it is read, and 60 KB before they are hashed', async t => {
  const { visitor, page } = await openSignIn(service, { application })
  for (const [length, status] of [
    [1_000_000, 413],
    [60_000, 422]
  ] as const) {
    const times: number[] = []
    for (let round = 0; round < 4; round++) {
      await forgetGuesses(service.pool)
      const startedAt = performance.now()
      const answer = await visitor.post(page, 'sign-in-form', {
        email: 'known@example.org',
        password: 'x'.repeat(length)
      })
      times.push(performance.now() - startedAt)
      t.equal(answer.status, status)
    }
    t.ok(Math.min(...times) < 50, `${length}: ${Math.min(...times)} ms`)
  }
  t.equal(await opens('known@example.org', 'x'.repeat(257)), false)
})

t.test(
  'every fault of the form is told at once by its field, the address is kept, the password never is',
  async t => {
    const { visitor, page } = await openSignIn(service, { application })
    const empty = await visitor.post(page, 'sign-in-form', {})
    t.equal(empty.status, 422)
    for (const field of ['email', 'password']) t.ok(faultOf(empty, field), field)
    const answer = await visitor.post(page, 'sign-in-form', {
      email: 'no address"',
      password: 'my secret is out'
    })
    t.ok(faultOf(answer, 'email'))
    t.equal(typedIn(answer, 'email'), 'no address&quot;')
    t.notMatch(answer.text, 'my secret')
    const wrong = await visitor.post(page, 'sign-in-form', {
      email: 'known@example.org',
      password: 'wrong one here'
    })
    t.equal(typedIn(wrong, 'email'), 'known@example.org')
    t.notMatch(wrong.text, 'wrong one here')
    t.match(wrong.text, 'role="alert"')
  }
)

t.test('fields that come twice, nested or under dangerous names do not confuse the form', async t => {
  // The guesses of the tests before are another matter.
  await service.pool`delete from guess_budgets`
  const { visitor, page } = await openSignIn(service, { application })
  const secret = encodeURIComponent(password)
  for (const body of [
    `email=known%40example.org&password=${secret}&password=${secret}`,
    `email=known%40example.org&email=known%40example.org&password=${secret}`,
    `email=known%40example.org&password[]=${secret}`,
    `email=known%40example.org&password[toString]=x`,
    `__proto__[password]=${secret}&__proto__=x&constructor.prototype.email=x&email=known%40example.org`,
    `email=known%40example.org&_csrf=x&_csrf=y&password=${secret}`
  ]) {
    await forgetGuesses(service.pool)
    const answer = await postRaw(visitor, page, { form: 'sign-in-form', body })
    t.match(String(answer.status), /^(422|403)$/, body)
  }
  t.equal(({} as { password?: unknown }).password, undefined)
  t.match(await attempt('known@example.org', password), { answer: { status: 303 } }, 'and all goes on')
})

t.test('a person who is signed in and is asked again types nothing into the page of another', async t => {
  const { visitor } = await newcomer(service, application, { email: 'twice@example.org' })
  const asked = await openSignIn(service, { application, visitor, params: { prompt: 'login' } })
  t.match(asked.page.text, 'sign-in-form')
  t.equal(typedIn(asked.page, 'email'), 'twice@example.org')
  const hinted = await openSignIn(service, { application, params: { login_hint: 'hint@example.org' } })
  t.equal(typedIn(hinted.page, 'email'), 'hint@example.org')
})
