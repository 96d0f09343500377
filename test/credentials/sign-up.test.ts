import t from 'tap'
import { signIn } from '../../src/credentials/service.ts'
import { signUp } from '../../src/credentials/sign-up-service.ts'
import { createContext } from '../helpers/context.ts'
import {
  accountOf,
  goodPassword,
  lastConfirmation,
  listQueuedMails,
  signedUp,
  verifiedAccount
} from '../helpers/people.ts'
import { medianWork } from '../helpers/work.ts'

const typed = { email: 'ada@example.org', name: 'Ada', password: goodPassword, interactionUid: 'i1' }

t.test('a newcomer gets an account that is not verified, and a mail with a link and a code', async t => {
  const ctx = await createContext(t)
  const outcome = await signUp(ctx, { ...typed, email: ' Ada@Example.org ' })
  const account = await accountOf(ctx, 'ada@example.org')
  t.strictSame(outcome, { ok: true, email: 'Ada@example.org', pendingAccountId: account.id })
  t.match(account, { email: 'Ada@example.org', name: 'Ada', emailVerifiedAt: null })
  const [mail] = await listQueuedMails(ctx)
  t.match(mail, { kind: 'confirm_address', to: 'Ada@example.org', data: { name: 'Ada', expiresInHours: 24 } })
  const { token, code } = await lastConfirmation(ctx)
  t.match(token, /^[\w-]{43}$/, '256 random bits')
  t.match(code, /^\d{6}$/)
})

t.test('all faults of a sign-up are told at once, and nothing is written', async t => {
  const ctx = await createContext(t)
  t.strictSame(
    await signUp(ctx, { email: ['a@x.test'], name: '', password: 'short', interactionUid: null }),
    {
      ok: false,
      faults: { email: 'invalid', name: 'missing', password: 'too_short' }
    }
  )
  t.strictSame(ctx.statements, [])
})

t.test('REG-7: fifty sign-ups of one address at once make one account', async t => {
  const ctx = await createContext(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '1000' } })
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, (_, n) =>
      signUp(ctx, { ...typed, email: n % 2 === 0 ? 'Ada@x.test' : 'ada@X.test', interactionUid: `i${n}` })
    )
  )
  t.equal(new Set(outcomes.map(outcome => outcome.ok && outcome.pendingAccountId)).size, 1)
  const [counts] = await ctx.sql`
    select (select count(*)::int from accounts) as accounts,
      (select count(*)::int from password_credentials) as passwords,
      (select count(*)::int from account_email_tokens where expires_at > ${ctx.now()}) as live_tokens,
      (select count(*)::int from mail_outbox) as mails
  `
  t.strictSame(counts, { accounts: 1, passwords: 1, liveTokens: 3, mails: 50 })
})

t.test('REG-8: however many sign up at once, an address gets no more mails than the cap', async t => {
  const ctx = await createContext(t)
  await verifiedAccount(ctx, { email: 'owner@example.org' })
  ctx.clock.advance(3_600_001)
  for (const email of ['owner@example.org', 'new@example.org'])
    await Promise.all(
      Array.from({ length: 20 }, (_, n) => signUp(ctx, { ...typed, email, interactionUid: `i${n}` }))
    )
  const rows = await ctx.sql`
    select kind, count(*)::int as count from mail_outbox
    where created_at >= ${ctx.now()} and content_sealed is not null group by kind order by kind
  `
  t.strictSame(
    [...rows],
    [
      { kind: 'already_registered', count: 3 },
      { kind: 'confirm_address', count: 3 }
    ]
  )
  ctx.clock.advance(3_600_001)
  await signUp(ctx, { ...typed, email: 'new@example.org' })
  t.equal((await listQueuedMails(ctx)).length, 8, 'an hour later there is mail again')
})

t.test(
  'the owner of a taken address is told, at the address as it is stored, and nothing of theirs changes',
  async t => {
    const ctx = await createContext(t)
    const before = await verifiedAccount(ctx, { email: 'Ada@example.org' })
    ctx.clock.advance(1000)
    const outcome = await signUp(ctx, {
      ...typed,
      email: 'ADA@example.org',
      name: 'Eve',
      password: `${goodPassword} of Eve`
    })
    t.match(outcome, { ok: true, email: 'ADA@example.org' }, 'what was typed is shown, not what is stored')
    t.strictSame(await accountOf(ctx, 'ada@example.org'), before)
    t.strictSame((await listQueuedMails(ctx)).at(-1), {
      kind: 'already_registered',
      to: 'Ada@example.org',
      data: { name: 'Ada' }
    })
    t.match(await signIn(ctx, { email: 'ada@example.org', password: `${goodPassword} of Eve` }), {
      ok: false
    })
    t.match(await signIn(ctx, { email: 'ada@example.org', password: goodPassword }), { ok: true })
  }
)

t.test(
  'REG-1: a new, an unconfirmed and a taken address take the same statements and store the same rows',
  async t => {
    const ctx = await createContext(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '1000' } })
    await verifiedAccount(ctx, { email: 'taken@example.org' })
    await signedUp(ctx, { email: 'unconfirmed@example.org', interactionUid: 'other' })
    const statementsOf = async (email: string) => {
      ctx.statements.length = 0
      await signUp(ctx, { ...typed, email })
      return ctx.statements.map(statement => statement.replace(/\s+/g, ' '))
    }
    const fresh = await statementsOf('fresh@example.org')
    t.strictSame(await statementsOf('taken@example.org'), fresh)
    t.strictSame(await statementsOf('unconfirmed@example.org'), fresh)
    t.ok(fresh.length <= 9, `${fresh.length} statements`)
    t.strictSame(await statementsOf('another@example.org'), fresh)
  }
)

t.test('REG-1: a new and a taken address are the same work, also beyond the cap on mails', async t => {
  const ctx = await createContext(t, {
    environment: { ARGON2_MEMORY_KIB: '19456', ARGON2_ITERATIONS: '2' }
  })
  await verifiedAccount(ctx, { email: 'taken@example.org' })
  const work = await medianWork(60, {
    fresh: round => signUp(ctx, { ...typed, email: `fresh${round}@example.org` }),
    taken: () => signUp(ctx, { ...typed, email: 'taken@example.org' })
  })
  const ratio = work.taken / work.fresh
  t.ok(ratio > 0.85 && ratio < 1.15, `taken / new = ${ratio.toFixed(3)}`)
})

t.test('PWD-3: a password of a megabyte is refused before anything is hashed or asked', async t => {
  const ctx = await createContext(t)
  const startedAt = performance.now()
  t.match(await signUp(ctx, { ...typed, password: 'x'.repeat(1_000_000) }), {
    ok: false,
    faults: { password: 'too_long' }
  })
  t.ok(performance.now() - startedAt < 50)
  t.strictSame(ctx.statements, [])
})

t.test('a sign-up whose transaction fails leaves no account, no mail and no job', async t => {
  const ctx = await createContext(t)
  await ctx.sql`alter table audit_events add constraint refuse check (type <> 'account.created')`
  await t.rejects(signUp(ctx, typed))
  const [counts] = await ctx.sql`
    select (select count(*)::int from accounts) as accounts, (select count(*)::int from mail_outbox) as mails,
      (select count(*)::int from pgboss.job where name = 'mail') as jobs
  `
  t.strictSame(counts, { accounts: 0, mails: 0, jobs: 0 })
})

t.test('TOK-6: a dump of the database holds no token, code, link or password', async t => {
  const ctx = await createContext(t, { request: { id: 'r1', ip: '192.0.2.1', userAgent: 'test' } })
  await signedUp(ctx)
  const { token, code } = await lastConfirmation(ctx)
  await signIn(ctx, { email: goodPassword, password: goodPassword })
  await signIn(ctx, { email: 'ada@example.org', password: `${goodPassword}!` })
  const tables = await ctx.sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables where schemaname in ('public', 'pgboss')
  `
  const dump = (
    await Promise.all(
      tables.map(async ({ name }) =>
        JSON.stringify(await ctx.sql.unsafe(`select t::text as row from ${name} t`))
      )
    )
  ).join('\n')
  t.match(dump, 'ada@example.org', 'the dump is one')
  for (const secret of [token, `"${code}"`, `,${code},`, 'verify-email', goodPassword])
    t.notOk(dump.includes(secret), 'not in the dump')
  const bytes = (text: string) => Buffer.from(text).toString('hex')
  for (const secret of [token, goodPassword, 'verify-email']) t.notOk(dump.includes(bytes(secret)))
  // Nor can the code be found by trying all six digits against what is stored.
  const [row] = await ctx.sql<{ tokenHash: Buffer; codeHash: Buffer }[]>`
    select token_hash, code_hash from account_email_tokens
  `
  const { hash } = await import('node:crypto')
  const guess = hash('sha256', Buffer.concat([row?.tokenHash ?? Buffer.of(), Buffer.from(code)]), 'buffer')
  t.notOk(row?.codeHash.equals(guess))
})
