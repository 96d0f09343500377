import { monitorEventLoopDelay } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { hashPassword, verifyPassword } from '../../src/credentials/hashing.ts'
import { createHashingQueue, HashingBusy } from '../../src/credentials/hashing-queue.ts'
import { createConfig } from '../helpers/context.ts'

t.test('as many run at a time as there are slots, first come first served', async t => {
  const queue = createHashingQueue({ slots: 2, maxWaitMs: 10_000 })
  let running = 0
  let most = 0
  const order: number[] = []
  await Promise.all(
    Array.from({ length: 10 }, (_, n) =>
      queue.run(1, async () => {
        order.push(n)
        most = Math.max(most, ++running)
        await sleep(5)
        running--
      })
    )
  )
  t.equal(most, 2)
  t.strictSame(order, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
  t.equal(queue.waiting(), 0)
})

t.test('PWD-6: a place that is kept counts, so that who comes too late has cost nothing else', async t => {
  const queue = createHashingQueue({ slots: 2, maxWaitMs: 2000 })
  const leave = Array.from({ length: 10 }, () => queue.join(500))
  t.throws(() => queue.join(500), HashingBusy)
  leave[0]?.()
  leave[0]?.()
  const again = queue.join(500)
  t.throws(() => queue.join(500), HashingBusy, 'a place is given up once')
  for (const give of [...leave, again]) give()
  const gate = Promise.withResolvers<void>()
  const running = Array.from({ length: 10 }, () => queue.run(500, () => gate.promise))
  t.throws(() => queue.join(500), HashingBusy, 'who is hashing or waiting counts, too')
  gate.resolve()
  await Promise.all(running)
  queue.join(500)()
})

t.test(
  'PWD-6: who would wait for longer than allowed is told when to come back, and nothing is hashed',
  async t => {
    const queue = createHashingQueue({ slots: 2, maxWaitMs: 2000 })
    const gate = Promise.withResolvers<void>()
    let started = 0
    const run = () =>
      queue.run(500, async () => {
        started++
        await gate.promise
      })
    const accepted = Array.from({ length: 10 }, run)
    await t.rejects(run(), HashingBusy)
    const busy: unknown = await run().catch((error: unknown) => error)
    t.match(busy, { retryAfterSeconds: 3 }, '9 × 500 ms / 2')
    t.equal(started, 2)
    t.equal(queue.waiting(), 8)
    gate.resolve()
    await Promise.all(accepted)
    t.equal(started, 10, 'those who were let in are served')
  }
)

t.test('the wait is judged by how long hashes take now', async t => {
  const queue = createHashingQueue({ slots: 1, maxWaitMs: 200 })
  for (let n = 0; n < 30; n++) await queue.run(1000, async () => {})
  const gate = Promise.withResolvers<void>()
  const accepted = [1, 2, 3].map(() => queue.run(1000, () => gate.promise))
  t.equal(queue.waiting(), 2, 'thought to take a second, measured to take none')
  gate.resolve()
  await Promise.all(accepted)
})

t.test('a hash that fails gives its slot back', async t => {
  const queue = createHashingQueue({ slots: 1, maxWaitMs: 1000 })
  await t.rejects(
    queue.run(1, () => Promise.reject(new Error('no memory'))),
    /no memory/
  )
  t.equal(await queue.run(1, async () => 'done'), 'done')
})

t.test('PWD-6: hashing leaves the event loop free, and sheds what is too much', async t => {
  const config = createConfig({ ARGON2_MEMORY_KIB: '19456', ARGON2_ITERATIONS: '2' })
  const phc = await hashPassword(config, 'correct horse battery staple')
  const delay = monitorEventLoopDelay({ resolution: 5 })
  delay.enable()
  const outcomes = await Promise.allSettled(
    Array.from({ length: 1000 }, () => verifyPassword(config, phc, 'correct horse battery staple'))
  )
  delay.disable()
  const shed = outcomes.filter(outcome => outcome.status === 'rejected')
  t.ok(shed.length > 0 && shed.length < 990, `${shed.length} of 1000 were sent away`)
  t.ok(shed.every(({ reason }) => reason instanceof HashingBusy))
  t.ok(
    delay.percentile(90) < 100e6,
    `90 % of turns waited less than ${(delay.percentile(90) / 1e6).toFixed(1)} ms`
  )
})
