import { setImmediate as nextRound } from 'node:timers/promises'
import t from 'tap'
import { takeTurn } from '../../src/http/turns.ts'

t.test('of a crowd, a few go on in each round of the event loop, first come, first served', async t => {
  const order: number[] = []
  const crowd = Array.from({ length: 50 }, async (_, number) => {
    await takeTurn()
    order.push(number)
  })
  let rounds = 0
  for (let before = 0; order.length < 50; before = order.length) {
    await nextRound()
    rounds++
    t.ok(order.length - before <= 8, `${order.length - before} in one round`)
  }
  await Promise.all(crowd)
  t.ok(rounds >= 6, `${rounds} rounds`)
  t.strictSame(
    order,
    order.toSorted((a, b) => a - b)
  )
})

t.test('who comes alone does not wait', async t => {
  await nextRound()
  await nextRound()
  let through = false
  const alone = takeTurn().then(() => {
    through = true
  })
  await Promise.resolve()
  await Promise.resolve()
  t.equal(through, true)
  await alone
})
