import t from 'tap'
import { signIn } from '../../src/credentials/service.ts'
import { createContext } from '../helpers/context.ts'
import { forgetGuesses } from '../helpers/guessing.ts'
import { goodPassword, verifiedAccount } from '../helpers/people.ts'
import { medianWork } from '../helpers/work.ts'

t.test('a sign-in is one statement, and a refused one a second that records it', async t => {
  const ctx = await createContext(t, { request: { id: 'r1', ip: '2001:db8::1', userAgent: 'browser' } })
  const { id } = await verifiedAccount(ctx)
  ctx.statements.length = 0
  t.match(await signIn(ctx, { email: 'ADA@Example.org', password: goodPassword }), {
    ok: true,
    account: { id }
  })
  t.equal(ctx.statements.length, 1)
  const outcome = await signIn(ctx, { email: 'ada@example.org', password: goodPassword })
  t.notOk(outcome.ok && 'passwordHash' in outcome.account, 'the hash goes no further')

  ctx.statements.length = 0
  const refused = { ok: false, reason: 'wrong_credentials', challenge: null }
  t.strictSame(await signIn(ctx, { email: 'ada@example.org', password: 'not the right one' }), refused)
  t.equal(ctx.statements.length, 2)
  ctx.statements.length = 0
  t.strictSame(await signIn(ctx, { email: 'nobody@example.org', password: 'not the right one' }), refused)
  t.equal(ctx.statements.length, 2)
  const events = await ctx.sql`
    select account_id, host(ip) as ip, user_agent, request_id, details from audit_events
    where type = 'sign_in.failed' order by id
  `
  const request = { ip: '2001:db8::1', userAgent: 'browser', requestId: 'r1' }
  t.strictSame(
    new Set([...events].map(event => JSON.stringify(event))),
    new Set([
      JSON.stringify({ accountId: id, ...request, details: { reason: 'wrong_password' } }),
      JSON.stringify({ accountId: null, ...request, details: { reason: 'unknown_account' } })
    ])
  )
})

t.test('PWD-7: unknown, disabled, without a password, no address at all: one answer', async t => {
  const ctx = await createContext(t)
  await verifiedAccount(ctx, { email: 'disabled@example.org' })
  const { id } = await verifiedAccount(ctx, { email: 'passwordless@example.org' })
  await ctx.sql`update accounts set disabled_at = now() where email_key = 'disabled@example.org'`
  await ctx.sql`delete from password_credentials where account_id = ${id}`
  const emails = [
    'unknown@example.org',
    'disabled@example.org',
    'passwordless@example.org',
    'x',
    '',
    ['a@b.c'],
    undefined
  ]
  for (const email of emails)
    t.strictSame(await signIn(ctx, { email, password: goodPassword }), {
      ok: false,
      reason: 'wrong_credentials',
      challenge: null
    })
})

t.test('PWD-7: an unknown address takes as long as a wrong password', async t => {
  const ctx = await createContext(t, { environment: { ARGON2_MEMORY_KIB: '19456', ARGON2_ITERATIONS: '2' } })
  await verifiedAccount(ctx)
  await verifiedAccount(ctx, { email: 'passwordless@example.org' })
  await verifiedAccount(ctx, { email: 'disabled@example.org' })
  await ctx.sql`update accounts set disabled_at = now() where email_key = 'disabled@example.org'`
  await ctx.sql`
    delete from password_credentials where account_id in (select id from accounts where email_key like 'passwordless%')
  `
  // Everybody has guessed as often as the others: what is measured is a guess that is looked at.
  const attempt = (name: string) => async () => {
    await forgetGuesses(ctx.pool)
    return await signIn(ctx, { email: `${name}@example.org`, password: 'not the right password' })
  }
  const work = await medianWork(40, {
    wrong: attempt('ada'),
    unknown: attempt('unknown'),
    disabled: attempt('disabled'),
    passwordless: attempt('passwordless')
  })
  for (const name of ['unknown', 'disabled', 'passwordless'] as const) {
    const ratio = work[name] / work.wrong
    t.ok(ratio > 0.85 && ratio < 1.15, `${name} / wrong password = ${ratio.toFixed(3)}`)
  }
})

t.test('PWD-5: when the costs of hashing rise, the hash is made anew at the next sign-in, once', async t => {
  const ctx = await createContext(t)
  const { id } = await verifiedAccount(ctx)
  const stronger = { ...ctx, config: { ...ctx.config, argon2: { ...ctx.config.argon2, iterations: 2 } } }
  const hashOf = async () =>
    (await ctx.sql`select password_hash from password_credentials where account_id = ${id}`)[0]
  const before = await hashOf()
  await signIn(stronger, { email: 'ada@example.org', password: 'not the right password' })
  t.strictSame(await hashOf(), before, 'not for a wrong password')
  ctx.statements.length = 0
  t.match(await signIn(stronger, { email: 'ada@example.org', password: goodPassword }), { ok: true })
  t.equal(ctx.statements.length, 2)
  t.match(await hashOf(), { passwordHash: /^\$argon2id\$v=19\$m=7168,t=2,p=1\$/ })
  ctx.statements.length = 0
  t.match(await signIn(stronger, { email: 'ada@example.org', password: goodPassword }), { ok: true })
  t.equal(ctx.statements.length, 1)
})

t.test('PWD-3: a megabyte typed as a password is a wrong one, at once', async t => {
  const ctx = await createContext(t)
  await verifiedAccount(ctx)
  const attempt = async (password: string) => {
    await forgetGuesses(ctx.pool)
    t.match(await signIn(ctx, { email: 'ada@example.org', password }), { reason: 'wrong_credentials' })
  }
  const work = await medianWork(5, {
    megabyte: () => attempt('x'.repeat(1_000_000)),
    usual: () => attempt('not the password at all')
  })
  // Hashing a megabyte would take more than this by itself.
  t.ok(work.megabyte < work.usual + 10, `${work.megabyte} ms of work beside ${work.usual} ms`)
})
