// Guesses at an account are paid for before they are looked at: by the account, by a known browser, by the network.
import t, { type Test } from 'tap'
import { listEventsOfAccount } from '../../src/audit/repository.ts'
import { giveBack, guessHandlers, guessRetention, takeGuess } from '../../src/credentials/guess-service.ts'
import { signIn } from '../../src/credentials/service.ts'
import { signUp } from '../../src/credentials/sign-up-service.ts'
import { runBatch } from '../../src/db/batch.ts'
import { connect } from '../../src/db/connect.ts'
import { removeExpired } from '../../src/jobs/retention-service.ts'
import { createToken } from '../../src/lib/tokens.ts'
import { noteDevice } from '../../src/sessions/device-service.ts'
import { createContext, type TestContext } from '../helpers/context.ts'
import { countOf, forgetGuesses, guessOf, requestedBy, solve, tryOf } from '../helpers/guessing.ts'
import { goodPassword, listQueuedMails, verifiedAccount } from '../helpers/people.ts'
import { waitFor } from '../helpers/wait.ts'

const ada = 'ada@example.org'
const plenty = { FAILURES_PER_NETWORK_PER_HOUR: '100000', SIGN_UPS_PER_NETWORK_PER_HOUR: '100000' }
const service = await createContext(t, { environment: plenty })
await verifiedAccount(service)
await verifiedAccount(service, { email: 'bob@example.org' })
const stranger = requestedBy(service, {})
t.beforeEach(async () => await forgetGuesses(service.pool))

const times = (count: number) => Array.from({ length: count }, (_, index) => index)

/** A browser that somebody has completed a sign-in to this account with. */
async function knownBrowser(ctx: TestContext, accountId: string, ip = '198.51.100.7'): Promise<TestContext> {
  const { writes, outcome } = noteDevice(requestedBy(ctx, { ip }), { accountId })
  await runBatch(ctx.pool, writes)
  return requestedBy(ctx, { ip, deviceToken: outcome().token })
}

/** Fails until the account has to wait, and answers with how often it was looked at. */
async function exhaust(ctx: TestContext, emailKey = ada): Promise<number> {
  for (let looked = 0; ; looked++) if ((await tryOf(ctx, emailKey)) !== 'looked_at') return looked
}

t.test(
  'PWD-8: of sixty wrong passwords at once at most ten are looked at, then the right one waits too',
  async t => {
    const wrong = await Promise.all(
      times(60).map(() => signIn(stranger, { email: ada, password: 'not the right password' }))
    )
    const looked = wrong.filter(outcome => !outcome.ok && outcome.reason === 'wrong_credentials')
    t.equal(looked.length, 6)
    const [events] = await service.pool`
      select count(*)::int from audit_events where type = 'sign_in.failed'`
    t.equal(events?.count, 6)
    t.match(await signIn(stranger, { email: ada, password: goodPassword }), {
      ok: false,
      reason: 'too_many',
      retryAfterSeconds: 15
    })
    service.clock.advance(15_000)
    t.match(await signIn(stranger, { email: ada, password: goodPassword }), { ok: true })
  }
)

t.test('PWD-8: two nodes count together', async t => {
  const other = connect({ url: service.url, poolSize: 10 })
  t.teardown(() => other.end({ timeout: 1 }))
  const outcomes = await Promise.all(
    times(60).map(index => tryOf(index % 2 === 0 ? stranger : { ...stranger, sql: other }, ada))
  )
  t.equal(countOf(outcomes, 'looked_at'), 6)
})

t.test('PWD-12: the wait grows with each failure, and nothing that is refused makes it longer', async t => {
  t.equal(await exhaust(stranger), 6)
  for (const seconds of [15, 30, 60, 120, 240, 480, 900, 900, 900]) {
    const refused = await takeGuess(stranger, { emailKey: ada })
    t.match(refused, { reason: 'too_many', retryAfterSeconds: seconds })
    service.clock.advance(seconds * 1000 - 1)
    t.strictSame(new Set(await Promise.all(times(10).map(() => tryOf(stranger, ada)))), new Set(['too_many']))
    service.clock.advance(1)
    const outcomes = await Promise.all(times(10).map(() => tryOf(stranger, ada)))
    t.equal(countOf(outcomes, 'looked_at'), 1, `one after ${seconds} seconds`)
  }
})

t.test('failures fade: one each hour, whoever signs in meanwhile', async t => {
  await exhaust(stranger)
  for (const _ of times(6)) {
    service.clock.advance(1_800_000)
    t.equal(await tryOf(stranger, ada, { right: true }), 'looked_at')
  }
  t.equal(await exhaust(stranger), 3)
  service.clock.advance(86_400_000)
  t.equal(await exhaust(stranger), 6)
})

t.test('PWD-9: every spelling of an address and every way that checks a secret count together', async t => {
  for (const email of ['ADA@example.org', 'ada@EXAMPLE.org', ' Ada@Example.Org '])
    t.match(await signIn(stranger, { email, password: 'not the right password' }), {
      reason: 'wrong_credentials'
    })
  t.equal(await exhaust(stranger), 3)
  t.match(await signIn(stranger, { email: 'ADA@example.org', password: goodPassword }), {
    reason: 'too_many'
  })
})

t.test('PWD-10: nothing that a caller can vary makes another account or network of it', async t => {
  const dressed = times(30).map(index =>
    requestedBy(service, {
      id: `r${index}`,
      ip: `2001:db8:0:1:${index.toString(16)}::1`,
      userAgent: `browser ${index}`,
      deviceToken: createToken()
    })
  )
  t.equal(countOf(await Promise.all(dressed.map(ctx => tryOf(ctx, ada))), 'looked_at'), 6)
  await forgetGuesses(service.pool)
  const few = { ...service, config: { ...service.config, failuresPerNetworkPerHour: 10 } }
  const outcomes = await Promise.all(
    dressed.map((ctx, index) => tryOf(requestedBy(few, ctx.request ?? {}), `nobody${index}@example.org`))
  )
  t.equal(countOf(outcomes, 'looked_at'), 10)
  t.equal(
    await tryOf(requestedBy(few, { ip: '2001:db8:0:2::1' }), ada),
    'looked_at',
    'the next /64 is another'
  )
  t.equal(await tryOf(requestedBy(few, { ip: '::ffff:203.0.113.9' }), ada), 'looked_at')
})

t.test('PWD-11: nobody locks the owner out of a browser that they have signed in with', async t => {
  const account = await verifiedAccount(service, { email: 'grace@example.org' })
  const home = await knownBrowser(service, account.id)
  await exhaust(stranger, account.emailKey)
  t.match(await signIn(stranger, { email: account.email, password: goodPassword }), { reason: 'too_many' })
  t.match(await signIn(home, { email: account.email, password: goodPassword }), { ok: true })

  const copied = requestedBy(service, { deviceToken: home.request?.deviceToken ?? '' })
  t.equal(await tryOf(copied, 'bob@example.org'), 'looked_at')
  t.equal(await exhaust(stranger, 'bob@example.org'), 5, 'known to one account it is a stranger to others')
  const almost = `${(home.request?.deviceToken ?? '').slice(0, -1)}${home.request?.deviceToken?.endsWith('A') ? 'E' : 'A'}`
  t.equal(await tryOf(requestedBy(service, { deviceToken: almost }), account.emailKey), 'too_many')

  await forgetGuesses(service.pool)
  t.equal(await exhaust(home, account.emailKey), 6, 'and is bounded itself')
  t.equal(await tryOf(stranger, account.emailKey), 'looked_at')
})

t.test('PWD-11: a network that tried too often does not stop a known browser in it', async t => {
  const few = { ...service, config: { ...service.config, failuresPerNetworkPerHour: 3 } }
  const account = await verifiedAccount(service, { email: 'cafe@example.org' })
  const home = await knownBrowser(few, account.id, '203.0.113.1')
  for (const index of times(5)) await tryOf(requestedBy(few, {}), `nobody${index}@example.org`)
  t.equal(await tryOf(requestedBy(few, {}), account.emailKey), 'work_needed')
  t.equal(await tryOf(home, account.emailKey), 'looked_at')
})

t.test(
  'PWD-12, MFA-3: 200 right passwords with a wrong code each: at most ten codes are looked at',
  async t => {
    let codes = 0
    for (const _ of times(200)) {
      if ((await tryOf(stranger, ada, { right: true })) !== 'looked_at') continue
      if ((await tryOf(stranger, ada)) === 'looked_at') codes++
    }
    t.equal(codes, 6)
  }
)

t.test('PWD-12: a right secret takes back its own payment, and no wait that another caused', async t => {
  const owner = await guessOf(stranger, ada)
  t.equal(await exhaust(stranger), 5)
  await giveBack(stranger, owner)
  t.equal(await tryOf(stranger, ada), 'too_many')
  service.clock.advance(15_000)
  const last = await guessOf(stranger, ada)
  t.equal(await tryOf(stranger, ada), 'too_many')
  await giveBack(stranger, last)
  t.equal(await tryOf(stranger, ada), 'looked_at', 'its own wait goes with it')
})

t.test('an owner who knows the password may sign in as often as they like', async t => {
  for (const _ of times(30)) t.equal(await tryOf(stranger, ada, { right: true }), 'looked_at')
})

t.test('PWD-7: an address that nobody has waits alike, by the same statements', async t => {
  await service.pool`update accounts set disabled_at = now() where email_key = 'bob@example.org'`
  const observe = async (emailKey: string) => {
    await forgetGuesses(service.pool)
    service.statements.length = 0
    const outcomes = []
    for (const _ of times(12)) {
      const taken = await takeGuess(stranger, { emailKey })
      outcomes.push(taken.ok ? 'looked_at' : taken)
      service.clock.advance(10_000)
    }
    return { outcomes, statements: [...service.statements] }
  }
  const unknown = await observe('unknown@example.org')
  t.match(unknown.outcomes.at(-1), { retryAfterSeconds: /\d/ })
  for (const emailKey of [ada, 'bob@example.org']) t.strictSame(await observe(emailKey), unknown, emailKey)

  await forgetGuesses(service.pool)
  await exhaust(stranger, 'later@example.org')
  await verifiedAccount(service, { email: 'later@example.org' })
  t.equal(await tryOf(stranger, 'later@example.org'), 'too_many', 'signing up there does not tell it either')
})

t.test('PWD-13: one try each at 300 accounts: a network is stopped at its allowance', async t => {
  const few = { ...service, config: { ...service.config, failuresPerNetworkPerHour: 50 } }
  const network = requestedBy(few, { ip: '192.0.2.5' })
  const outcomes = await Promise.all(times(300).map(index => tryOf(network, `person${index}@example.org`)))
  t.equal(countOf(outcomes, 'looked_at'), 50)
  t.equal(countOf(outcomes, 'work_needed'), 250)
  const [rows] = await service.pool`select count(*)::int from guess_budgets`
  t.equal(rows?.count, 51, 'a guess that is refused is charged to no account')
  t.equal(await tryOf(requestedBy(few, { ip: '192.0.2.6' }), ada), 'looked_at', 'other networks go on')

  const refused = await takeGuess(network, { emailKey: ada })
  if (refused.ok || refused.reason !== 'work_needed') return t.fail('work is needed')
  t.equal(refused.retryAfterSeconds, 5)
  const proofOfWork = solve(refused.challenge)
  t.equal(await tryOf(network, ada, { proofOfWork }), 'looked_at', 'who works goes on')
  t.equal(await tryOf(network, ada, { proofOfWork }), 'work_needed', 'once')
  service.clock.advance(4999)
  t.equal(await tryOf(network, ada), 'work_needed')
  service.clock.advance(1)
  t.equal(
    await tryOf(network, ada),
    'looked_at',
    'and who waits, who was not made to wait longer by the other'
  )
  t.match(await takeGuess(network, { emailKey: ada }), { reason: 'work_needed', retryAfterSeconds: 20 })
})

t.test('a right password is given back to its network too', async t => {
  const few = { ...service, config: { ...service.config, failuresPerNetworkPerHour: 3 } }
  const network = requestedBy(few, { ip: '192.0.2.8' })
  for (const _ of times(10)) t.equal(await tryOf(network, ada, { right: true }), 'looked_at')
})

t.test('REG-8: a network signs up so many people, then each further one costs work', async t => {
  const few = { ...service, config: { ...service.config, signUpsPerNetworkPerHour: 3 } }
  const network = requestedBy(few, { ip: '192.0.2.9' })
  const typed = (name: string) => ({
    email: `${name}@sign-up.example`,
    name,
    password: goodPassword,
    interactionUid: null
  })
  t.match(await signUp(network, { ...typed('short'), password: 'short' }), {
    faults: { password: 'too_short' }
  })
  const outcomes = await Promise.all(times(10).map(index => signUp(network, typed(`new${index}`))))
  t.equal(outcomes.filter(({ ok }) => ok).length, 3, 'what cannot be an account is not counted')
  const refused = outcomes.find(outcome => 'challenge' in outcome)
  if (refused === undefined || !('challenge' in refused)) return t.fail('work is needed')
  const proofOfWork = solve(refused.challenge)
  t.equal(await tryOf(network, ada, { proofOfWork }), 'looked_at', 'signing in is another allowance')
  t.match(await signUp(network, { ...typed('worked'), proofOfWork }), { ok: true })
  t.match(await signUp(network, { ...typed('again'), proofOfWork }), { ok: false, reason: 'work_needed' })
})

t.test('ten failures are told to the owner by mail, and to nobody where there is none', async t => {
  await service.pool`delete from pgboss.job where name = 'guessing-slowed'`
  await service.jobs.work(service, { handlers: guessHandlers, recurring: [], pollSeconds: 60 })
  const owner = await verifiedAccount(service, { email: 'owner@example.org' })
  const guesser = requestedBy(service, { ip: '192.0.2.77', userAgent: 'Firefox/140.0 Windows' })
  const fail = async (t: Test, emailKey: string, count: number) => {
    for (const _ of times(count)) {
      t.equal(await tryOf(guesser, emailKey), 'looked_at')
      service.clock.advance(300_000)
    }
  }
  const eventsOf = async () =>
    (await listEventsOfAccount(service.pool, { accountId: owner.id, before: null, limit: 50 })).filter(
      ({ type }) => type === 'account.guessing_slowed'
    )
  const mails = async () => (await listQueuedMails(service)).filter(({ kind }) => kind === 'many_failures')
  for (const _ of times(5)) await tryOf(guesser, owner.emailKey)
  await fail(t, owner.emailKey, 5)
  t.strictSame(await eventsOf(), [], 'nine or ten may be the owner')
  await tryOf(guesser, owner.emailKey)
  await waitFor(async () => (await eventsOf()).length > 0)
  t.match(await eventsOf(), [{ ip: '192.0.2.77', details: { failures: 10 } }])
  t.match(await mails(), [
    { to: 'owner@example.org', data: { failures: 10, ip: '192.0.2.77', browser: 'Firefox on Windows' } }
  ])
  for (const _ of times(3)) {
    service.clock.advance(900_000)
    t.equal(await tryOf(guesser, owner.emailKey), 'looked_at')
  }
  const jobs = async () => (await service.pool`select from pgboss.job where name = 'guessing-slowed'`).length
  t.equal(await jobs(), 1, 'once for one attack')

  for (const _ of times(5)) await tryOf(guesser, 'nobody@example.org')
  await fail(t, 'nobody@example.org', 5)
  await tryOf(guesser, 'nobody@example.org')
  t.equal(await jobs(), 2, 'the same work')
  await waitFor(
    async () =>
      (
        await service.pool`select from pgboss.job
    where name = 'guessing-slowed' and state <> 'completed'`
      ).length === 0
  )
  t.equal((await mails()).length, 1)
})

t.test('the count tells nothing of whom or from where, and is forgotten in time', async t => {
  await exhaust(requestedBy(service, { ip: '198.51.100.99' }), 'somebody@example.org')
  const dump = JSON.stringify(
    await service.pool`select encode(key_hash, 'escape') as key, * from guess_budgets`
  )
  t.notMatch(dump, /somebody|198\.51/)
  const count = async () => (await service.pool`select from guess_budgets`).length
  t.ok((await count()) > 0)
  service.clock.advance(2 * 86_400_000)
  await removeExpired(service, guessRetention)
  t.ok((await count()) > 0)
  service.clock.advance(86_400_001)
  await removeExpired(service, guessRetention)
  t.equal(await count(), 0)
})
