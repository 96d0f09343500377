import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { type Context, inTransaction } from '../../src/context.ts'
import { createMailboxTransport, listMailbox } from '../../src/development/service.ts'
import type { Mail, MailTransport } from '../../src/mail/model.ts'
import { queueMail } from '../../src/mail/service.ts'
import { createSmtpTransport } from '../../src/mail/smtp.ts'
import { mailHandlers } from '../../src/mail/worker.ts'
import { createContext, type TestContext } from '../helpers/context.ts'
import { startMailServer } from '../helpers/smtp.ts'
import { waitFor } from '../helpers/wait.ts'

const link = 'http://localhost:3000/verify-email/the-token-of-the-link'
const confirmation: Mail = {
  kind: 'confirm_address',
  to: 'ada@example.org',
  data: { name: 'Ada & <b>Co</b>', link, code: '012345', expiresInHours: 24 }
}
const hourMs = 3_600_000

const queue = (ctx: Context, mail: Mail = confirmation) =>
  inTransaction(ctx, tx => queueMail(tx, mail, new Date(tx.now().getTime() + 24 * hourMs)))

async function workMail(ctx: TestContext, transport: MailTransport): Promise<void> {
  await ctx.jobs.work(ctx, { handlers: mailHandlers(ctx.config, transport), recurring: [], pollSeconds: 0.5 })
}

const outboxOf = async (ctx: TestContext) => [
  ...(await ctx.sql`
    select kind, content_sealed is null as dropped, sent_at is not null as sent, failed_at is not null as failed
    from mail_outbox order by created_at, id
  `)
]
const sent = { kind: 'confirm_address', dropped: true, sent: true, failed: false }
const failed = { kind: 'confirm_address', dropped: true, sent: false, failed: true }

async function startWithSmtp(t: Parameters<typeof createContext>[0]) {
  const server = await startMailServer(t)
  const ctx = await createContext(t, { environment: { SMTP_URL: server.url } })
  // Tried again at once: how long the waits are is the queue's test.
  await ctx.sql`update pgboss.queue set retry_delay = 0, retry_backoff = false, retry_limit = 2 where name = 'mail'`
  const transport = createSmtpTransport({ ...ctx.config, smtpUrl: server.url }, ctx.now)
  t.teardown(() => transport.close())
  return { server, ctx, transport }
}

t.test('in development a mail is in the mailbox within 200 ms of its transaction', async t => {
  const ctx = await createContext(t)
  await ctx.jobs.work(ctx, {
    handlers: mailHandlers(ctx.config, createMailboxTransport(ctx)),
    recurring: [],
    pollSeconds: 60
  })
  await sleep(300)
  const startedAt = performance.now()
  await queue(ctx)
  await waitFor(async () => (await listMailbox(ctx)).length > 0)
  const elapsed = performance.now() - startedAt
  t.ok(elapsed < 200, `${elapsed.toFixed(0)} ms`)
  const [mail] = await listMailbox(ctx)
  t.match(mail, { to: 'ada@example.org', subject: 'Confirm your address for Gatehouse', links: [link] })
  t.match(mail?.text, '012345')
  t.match(mail?.html, link)
  t.notMatch(mail?.html, '<b>Co</b>', 'a name is no markup')
  t.strictSame(await outboxOf(ctx), [sent])
})

t.test('the mailbox keeps the newest 200, newest first, and a mail that is sent twice once', async t => {
  const ctx = await createContext(t)
  const transport = createMailboxTransport(ctx)
  const mail = (n: number) => ({
    id: `00000000-0000-7000-8000-${String(n).padStart(12, '0')}`,
    to: 'a@x.test',
    subject: `${n}`,
    text: '',
    html: ''
  })
  for (let n = 0; n < 205; n++) {
    ctx.clock.advance(1)
    await transport.send(mail(n))
  }
  await transport.send(mail(204))
  const subjects = (await listMailbox(ctx)).map(({ subject }) => subject)
  t.strictSame(subjects.slice(0, 2), ['204', '203'])
  t.ok(subjects.length <= 200 && subjects.length >= 199, `${subjects.length}`)
})

t.test('a transaction that rolls back sends nothing', async t => {
  const { server, ctx, transport } = await startWithSmtp(t)
  await workMail(ctx, transport)
  await inTransaction(ctx, async tx => {
    await queueMail(tx, confirmation, new Date(tx.now().getTime() + hourMs))
    throw new Error('changed my mind')
  }).catch(() => {})
  await queue(ctx, { kind: 'already_registered', to: 'bob@example.org', data: { name: 'Bob' } })
  await waitFor(() => server.received.length > 0)
  await sleep(100)
  t.strictSame(
    server.received.map(({ to }) => to),
    [['bob@example.org']]
  )
})

t.test('a mail that a server cannot take now is tried again until it can', async t => {
  const { server, ctx, transport } = await startWithSmtp(t)
  server.behave({ refuseRecipient: 450 })
  await workMail(ctx, transport)
  await queue(ctx)
  await waitFor(() => server.attempts() > 0)
  server.behave('well')
  await waitFor(() => server.received.length > 0)
  await waitFor(async () => (await outboxOf(ctx))[0]?.sent)
  t.strictSame(await outboxOf(ctx), [sent])
  t.equal(server.received.length, 1)
})

t.test('a mail that is refused for good is given up at once, and its content dropped', async t => {
  const { server, ctx, transport } = await startWithSmtp(t)
  server.behave({ refuseRecipient: 550 })
  await workMail(ctx, transport)
  await queue(ctx)
  await waitFor(async () => (await outboxOf(ctx))[0]?.failed)
  t.strictSame(await outboxOf(ctx), [failed])
  await sleep(700)
  t.equal(server.attempts(), 1)
})

t.test('a mail that is tried too often is given up as a dead letter', async t => {
  const { server, ctx, transport } = await startWithSmtp(t)
  server.behave({ refuseMessage: 451 })
  await workMail(ctx, transport)
  await queue(ctx)
  await waitFor(async () => (await outboxOf(ctx))[0]?.failed)
  t.strictSame(await outboxOf(ctx), [failed])
  t.equal(server.attempts(), 3)
})

t.test('a mail whose time has passed is never sent', async t => {
  const { server, ctx, transport } = await startWithSmtp(t)
  await queue(ctx)
  ctx.clock.advance(24 * hourMs)
  await workMail(ctx, transport)
  await waitFor(async () => (await outboxOf(ctx))[0]?.failed)
  t.strictSame(server.received, [])
})

t.test('a job that is worked twice sends its mail once', async t => {
  const { server, ctx, transport } = await startWithSmtp(t)
  await queue(ctx)
  const [job] = await ctx.sql`select data from pgboss.job where name = 'mail'`
  await ctx.enqueue(ctx.sql, 'mail', job?.data)
  await ctx.sql`update pgboss.job set start_after = now() + interval '1 hour' where name = 'mail'`
  await workMail(ctx, transport)
  for (let n = 0; n < 2; n++) {
    await ctx.sql`
      update pgboss.job set start_after = now() - interval '1 s'
      where id = (select id from pgboss.job where name = 'mail' and state = 'created' limit 1)
    `
    await waitFor(async () => {
      const [row] =
        await ctx.sql`select count(*)::int as done from pgboss.job where name = 'mail' and state = 'completed'`
      return row?.done === n + 1
    })
  }
  t.equal(server.received.length, 1)
})

t.test('the outbox row and its job say nothing of the mail', async t => {
  const ctx = await createContext(t)
  await queue(ctx)
  const rows = [
    ...(await ctx.sql`select t::text from mail_outbox t`),
    ...(await ctx.sql`select t::text from pgboss.job t`)
  ]
  t.notMatch(JSON.stringify(rows), /\bada\b|example\.org|\b012345\b|verify|token/)
})

t.test('the cap is counted for each kind and recipient, by the hour', async t => {
  const ctx = await createContext(t)
  const registered: Mail = { kind: 'already_registered', to: 'ada@example.org', data: { name: 'Ada' } }
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => queue(ctx)))
  t.equal(outcomes.filter(outcome => outcome === 'queued').length, 3)
  t.equal(await queue(ctx, { ...confirmation, to: 'ADA@example.org' }), 'capped', 'whatever the case')
  t.equal(await queue(ctx, registered), 'queued')
  t.equal(await queue(ctx, { ...confirmation, to: 'bob@example.org' }), 'queued')
  ctx.clock.advance(hourMs - 1)
  t.equal(await queue(ctx), 'capped')
  ctx.clock.advance(1)
  t.equal(await queue(ctx), 'queued', 'the ones held back did not count')
})
