// Proof of work: for whom, for what, how much, how long and how often it counts.
import t from 'tap'
import {
  checkWork,
  createChallenge,
  type WorkScope,
  zeroBits
} from '../../src/credentials/proof-of-work-model.ts'
import { askForWork, proofOfWorkRetention, spendWork } from '../../src/credentials/proof-of-work-service.ts'
import { removeExpired } from '../../src/jobs/retention-service.ts'
import { createContext } from '../helpers/context.ts'
import { solve } from '../helpers/guessing.ts'

const key = Buffer.alloc(32, 7)
const now = new Date('2026-11-21T12:00:00Z')
const scope: WorkScope = { purpose: 'guess', network: '203.0.113.1' }
/** A few bits are enough to be told from none. */
const challengeOf = (bits = 12) => createChallenge(key, scope, { bits, now })
const check = (proof: { challenge: unknown; solution: unknown }, over: Partial<WorkScope> = {}, at = now) =>
  checkWork(key, { ...scope, ...over }, { ...proof, now: at }) !== null

t.test('work counts where it was asked for, for five minutes', async t => {
  const proof = solve(challengeOf())
  t.equal(check(proof), true)
  t.equal(check(proof, {}, new Date(now.getTime() + 299_999)), true)
  t.equal(check(proof, {}, new Date(now.getTime() + 300_000)), false, 'expired')
  t.equal(check(proof, { network: '203.0.113.2' }), false, 'another network')
  t.equal(check(proof, { purpose: 'sign_up' }), false, 'another form')
  t.equal(checkWork(Buffer.alloc(32, 8), scope, { ...proof, now }), null, 'another installation')
})

t.test('less work than was asked for does not count', async t => {
  const challenge = challengeOf()
  const stamp = challenge.split('.')[3] ?? ''
  let almost = 0
  while (zeroBits(stamp, String(almost)) !== 11) almost++
  t.equal(check({ challenge, solution: String(almost) }), false)
  const { solution } = solve(challenge)
  t.equal(
    check({ challenge: challenge.replace(/^12/, '01'), solution }),
    false,
    'nor for fewer bits by oneself'
  )
})

t.test('one character off, in the challenge or the solution, is none', async t => {
  const { challenge, solution } = solve(challengeOf())
  for (let at = 0; at < challenge.length; at++) {
    const other = challenge[at] === 'A' ? 'B' : challenge[at] === '1' ? '2' : 'A'
    const changed = `${challenge.slice(0, at)}${other}${challenge.slice(at + 1)}`
    t.equal(check({ challenge: changed, solution }), false, `character ${at}`)
  }
  // The last character holds two bits that say nothing: each spelling would be another proof.
  const spelled = challenge.replace(/.$/, last => String.fromCharCode(last.charCodeAt(0) + 1))
  t.equal(check({ challenge: spelled, solution }), false)
  for (const wrong of [
    `${solution}0`,
    `0${solution}`,
    ` ${solution}`,
    `-${solution}`,
    '',
    '1e3',
    '9'.repeat(40)
  ])
    t.equal(check({ challenge, solution: wrong }), false, wrong)
  for (const wrong of [
    undefined,
    null,
    7,
    [],
    {},
    '',
    '.'.repeat(100_000),
    `${challenge}.`,
    `x${challenge}`
  ]) {
    t.equal(check({ challenge: wrong, solution }), false)
    t.equal(check({ challenge, solution: wrong }), false)
  }
})

t.test('work is asked for from a network that is over its allowance, and more where it goes on', async t => {
  const ctx = await createContext(t)
  const bits = [1, 2, 4, 5, 100].map(excess => askForWork(ctx, scope, excess).split('.')[0])
  t.strictSame(bits, ['17', '18', '19', '19', '19'])
})

t.test('of twenty forms at once with one proof a single one passes', async t => {
  const ctx = await createContext(t)
  const proof = solve(askForWork(ctx, scope, 1))
  const spent = await Promise.all(Array.from({ length: 20 }, () => spendWork(ctx, scope, proof)))
  t.equal(spent.filter(Boolean).length, 1)
  t.equal(await spendWork(ctx, scope, proof), false, 'and none after it')
  t.equal(await spendWork(ctx, scope, undefined), false)

  ctx.clock.advance(300_001)
  await removeExpired(ctx, [proofOfWorkRetention])
  t.equal((await ctx.pool`select from spent_proofs_of_work`).length, 0)
  t.equal(await spendWork(ctx, scope, proof), false, 'forgotten when it is too old to count')
})
