import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { inTransaction } from '../../src/context.ts'
import type { Job, RecurringJob } from '../../src/jobs/model.ts'
import { migrateJobs, startJobs } from '../../src/jobs/service.ts'
import { createContext } from '../helpers/context.ts'
import { waitFor } from '../helpers/wait.ts'

t.test('a job is worked at once after its transaction commits, and never when it rolls back', async t => {
  const ctx = await createContext(t)
  const worked: Job[] = []
  await ctx.jobs.work(ctx, {
    handlers: { mail: async (_ctx, job) => void worked.push(job) },
    recurring: [],
    pollSeconds: 60
  })
  await inTransaction(ctx, async tx => {
    await tx.enqueue(tx.sql, 'mail', { mailId: 'lost' })
    throw new Error('no')
  }).catch(() => {})

  const startedAt = performance.now()
  await inTransaction(ctx, async tx => await tx.enqueue(tx.sql, 'mail', { mailId: 'kept' }))
  await waitFor(() => worked.length > 0)
  t.ok(performance.now() - startedAt < 200, 'a notification wakes the worker, not the next poll')
  await sleep(100)
  t.strictSame(
    worked.map(({ data }) => data),
    [{ mailId: 'kept' }]
  )
})

t.test('a hundred jobs queued at once are all worked, each once, without waiting for polls', async t => {
  const ctx = await createContext(t)
  const worked: string[] = []
  const plan = {
    handlers: { mail: async (_ctx: unknown, job: Job) => void worked.push(JSON.stringify(job.data)) },
    recurring: [],
    pollSeconds: 60
  }
  const second = await startJobs(ctx.pool, ctx.log)
  t.teardown(() => second.stop())
  await ctx.jobs.work(ctx, plan)
  await second.work(ctx, plan)
  await inTransaction(ctx, async tx => {
    for (let n = 0; n < 100; n++) await tx.enqueue(tx.sql, 'mail', { n })
  })
  await waitFor(() => worked.length >= 100)
  await sleep(100)
  t.equal(worked.length, 100)
  t.equal(new Set(worked).size, 100)
})

t.test('one job that fails repeats no other of its batch, and ends as a dead letter', async t => {
  const ctx = await createContext(t)
  await ctx.sql`update pgboss.queue set retry_limit = 2, retry_delay = 0, retry_backoff = false where name = 'mail'`
  const tries: Record<string, number> = {}
  const dead: Job[] = []
  await ctx.jobs.work(ctx, {
    handlers: {
      mail: async (_ctx, { data }) => {
        const { n } = data as { n: number }
        tries[n] = (tries[n] ?? 0) + 1
        if (n === 1) throw new Error('550 <someone@example.org> secret')
      },
      'mail-failed': async (_ctx, job) => void dead.push(job)
    },
    recurring: [],
    pollSeconds: 0.5
  })
  await inTransaction(ctx, async tx => {
    for (const n of [0, 1, 2]) await tx.enqueue(tx.sql, 'mail', { n })
  })
  await waitFor(() => dead.length > 0)
  t.strictSame(tries, { 0: 1, 1: 3, 2: 1 })
  t.strictSame(
    dead.map(({ data }) => data),
    [{ n: 1 }]
  )
  const rows = await ctx.sql`select output::text as output from pgboss.job`
  t.notMatch(JSON.stringify(rows), /secret|someone/, "a fault's words are not stored")
})

t.test('failed mail jobs wait longer each time', async t => {
  const ctx = await createContext(t)
  await ctx.jobs.work(ctx, {
    handlers: { mail: async () => Promise.reject(new Error('down')) },
    recurring: [],
    pollSeconds: 60
  })
  await ctx.enqueue(ctx.sql, 'mail', { mailId: 'x' })
  const delayOf = async (): Promise<number | undefined> => {
    const [row] = await ctx.sql<{ seconds: number }[]>`
      select extract(epoch from start_after - now())::float as seconds
      from pgboss.job where name = 'mail' and state = 'retry'
    `
    return row?.seconds
  }
  await waitFor(async () => (await delayOf()) !== undefined)
  t.ok(((await delayOf()) ?? 0) <= 10 && ((await delayOf()) ?? 0) > 1)
  await ctx.sql`update pgboss.job set retry_count = 6 where name = 'mail'`
  await ctx.sql`update pgboss.job set start_after = now() where name = 'mail'`
  await ctx.jobs.stop()
  const again = await startJobs(ctx.pool, ctx.log)
  t.teardown(() => again.stop())
  await again.work(ctx, {
    handlers: { mail: async () => Promise.reject(new Error('down')) },
    recurring: [],
    pollSeconds: 60
  })
  await waitFor(async () => ((await delayOf()) ?? 0) > 60)
  t.ok(((await delayOf()) ?? 0) <= 1800)
})

t.test('more transactions at once than there are connections all queue their jobs', async t => {
  const ctx = await createContext(t)
  await Promise.all(
    Array.from({ length: 50 }, (_, n) => inTransaction(ctx, tx => tx.enqueue(tx.sql, 'mail', { n })))
  )
  const [row] = await ctx.sql`select count(*)::int as count from pgboss.job where name = 'mail'`
  t.equal(row?.count, 50)
})

t.test('a recurring job comes round, and on two nodes the next turn is one', async t => {
  const ctx = await createContext(t)
  let turns = 0
  const job: RecurringJob = { name: 'turn', everySeconds: 3600, run: async () => void turns++ }
  const second = await startJobs(ctx.pool, ctx.log)
  t.teardown(() => second.stop())
  const plan = { handlers: {}, recurring: [job], pollSeconds: 0.5 }
  await Promise.all([ctx.jobs.work(ctx, plan), second.work(ctx, plan)])
  await waitFor(() => turns > 0)
  await sleep(1200)
  // Both nodes ask for a first turn. The second asks in vain while the first one's waits, but not in the moment in which it
  // has been taken and has not yet queued the next: then there are two, of jobs that may be done twice.
  t.ok(turns <= 2, `${turns} turns`)
  const waiting = await ctx.sql`
    select start_after - now() > '50 minutes' as later from pgboss.job where name = 'upkeep' and state = 'created'
  `
  t.strictSame([...waiting], [{ later: true }], 'the next turn waits, once')
})

t.test('a turn that fails does not end the recurring', async t => {
  const ctx = await createContext(t)
  let turns = 0
  await ctx.jobs.work(ctx, {
    handlers: {},
    recurring: [
      {
        name: 'failing',
        everySeconds: 1,
        run: async () => {
          turns++
          throw new Error('down')
        }
      }
    ],
    pollSeconds: 0.5
  })
  await waitFor(() => turns >= 2)
  t.pass()
})

t.test('making the queues twice, and by two nodes at once, is fine', async t => {
  const ctx = await createContext(t)
  await Promise.all([migrateJobs(ctx.pool), migrateJobs(ctx.pool)])
  const rows = await ctx.sql`select name, policy, dead_letter from pgboss.queue order by name`
  t.strictSame(
    [...rows],
    [
      { name: 'backchannel-ping', policy: 'standard', deadLetter: null },
      { name: 'guessing-slowed', policy: 'standard', deadLetter: null },
      { name: 'logout', policy: 'standard', deadLetter: null },
      { name: 'logout-notice', policy: 'standard', deadLetter: 'logout-notice-failed' },
      { name: 'logout-notice-failed', policy: 'standard', deadLetter: null },
      { name: 'mail', policy: 'standard', deadLetter: 'mail-failed' },
      { name: 'mail-failed', policy: 'standard', deadLetter: null },
      { name: 'new-device', policy: 'standard', deadLetter: null },
      { name: 'upkeep', policy: 'short', deadLetter: null }
    ]
  )
})

t.test('an idle node asks the database little', async t => {
  const ctx = await createContext(t)
  await ctx.jobs.work(ctx, {
    handlers: { mail: async () => {}, 'mail-failed': async () => {} },
    recurring: []
  })
  await sleep(1500)
  t.comment(ctx.statements.length, 'statements to start')
  ctx.statements.length = 0
  await sleep(5000)
  t.ok(ctx.statements.length <= 2, `${ctx.statements.length} statements in 5 s`)
})
