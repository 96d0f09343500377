import t from 'tap'
import { endAllTokens } from '../../src/accounts/service.ts'
import { signIn } from '../../src/credentials/service.ts'
import {
  confirmEmailByCode,
  confirmEmailByToken,
  resendConfirmation
} from '../../src/credentials/sign-up-service.ts'
import { hashToken } from '../../src/lib/tokens.ts'
import { createContext, type TestContext } from '../helpers/context.ts'
import {
  accountOf,
  goodPassword,
  lastConfirmation,
  listConfirmations,
  listQueuedMails,
  signedUp,
  verifiedAccount
} from '../helpers/people.ts'

const hourMs = 3_600_000
const wrongCode = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0')
/** One character less, more, and other: what a damaged link looks like. */
const damaged = (token: string) => {
  const last = token.at(-1) === 'A' ? 'E' : 'A'
  return [token.slice(0, -1), `${token}A`, `${token.slice(0, -1)}${last}`, token.toLowerCase(), '', ' ']
}
const passwordWorks = async (ctx: TestContext, password: string) =>
  (await signIn(ctx, { email: 'ada@example.org', password })).ok

t.test('a link confirms the address, once, and ends what was issued before', async t => {
  const ctx = await createContext(t)
  await signedUp(ctx, { interactionUid: 'i1' })
  const { token } = await lastConfirmation(ctx)
  ctx.clock.advance(60_000)
  const outcome = await confirmEmailByToken(ctx, token)
  t.match(outcome, { ok: true, interactionHash: hashToken('i1') })
  const account = await accountOf(ctx, 'ada@example.org')
  t.strictSame(account.emailVerifiedAt, ctx.now())
  t.strictSame(account.tokensValidFrom, ctx.now())
  t.strictSame(await confirmEmailByToken(ctx, token), { ok: false, reason: 'invalid' })
  t.ok(await passwordWorks(ctx, goodPassword))
  const events = await ctx.sql`select type from audit_events order by id`
  t.strictSame(
    events.map(({ type }) => type),
    ['account.created', 'account.email_verified']
  )
})

t.test('a link clicked twenty times at once confirms once', async t => {
  const ctx = await createContext(t)
  await signedUp(ctx)
  const { token } = await lastConfirmation(ctx)
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => confirmEmailByToken(ctx, token)))
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
})

t.test('a link with one character off confirms nothing, and leaves the right one good', async t => {
  const ctx = await createContext(t)
  await signedUp(ctx)
  const { token } = await lastConfirmation(ctx)
  for (const wrong of damaged(token))
    t.strictSame(await confirmEmailByToken(ctx, wrong), { ok: false, reason: 'invalid' })
  t.match(await confirmEmailByToken(ctx, token), { ok: true })
})

t.test('REG-3: a link is good for a day, and is told apart from a wrong one afterwards', async t => {
  const ctx = await createContext(t)
  await signedUp(ctx)
  const { token, code } = await lastConfirmation(ctx)
  ctx.clock.advance(24 * hourMs)
  t.strictSame(await confirmEmailByToken(ctx, token), { ok: false, reason: 'expired' })
  const { id } = await accountOf(ctx, 'ada@example.org')
  t.strictSame(await confirmEmailByCode(ctx, { accountId: id, interactionUid: 'interaction-1', code }), {
    ok: false,
    reason: 'expired'
  })
})

t.test('REG-3: a link is bound to the address that it was mailed to', async t => {
  const ctx = await createContext(t)
  const { accountId } = await signedUp(ctx)
  const { token } = await lastConfirmation(ctx)
  await ctx.sql`update accounts set email = 'b@example.org', email_key = 'b@example.org' where id = ${accountId}`
  t.strictSame(await confirmEmailByToken(ctx, token), { ok: false, reason: 'invalid' })
  t.equal((await accountOf(ctx, 'b@example.org')).emailVerifiedAt, null)
})

t.test('a disabled account is not confirmed', async t => {
  const ctx = await createContext(t)
  await signedUp(ctx)
  await ctx.sql`update accounts set disabled_at = ${ctx.now()}`
  t.match(await confirmEmailByToken(ctx, (await lastConfirmation(ctx)).token), {
    ok: false,
    reason: 'invalid'
  })
})

t.test('a code confirms the address in the sign-in that it was mailed for, and in no other', async t => {
  const ctx = await createContext(t)
  const { accountId } = await signedUp(ctx, { interactionUid: 'i1' })
  const other = await signedUp(ctx, { email: 'eve@example.org', interactionUid: 'i2' })
  const [{ code } = { code: '' }] = await listConfirmations(ctx)
  const confirm = (account: string, interactionUid: string) =>
    confirmEmailByCode(ctx, { accountId: account, interactionUid, code })
  t.match(await confirm(accountId, 'i2'), { ok: false, reason: 'invalid' })
  t.match(await confirm(other.accountId, 'i2'), { ok: false, reason: 'invalid' })
  t.match(await confirm(accountId, 'i1'), { ok: true, account: { id: accountId } })
  t.match(await confirm(accountId, 'i1'), { ok: false, reason: 'invalid' }, 'once')
})

t.test('a code may be typed as mail programs show it, but nothing else counts as one', async t => {
  const ctx = await createContext(t)
  const { accountId, interactionUid } = await signedUp(ctx)
  const { code } = await lastConfirmation(ctx)
  for (const typed of [[code], { code }, null])
    t.match(await confirmEmailByCode(ctx, { accountId, interactionUid, code: typed }), { ok: false })
  const typed = ` ${code.slice(0, 3)} ${code.slice(3)} `
  t.match(await confirmEmailByCode(ctx, { accountId, interactionUid, code: typed }), { ok: true })
})

t.test('a code sent twenty times at once confirms once', async t => {
  const ctx = await createContext(t)
  const { accountId, interactionUid } = await signedUp(ctx)
  const { code } = await lastConfirmation(ctx)
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, () => confirmEmailByCode(ctx, { accountId, interactionUid, code }))
  )
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
})

t.test('five wrong codes end it, however many are sent at once; a new mail brings a new code', async t => {
  const ctx = await createContext(t)
  const { accountId, interactionUid } = await signedUp(ctx)
  const { code } = await lastConfirmation(ctx)
  const confirm = (typed: string) => confirmEmailByCode(ctx, { accountId, interactionUid, code: typed })
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => confirm(wrongCode(code))))
  const reasons = outcomes.map(outcome => (outcome.ok ? 'ok' : outcome.reason))
  t.equal(reasons.filter(reason => reason === 'invalid').length, 4, 'the fifth and all others: none left')
  t.strictSame(await confirm(code), { ok: false, reason: 'no_attempts_left' }, 'not even the right one')
  ctx.clock.advance(1)
  t.equal(await resendConfirmation(ctx, { accountId, interactionUid }), 'sent')
  t.match(await confirm(code), { ok: false, reason: 'invalid' }, 'the old code is no more')
  t.match(await confirm((await lastConfirmation(ctx)).code), { ok: true })
})

t.test('whose address is taken cannot be told by trying codes', async t => {
  const ctx = await createContext(t)
  await verifiedAccount(ctx, { email: 'taken@example.org' })
  const triesOf = async (email: string) => {
    const { accountId, interactionUid } = await signedUp(ctx, { email, interactionUid: `of ${email}` })
    const reasons = []
    for (let attempt = 0; attempt < 7; attempt++) {
      const outcome = await confirmEmailByCode(ctx, { accountId, interactionUid, code: 'abcdef' })
      reasons.push(outcome.ok ? 'ok' : outcome.reason)
    }
    const resent = [1, 2, 3].map(() => resendConfirmation(ctx, { accountId, interactionUid }))
    return [...reasons, ...(await Promise.all(resent)).sort()]
  }
  const taken = await triesOf('taken@example.org')
  t.strictSame(taken, await triesOf('new@example.org'))
  t.strictSame(taken.slice(3), [
    'invalid',
    'no_attempts_left',
    'no_attempts_left',
    'no_attempts_left',
    'capped',
    'sent',
    'sent'
  ])
})

t.test(
  'a stranger who signed up first gains nothing when the owner of the address confirms their own',
  async t => {
    const ctx = await createContext(t)
    const { accountId } = await signedUp(ctx, {
      name: 'Stranger',
      password: 'what somebody else would type',
      interactionUid: 'i1'
    })
    const strangers = await lastConfirmation(ctx)
    ctx.clock.advance(1000)
    await signedUp(ctx, { name: 'Ada', password: goodPassword, interactionUid: 'i2' })
    t.equal(
      (await accountOf(ctx, 'ada@example.org')).name,
      'Stranger',
      'nothing changes until it is confirmed'
    )
    ctx.clock.advance(1000)

    const outcome = await confirmEmailByToken(ctx, (await lastConfirmation(ctx)).token)
    t.match(outcome, { ok: true, account: { id: accountId, name: 'Ada' }, interactionHash: hashToken('i2') })
    t.notOk(await passwordWorks(ctx, 'what somebody else would type'))
    t.ok(await passwordWorks(ctx, goodPassword))
    t.strictSame(await confirmEmailByToken(ctx, strangers.token), { ok: false, reason: 'invalid' })
    const byCode = { accountId, interactionUid: 'i1', code: strangers.code }
    t.match(await confirmEmailByCode(ctx, byCode), { ok: false, reason: 'invalid' })
  }
)

t.test('of two different links of an account clicked at once, one wins entirely', async t => {
  const ctx = await createContext(t)
  for (let round = 0; round < 5; round++) {
    const email = `ada${round}@example.org`
    await signedUp(ctx, { email, password: 'the first password typed', interactionUid: 'i1' })
    const first = await lastConfirmation(ctx)
    ctx.clock.advance(1)
    await signedUp(ctx, { email, password: 'the second password typed', interactionUid: 'i2' })
    const second = await lastConfirmation(ctx)
    const outcomes = await Promise.all([first, second].map(({ token }) => confirmEmailByToken(ctx, token)))
    t.equal(outcomes.filter(({ ok }) => ok).length, 1)
    const winner = outcomes[0]?.ok ? 'first' : 'second'
    t.match(await signIn(ctx, { email, password: `the ${winner} password typed` }), { ok: true })
    ctx.clock.advance(1)
  }
})

t.test(
  'crowding out: of an account’s links the newest three are good, and a pushed-out sign-up can go on',
  async t => {
    const ctx = await createContext(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '100' } })
    const { accountId } = await signedUp(ctx, {
      password: 'the password of a stranger',
      interactionUid: 'stranger'
    })
    ctx.clock.advance(1)
    await signedUp(ctx, { interactionUid: 'owner' })
    const owners = await lastConfirmation(ctx)
    for (let n = 0; n < 3; n++) {
      ctx.clock.advance(1)
      await signedUp(ctx, { password: 'the password of a stranger', interactionUid: `stranger ${n}` })
    }
    t.strictSame(await confirmEmailByToken(ctx, owners.token), { ok: false, reason: 'expired' })
    ctx.clock.advance(1)
    t.equal(await resendConfirmation(ctx, { accountId, interactionUid: 'owner' }), 'sent')
    t.match(await confirmEmailByToken(ctx, (await lastConfirmation(ctx)).token), { ok: true })
    t.ok(await passwordWorks(ctx, goodPassword), 'with the password that was typed in that sign-up')
    t.notOk(await passwordWorks(ctx, 'the password of a stranger'))
  }
)

t.test('signing up again in the same sign-in replaces its token', async t => {
  const ctx = await createContext(t)
  await signedUp(ctx)
  const first = await lastConfirmation(ctx)
  ctx.clock.advance(1)
  await signedUp(ctx, { password: 'another good password' })
  t.strictSame(await confirmEmailByToken(ctx, first.token), { ok: false, reason: 'invalid' })
  t.match(await confirmEmailByToken(ctx, (await lastConfirmation(ctx)).token), { ok: true })
  t.ok(await passwordWorks(ctx, 'another good password'))
})

t.test('a mail that the cap holds back leaves the last one’s link and code good', async t => {
  const ctx = await createContext(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '1' } })
  const { accountId, interactionUid } = await signedUp(ctx)
  const { code } = await lastConfirmation(ctx)
  ctx.clock.advance(1)
  t.equal(await resendConfirmation(ctx, { accountId, interactionUid }), 'capped')
  t.equal((await listQueuedMails(ctx)).length, 1)
  t.match(await confirmEmailByCode(ctx, { accountId, interactionUid, code }), { ok: true })
})

t.test('codes that were never mailed cannot be guessed: past the cap, signing up makes none', async t => {
  const ctx = await createContext(t, { environment: { MAILS_PER_RECIPIENT_PER_HOUR: '1' } })
  await signedUp(ctx)
  const first = await ctx.sql`select code_hash from account_email_tokens`
  ctx.clock.advance(1)
  const { accountId, interactionUid } = await signedUp(ctx)
  t.strictNotSame(await ctx.sql`select code_hash from account_email_tokens`, first)
  const { code } = await lastConfirmation(ctx)
  t.match(await confirmEmailByCode(ctx, { accountId, interactionUid, code }), {
    ok: false,
    reason: 'invalid'
  })
  ctx.clock.advance(hourMs + 1)
  t.equal(await resendConfirmation(ctx, { accountId, interactionUid }), 'sent', 'an hour later it goes on')
  t.match(await confirmEmailByToken(ctx, (await lastConfirmation(ctx)).token), { ok: true })
  t.ok(await passwordWorks(ctx, goodPassword))
})

t.test(
  'somebody who signs in before confirming gets a mail, and confirming keeps their password',
  async t => {
    const ctx = await createContext(t)
    const { accountId } = await signedUp(ctx)
    ctx.clock.advance(1)
    const signedIn = await signIn(ctx, { email: 'ada@example.org', password: goodPassword })
    t.match(signedIn, { ok: true, account: { emailVerifiedAt: null } })
    t.equal(await resendConfirmation(ctx, { accountId, interactionUid: 'i9' }), 'sent')
    const { code, name } = await lastConfirmation(ctx)
    t.equal(name, 'Ada')
    t.match(await confirmEmailByCode(ctx, { accountId, interactionUid: 'i9', code }), { ok: true })
    t.ok(await passwordWorks(ctx, goodPassword))
  }
)

t.test('ending all tokens moves the cut-off to now, and never back', async t => {
  const ctx = await createContext(t)
  const { id } = await verifiedAccount(ctx)
  ctx.clock.advance(5000)
  await endAllTokens(ctx, id)
  const cutOff = ctx.now()
  ctx.clock.advance(-2000)
  await endAllTokens(ctx, id)
  t.strictSame((await accountOf(ctx, 'ada@example.org')).tokensValidFrom, cutOff)
})

t.test(
  'a link that was under way while another one confirmed the account changes nothing any more',
  async t => {
    const ctx = await createContext(t)
    await signedUp(ctx, { password: 'the password of a stranger', interactionUid: 'i1' })
    const strangers = await lastConfirmation(ctx)
    await ctx.sql`create table kept as select * from account_email_tokens`
    await signedUp(ctx, { interactionUid: 'i2' })
    t.match(await confirmEmailByToken(ctx, (await lastConfirmation(ctx)).token), { ok: true })
    // As if that sign-up had read the account before, and committed after, the confirmation.
    await ctx.sql`insert into account_email_tokens select * from kept`
    t.strictSame(await confirmEmailByToken(ctx, strangers.token), { ok: false, reason: 'invalid' })
    t.ok(await passwordWorks(ctx, goodPassword))
  }
)
