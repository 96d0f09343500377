import t from 'tap'
import { accountRetention } from '../../src/accounts/service.ts'
import { confirmEmailByToken } from '../../src/credentials/sign-up-service.ts'
import type { RetentionRule } from '../../src/jobs/model.ts'
import { removeExpired } from '../../src/jobs/retention-service.ts'
import { mailRetention } from '../../src/mail/service.ts'
import { createContext } from '../helpers/context.ts'
import { lastConfirmation, signedUp, verifiedAccount } from '../helpers/people.ts'

const dayMs = 86_400_000

t.test(
  'an address that nobody confirmed for a week is free again; one under way or confirmed stays',
  async t => {
    const ctx = await createContext(t)
    await verifiedAccount(ctx, { email: 'verified@example.org' })
    await signedUp(ctx, { email: 'forgotten@example.org' })
    await signedUp(ctx, { email: 'returning@example.org' })
    ctx.clock.advance(7 * dayMs)
    await signedUp(ctx, { email: 'returning@example.org', interactionUid: 'i2' })
    ctx.clock.advance(1000)
    await removeExpired(ctx, accountRetention)
    const rows = await ctx.sql`select email_key from accounts order by email_key`
    t.strictSame(
      rows.map(({ emailKey }) => emailKey),
      ['returning@example.org', 'verified@example.org']
    )
    t.match(await confirmEmailByToken(ctx, (await lastConfirmation(ctx)).token), { ok: true })
    const [left] = await ctx.sql`select count(*)::int as passwords from password_credentials`
    t.strictSame(left, { passwords: 2 }, 'the password went with the account')
  }
)

t.test('tokens are kept for a day after they expire, mails for thirty', async t => {
  const ctx = await createContext(t)
  await signedUp(ctx)
  const countOf = async (table: string) => (await ctx.sql`select from ${ctx.sql(table)}`).count
  const rules = [...accountRetention, ...mailRetention]
  ctx.clock.advance(2 * dayMs)
  await removeExpired(ctx, rules)
  t.equal(await countOf('account_email_tokens'), 1)
  ctx.clock.advance(1000)
  t.match(await removeExpired(ctx, rules), { account_email_tokens: 1, mail_outbox: 0 })
  ctx.clock.advance(28 * dayMs)
  t.match(await removeExpired(ctx, rules), { mail_outbox: 1, accounts: 1 })
})

t.test('rows go in batches of a thousand, and one failing rule does not stop the others', async t => {
  const ctx = await createContext(t)
  await ctx.sql`
    insert into accounts (id, email, email_key, name, tokens_valid_from, created_at, updated_at)
    select gen_random_uuid(), n || '@x.test', n || '@x.test', 'x', now(), now(), now() from generate_series(1, 2500) n
  `
  ctx.clock.advance(8 * dayMs)
  const failing: RetentionRule = { table: 'broken', deleteExpired: () => Promise.reject(new Error('down')) }
  ctx.statements.length = 0
  await t.rejects(removeExpired(ctx, [failing, ...accountRetention]), /not every table/)
  t.equal((await ctx.sql`select from accounts`).count, 0)
  t.equal(ctx.statements.filter(statement => statement.includes('delete from accounts')).length, 3)
})

t.test('a row that somebody holds is left for the next turn, not waited for', async t => {
  const ctx = await createContext(t)
  await signedUp(ctx)
  ctx.clock.advance(8 * dayMs)
  await ctx.pool.begin(async sql => {
    await sql`select from accounts for update`
    t.match(await removeExpired(ctx, accountRetention), { accounts: 0 })
  })
  t.match(await removeExpired(ctx, accountRetention), { accounts: 1 })
})
