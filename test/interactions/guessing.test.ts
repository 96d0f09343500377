// What people who guess, and people who are guessed at, see of it: the page, its words, its status and how long to wait.
import t from 'tap'
import { createApplication, newcomer, signInAgain } from '../helpers/application.ts'
import { comparable, openSignIn, openSignUp, signUpAndWait, statementsOf, typedIn } from '../helpers/forms.ts'
import { countOf, forgetGuesses, solve } from '../helpers/guessing.ts'
import { password, startService } from '../helpers/service.ts'
import { type Answer, findForm, pageText } from '../helpers/visitor.ts'

const service = await startService(t)
const application = await createApplication(service)
const wrong = `${password}!`
t.beforeEach(async () => await forgetGuesses(service.pool))

const stranger = await openSignIn(service, { application })

/** A browser that nobody knows posts the form. */
async function attempt(email: string, secret: string) {
  service.statements.length = 0
  const answer = await stranger.visitor.post(stranger.page, 'sign-in-form', { email, password: secret })
  return { answer, statements: statementsOf(service) }
}
const statusOf = async (email: string, secret: string) => (await attempt(email, secret)).answer.status
const sixTimes = async (email: string) => {
  for (let count = 0; count < 6; count++) await attempt(email, wrong)
}
/** The right password, which ends the sign-in that it is typed in. */
async function signInAnew(email: string): Promise<number> {
  const { visitor, page } = await openSignIn(service, { application })
  return (await visitor.post(page, 'sign-in-form', { email, password })).status
}
const alertOf = ({ text }: Answer) => /role="alert">([^<]*)/.exec(text)?.[1] ?? ''
const retryAfter = ({ headers }: Answer) => Number(headers.get('retry-after'))

t.test('PWD-7: who must wait is told so alike for unknown, known, disabled and passwordless', async t => {
  for (const email of ['known@example.org', 'disabled@example.org', 'passwordless@example.org'])
    await newcomer(service, application, { email })
  await service.pool`update accounts set disabled_at = now() where email_key = 'disabled@example.org'`
  await service.pool`delete from password_credentials where account_id =
    (select id from accounts where email_key = 'passwordless@example.org')`
  const observe = async (email: string) => {
    await forgetGuesses(service.pool)
    const seen = []
    for (let count = 0; count < 7; count++) {
      const { answer, statements } = await attempt(email, wrong)
      seen.push({ answer: comparable(answer, [email]), statements })
    }
    return JSON.parse(
      JSON.stringify(seen).replace(/(?<="retry-after":"|Wait )1[345](?="| sec)/g, '…')
    ) as object[]
  }
  const unknown = await observe('unknown@example.org')
  t.match(unknown.at(0), { answer: { status: 422 } })
  t.match(unknown.at(-1), { answer: { status: 429, body: /There were too many wrong tries/ } })
  for (const email of ['known@example.org', 'disabled@example.org', 'passwordless@example.org'])
    t.strictSame(await observe(email), unknown, email)
})

t.test('the wait is told in words and in Retry-After, the address is kept, the password never', async t => {
  await sixTimes('kept@example.org')
  const { answer } = await attempt('kept@example.org', 'my secret is out')
  t.equal(answer.status, 429)
  t.ok(retryAfter(answer) >= 13 && retryAfter(answer) <= 15, `Retry-After: ${retryAfter(answer)}`)
  t.match(alertOf(answer), /Wait 1[345] seconds, then try again/)
  t.equal(typedIn(answer, 'email'), 'kept@example.org')
  t.notMatch(answer.text, 'my secret')
  t.notMatch(answer.text, 'name="challenge"', 'no work leads past an account that has to wait')
})

t.test(
  'PWD-11: the owner signs in from a browser of theirs while strangers guess; then so does anybody',
  async t => {
    const { visitor, email } = await newcomer(service, application, { email: 'owner@example.org' })
    const attack = await Promise.all(Array.from({ length: 30 }, () => statusOf(email, wrong)))
    t.equal(countOf(attack.map(String), '422'), 6)
    t.equal(await statusOf(email, password), 429, 'a stranger with the right password waits')
    const tokens = await signInAgain(application, visitor, { email, params: { prompt: 'login' } })
    t.ok(tokens.access_token)
    t.equal(await statusOf(email, password), 429, 'which opens it to nobody else')
    service.advance(16)
    t.equal(await signInAnew(email), 303)
    t.equal(await signInAnew(email), 303, 'and its wait is gone')
  }
)

t.test('PWD-9: guesses at a code that was mailed count for the account, and its link goes on', async t => {
  const { visitor, page } = await signUpAndWait(service, { email: 'code@example.org' }, { application })
  for (let count = 0; count < 3; count++) await attempt('code@example.org', wrong)
  const answers = []
  for (let count = 0; count < 4; count++)
    answers.push(await visitor.post(page, 'verify-form', { code: 'abcdef' }))
  t.strictSame(
    answers.map(({ status }) => status),
    [422, 422, 422, 429]
  )
  const last = answers.at(-1)
  t.match(
    last && pageText(last.text),
    /too many wrong tries. Wait .* seconds, then try again, or open the link/
  )
  const [mail] = await service.mailTo('code@example.org')
  const code = /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
  t.equal((await visitor.post(page, 'verify-form', { code })).status, 429, 'also the right one')
  const link = mail?.links.find(link => link.includes('/verify-email/')) ?? ''
  const confirm = await visitor.visit(link)
  t.match((await visitor.submit(confirm, 'verify-form')).status, 200)
})

t.test('a right code is given back', async t => {
  const { visitor, page } = await signUpAndWait(service, { email: 'right@example.org' }, { application })
  const [mail] = await service.mailTo('right@example.org')
  const code = /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
  t.equal((await visitor.post(page, 'verify-form', { code })).status, 303)
  const failures = await service.pool`select failures from guess_budgets where failures > 0`
  t.equal(failures.length, 1, "the sign-up's alone")
})

t.test('PWD-13: a network that tried too often goes on by waiting, or by work without waiting', async t => {
  const few = await startService(t, { environment: { FAILURES_PER_NETWORK_PER_HOUR: '5' } })
  const { visitor, page } = await openSignIn(few, { application: await createApplication(few) })
  const tryAt = async (email: string) => await visitor.post(page, 'sign-in-form', { email, password: wrong })
  const answers = []
  for (let index = 0; index < 6; index++) answers.push(await tryAt(`a${index}@example.org`))
  t.strictSame(
    answers.map(({ status }) => status),
    [422, 422, 422, 422, 422, 429]
  )
  for (const seconds of [6, 11]) {
    few.advance(seconds)
    t.equal((await tryAt('patient@example.org')).status, 422, 'who waits needs no work')
  }
  const [, , , , fifth] = answers
  const answer = await tryAt('hasty@example.org')
  if (fifth === undefined) return void t.fail()
  t.match(
    findForm(fifth, 'sign-in-form').fields,
    { challenge: /^17\./ },
    'the next one needs work, and says so'
  )
  t.match(alertOf(answer), /Many tries came from your network.* wait \d+ seconds first/)
  t.ok(retryAfter(answer) >= 10 && retryAfter(answer) <= 20)
  t.match(answer.text, /<script src="\/assets\/proof-of-work\.[0-9a-f]{16}\.js" defer>/)
  t.match(answer.text, 'role="status"')

  const { challenge = '' } = findForm(answer, 'sign-in-form').fields
  const post = async (proof: object) =>
    (await visitor.post(answer, 'sign-in-form', { email: 'b@example.org', password: wrong, ...proof })).status
  const { solution } = solve(challenge)
  t.equal(await post({}), 429, 'a form without the work')
  t.equal(await post({ solution: `${solution}1` }), 429)
  const sent = await Promise.all(Array.from({ length: 10 }, () => post({ solution })))
  t.equal(countOf(sent.map(String), '422'), 1, 'one proof is one try')
  t.equal(await post({ solution }), 429)

  few.advance(61)
  t.equal((await tryAt('c@example.org')).status, 422, 'who waits needs no work')
})

t.test(
  'REG-8: sign-ups of a network, too: what was typed is kept, and nobody is written to meanwhile',
  async t => {
    const few = await startService(t, { environment: { SIGN_UPS_PER_NETWORK_PER_HOUR: '2' } })
    const shop = await createApplication(few)
    const signUp = async (name: string) => {
      const { visitor, page } = await openSignUp(few, { application: shop })
      return {
        visitor,
        answer: await visitor.post(page, 'sign-up-form', { email: `${name}@example.org`, name, password })
      }
    }
    for (const name of ['one', 'two']) t.equal((await signUp(name)).answer.status, 303, name)
    few.advance(6)
    t.equal((await signUp('patient')).answer.status, 303)
    const { visitor, answer } = await signUp('four')
    t.equal(answer.status, 429)
    t.ok(retryAfter(answer) >= 1)
    t.strictSame([typedIn(answer, 'email'), typedIn(answer, 'name')], ['four@example.org', 'four'])
    t.notMatch(answer.text, password)
    t.equal((await few.pool`select from accounts where email_key = 'four@example.org'`).length, 0)
    const { challenge = '' } = findForm(answer, 'sign-up-form').fields
    const worked = { email: 'four@example.org', name: 'four', password, ...solve(challenge) }
    t.equal((await visitor.post(answer, 'sign-up-form', worked)).status, 303)
    t.match(await few.mailTo('four@example.org'), [{ to: 'four@example.org' }])
  }
)

t.test('on two nodes guesses and proofs count together', async t => {
  const pair = await startService(t, { nodes: 2, environment: { FAILURES_PER_NETWORK_PER_HOUR: '20' } })
  const on = { service: pair, application: await createApplication(pair) }
  const { visitor, page } = await openSignIn(pair, { application: on.application })
  const post = async (fields: Record<string, string>, from = page) =>
    await visitor.post(from, 'sign-in-form', { password: wrong, ...fields })
  const statuses = async (count: number, fields: (index: number) => Record<string, string>, from = page) =>
    (await Promise.all(Array.from({ length: count }, (_, index) => post(fields(index), from)))).map(
      ({ status }) => String(status)
    )
  t.equal(countOf(await statuses(60, () => ({ email: 'target@example.org' })), '422'), 6, 'PWD-8')
  t.equal(
    countOf(await statuses(40, index => ({ email: `sprayed${index}@example.org` })), '422'),
    14,
    'PWD-13'
  )
  for (const seconds of [6, 11]) {
    pair.advance(seconds)
    t.equal((await post({ email: 'patient@example.org' })).status, 422)
  }
  const refused = await post({ email: 'x@example.org' })
  t.equal(refused.status, 429)
  const proof = solve(findForm(refused, 'sign-in-form').fields.challenge ?? '')
  const spent = await statuses(20, () => ({ email: 'x@example.org', ...proof }), refused)
  t.equal(countOf(spent, '422'), 1)
})
