// PWD-4: the lookup of breached passwords tells nobody the password, and its outages stop nobody.
import { hash } from 'node:crypto'
import fastify from 'fastify'
import t, { type Test } from 'tap'
import type { Context } from '../../src/context.ts'
import { isBreached } from '../../src/credentials/pwned-passwords-service.ts'
import { signUp } from '../../src/credentials/sign-up-service.ts'
import { type Behaviour, startBreachList } from '../helpers/breach-list.ts'
import { type Clock, createClock, createConfig, createContext } from '../helpers/context.ts'

const breached = 'tidy otter plays cello'
const unknown = 'quiet river lantern moss'
const digest = hash('sha1', breached).toUpperCase()
const suffix = digest.slice(5)

const newList = (t: Test, lines: string[] = [`${suffix}:3`]) => startBreachList(t, () => lines)

/** A context for this service alone, which keeps what is logged. */
function createLookup(url: string): Context & { clock: Clock; logged: string[] } {
  const logged: string[] = []
  const clock = createClock()
  const { log } = fastify({
    logger: { level: 'trace', stream: { write: (line: string) => logged.push(line) } }
  })
  const config = createConfig({ PWNED_PASSWORDS_URL: url })
  return { config, now: clock.now, log, clock, logged } as unknown as ReturnType<typeof createLookup>
}

t.test('PWD-4: a breached password is found by five characters of its hash', async t => {
  const list = await newList(t)
  const ctx = createLookup(list.url)
  t.ok(await isBreached(ctx, breached))
  t.notOk(await isBreached(ctx, unknown))
  const range = (password: string) => hash('sha1', password).toUpperCase().slice(0, 5)
  t.strictSame(list.asked, [
    { path: `/range/${range(breached)}`, padding: 'true' },
    { path: `/range/${range(unknown)}`, padding: 'true' }
  ])
  t.strictSame(ctx.logged, [])
})

t.test('lines of padding, other hashes and an empty range are no findings', async t => {
  for (const lines of [
    [`${suffix}:0`],
    [`${suffix.slice(0, -1)}${suffix.endsWith('0') ? '1' : '0'}:7`],
    []
  ]) {
    const list = await newList(t, lines)
    t.notOk(await isBreached(createLookup(list.url), breached), lines.join())
  }
  const lowerCase = await newList(t, [`${suffix.toLowerCase()}:1`])
  t.ok(await isBreached(createLookup(lowerCase.url), breached), 'copies in lower case are read')
})

t.test('without the setting nothing is asked', async t => {
  t.notOk(await isBreached(createLookup(''), breached))
})

const reasons: Record<Exclude<Behaviour, 'answers'>, RegExp> = {
  hangs: /TimeoutError/,
  trickles: /TimeoutError/,
  fails: /status 500/,
  garbage: /not a range/,
  huge: /too large/,
  redirects: /TypeError/
}

for (const [behaviour, reason] of Object.entries(reasons) as [Behaviour, RegExp][])
  t.test(`PWD-4: a list that ${behaviour} lets the password through, with one line in the log`, async t => {
    const list = await newList(t)
    list.behave(behaviour)
    const ctx = createLookup(list.url)
    const startedAt = performance.now()
    t.notOk(await isBreached(ctx, breached))
    t.ok(performance.now() - startedAt < 1500, 'within a second')
    t.equal(list.asked.length, 1, 'one request, no redirect followed')
    t.equal(ctx.logged.length, 1)
    const [line = ''] = ctx.logged
    t.match(JSON.parse(line), { level: 40, reason })
    t.notMatch(line, new RegExp(`${digest.slice(0, 5)}|${suffix}|otter`, 'i'), 'nothing of the password')
  })

t.test('PWD-4: where nobody listens the password is let through, too', async t => {
  const list = await newList(t)
  await list.close()
  const ctx = createLookup(list.url)
  t.notOk(await isBreached(ctx, breached))
  t.match(ctx.logged, [/"reason":"TypeError ECONNREFUSED"/])
})

t.test(
  'PWD-4: after three failures in a row nothing is asked for a minute; then one try decides',
  async t => {
    const list = await newList(t)
    const ctx = createLookup(list.url)
    list.behave('fails')
    await isBreached(ctx, breached)
    await isBreached(ctx, breached)
    list.behave('answers')
    t.ok(await isBreached(ctx, breached), 'two failures are no outage')
    list.behave('fails')
    for (let n = 0; n < 5; n++) t.notOk(await isBreached(ctx, breached))
    t.equal(list.asked.length, 6, 'the fourth and fifth were not asked')
    t.equal(ctx.logged.length, 5)

    list.behave('answers')
    ctx.clock.advance(59_999)
    t.notOk(await isBreached(ctx, breached))
    t.equal(list.asked.length, 6)
    ctx.clock.advance(1)
    list.behave('fails')
    const together = await Promise.all(Array.from({ length: 10 }, () => isBreached(ctx, breached)))
    t.strictSame(new Set(together), new Set([false]))
    t.equal(list.asked.length, 7, 'one of ten tried')
    ctx.clock.advance(60_000)
    list.behave('answers')
    t.ok(await isBreached(ctx, breached), 'it is back')
    t.ok(await isBreached(ctx, breached))
    t.equal(list.asked.length, 9)
  }
)

t.test('PWD-4: who signs up with a breached password is told; an outage stops nobody', async t => {
  const list = await newList(t)
  const ctx = await createContext(t, { environment: { PWNED_PASSWORDS_URL: list.url } })
  const typed = { email: 'ada@example.org', name: 'Ada', interactionUid: 'i1' }
  t.strictSame(await signUp(ctx, { ...typed, password: breached }), {
    ok: false,
    faults: { password: 'breached' }
  })
  t.equal((await ctx.sql`select from accounts`).length, 0)
  await signUp(ctx, { ...typed, password: 'passwordpassword' })
  t.equal(list.asked.length, 1, 'what the list here knows is not asked')
  list.behave('fails')
  t.match(await signUp(ctx, { ...typed, password: breached }), { ok: true })
})
