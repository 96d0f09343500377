import t from 'tap'
import { listEventsOfAccount } from '../../src/audit/repository.ts'
import { createAuditPartitions, dropOldAuditPartitions, recordEvent } from '../../src/audit/service.ts'
import { inTransaction } from '../../src/context.ts'
import { createId } from '../../src/lib/ids.ts'
import { createContext, type TestContext } from '../helpers/context.ts'

const monthMs = 31 * 86_400_000
const partitionsOf = async (ctx: TestContext) =>
  (
    await ctx.sql`
      select c.relname as name, c.reltuples, (select count(*)::int from pg_index where indrelid = c.oid) as indexes
      from pg_inherits join pg_class c on c.oid = inhrelid where inhparent = 'audit_events'::regclass order by 1
    `
  ).map(({ name }) => name as string)

t.test('an event tells what happened, to whom, and from where', async t => {
  const ctx = await createContext(t, {
    request: { id: 'request-1', ip: '::ffff:192.0.2.7', userAgent: 'x'.repeat(5000) }
  })
  const accountId = createId(ctx.now())
  await recordEvent(ctx, {
    type: 'account.created',
    accountId,
    clientId: 'web',
    details: { camelCase: ['kept'] }
  })
  const [event] = await listEventsOfAccount(ctx.sql, { accountId, before: null, limit: 10 })
  t.match(event, {
    type: 'account.created',
    accountId,
    clientId: 'web',
    ip: '::ffff:192.0.2.7',
    requestId: 'request-1',
    occurredAt: ctx.now(),
    details: { camelCase: ['kept'] }
  })
  t.equal(event?.userAgent?.length, 400)
  const { request: _, ...job } = ctx
  await recordEvent(job, { type: 'account.removed', accountId })
  ctx.clock.advance(1)
  const events = await listEventsOfAccount(ctx.sql, { accountId, before: null, limit: 10 })
  t.equal(events.length, 2)
  const next = await listEventsOfAccount(ctx.sql, { accountId, before: events.at(-1)?.id ?? null, limit: 10 })
  t.equal(next.length, 0)
})

t.test('an event of a transaction that rolls back did not happen', async t => {
  const ctx = await createContext(t)
  await inTransaction(ctx, async tx => {
    await recordEvent(tx, { type: 'account.created' })
    throw new Error('no')
  }).catch(() => {})
  t.equal((await ctx.sql`select from audit_events`).count, 0)
})

t.test('this month and the next two have partitions from the first start on, made once', async t => {
  const ctx = await createContext(t)
  const name = (offset: number) => {
    const at = new Date(Date.UTC(ctx.now().getUTCFullYear(), ctx.now().getUTCMonth() + offset, 1))
    return `audit_events_${at.getUTCFullYear()}_${String(at.getUTCMonth() + 1).padStart(2, '0')}`
  }
  const expected = [0, 1, 2].map(name)
  t.strictSame(await partitionsOf(ctx), [...expected, 'audit_events_default'].sort())
  t.strictSame(await createAuditPartitions(ctx), [])
  ctx.clock.advance(monthMs)
  // Three connections are open, so that the three do meet.
  await Promise.all([1, 2, 3].map(() => ctx.sql`select pg_sleep(0.1)`))
  const made = await Promise.all([1, 2, 3].map(() => createAuditPartitions(ctx)))
  t.equal(made.flat().length, new Set(made.flat()).size, 'by three nodes at once, still once')
  await recordEvent(ctx, { type: 'account.created' })
  t.equal((await ctx.sql`select from audit_events_default`).count, 0)
})

t.test('what came while a month had no partition moves into it', async t => {
  const ctx = await createContext(t)
  ctx.clock.advance(6 * monthMs)
  await recordEvent(ctx, { type: 'account.created' })
  t.equal((await ctx.sql`select from audit_events_default`).count, 1)
  t.equal((await createAuditPartitions(ctx)).length, 3)
  t.equal((await ctx.sql`select from audit_events_default`).count, 0)
  t.equal((await ctx.sql`select from audit_events`).count, 1)
  const [row] = await ctx.sql`
    select count(*)::int as partitions from pg_class where relname like 'audit_events_2%' and relkind = 'r'
      and (select count(*) from pg_index where indrelid = pg_class.oid) = 2
  `
  t.equal(row?.partitions, 6, 'each has both indexes')
})

t.test('months that are older than the setting says are dropped whole', async t => {
  const ctx = await createContext(t, { environment: { AUDIT_RETENTION_MONTHS: '2' } })
  await recordEvent(ctx, { type: 'account.created' })
  const [oldest] = await partitionsOf(ctx)
  ctx.clock.advance(2 * monthMs)
  await createAuditPartitions(ctx)
  t.strictSame(await dropOldAuditPartitions(ctx), [])
  ctx.clock.advance(monthMs)
  t.strictSame(await dropOldAuditPartitions(ctx), [oldest])
  t.equal((await ctx.sql`select from audit_events`).count, 0)
})
