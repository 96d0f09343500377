// News between nodes arrives, stops when told, and says when some may have been missed.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connect } from '../../src/db/connect.ts'
import { listen } from '../../src/db/listen.ts'
import { createEmptyDatabase } from '../helpers/database.ts'

/** Waits until `facts` has `count` entries; the test's own timeout ends a wait in vain. */
async function until(facts: unknown[], count: number): Promise<void> {
  while (facts.length < count) await sleep(5)
}

t.test('a payload reaches every listener of its channel, and no other', async t => {
  const { url, sql } = await createEmptyDatabase(t)
  const other = connect({ url, poolSize: 1 })
  t.teardown(() => other.end())
  const here: string[] = []
  const there: string[] = []
  const elsewhere: string[] = []
  await listen(
    sql,
    'clients',
    payload => here.push(payload),
    () => {}
  )
  await listen(
    other,
    'clients',
    payload => there.push(payload),
    () => {}
  )
  await listen(
    other,
    'keys',
    payload => elsewhere.push(payload),
    () => {}
  )

  await sql.notify('clients', 'one')
  await other.notify('clients', 'two')
  await Promise.all([until(here, 2), until(there, 2)])
  t.strictSame(here, ['one', 'two'])
  t.strictSame(there, ['one', 'two'])
  t.strictSame(elsewhere, [])
})

t.test('news of a transaction that is rolled back never arrives', async t => {
  const { sql } = await createEmptyDatabase(t)
  const heard: string[] = []
  await listen(
    sql,
    'clients',
    payload => heard.push(payload),
    () => {}
  )
  await t.rejects(
    sql.begin(async tx => {
      await tx`select pg_notify('clients', 'undone')`
      throw new Error('no')
    })
  )
  await sql.notify('clients', 'done')
  await until(heard, 1)
  t.strictSame(heard, ['done'])
})

t.test('a lost connection is made up for, and the listener told', async t => {
  const { sql } = await createEmptyDatabase(t)
  const heard: string[] = []
  const reconnected: true[] = []
  const listener = await listen(
    sql,
    'clients',
    payload => heard.push(payload),
    () => reconnected.push(true)
  )
  t.equal(reconnected.length, 0, 'the first connection is no reconnection')
  for (const round of [1, 2]) {
    await sql`
      select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and query like 'listen%'
    `
    await until(reconnected, round)
    await sql.notify('clients', `round ${round}`)
    await until(heard, round)
  }
  t.strictSame(heard, ['round 1', 'round 2'])

  // Also after reconnections, which postgres.js's own handle does not survive.
  await listener.stop()
  await sql.notify('clients', 'unheard')
  await sleep(100)
  t.strictSame(heard, ['round 1', 'round 2'])
})
