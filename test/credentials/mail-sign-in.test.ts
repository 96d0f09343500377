// Signing in by mail: who reads the mailbox gets in, in the browser where they asked, and nobody else by their click.
import t from 'tap'
import {
  readSignInLink,
  requestMailSignIn,
  signInByCode,
  signInByLink
} from '../../src/credentials/mail-sign-in-service.ts'
import { signIn } from '../../src/credentials/service.ts'
import { confirmEmailByToken } from '../../src/credentials/sign-up-service.ts'
import { changedAddress, lastPart, mailsOf } from '../helpers/addresses.ts'
import { createContext, type TestContext } from '../helpers/context.ts'
import { accountOf, goodPassword, listConfirmations, signedUp, verifiedAccount } from '../helpers/people.ts'

const minuteMs = 60_000
const wrongCode = (code: string) => String((Number(code) + 1) % 1_000_000).padStart(6, '0')
const damaged = (token: string) => `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}`
const twenty = <T>(work: () => Promise<T>) => Promise.all(Array.from({ length: 20 }, work))
const wins = (outcomes: { ok: boolean }[]) => outcomes.filter(({ ok }) => ok).length
const wrong = { ok: false, reason: 'wrong_code' } as const

/** Asks in a sign-in, and reads the mail that came of it. */
async function asked(ctx: TestContext, interactionUid = 'here', email = 'ada@example.org') {
  ctx.clock.advance(1000)
  const before = (await mailsOf(ctx, 'sign_in_code')).length
  const outcome = await requestMailSignIn(ctx, { email, interactionUid })
  if (!outcome.ok) throw new Error(outcome.reason)
  const mail = (await mailsOf(ctx, 'sign_in_code'))[before]
  return { token: lastPart(mail?.data.link ?? ''), code: mail?.data.code ?? '', to: mail?.to ?? null }
}

t.test('the code signs in where it was asked for: once, and nowhere else', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx, { email: 'Ada@example.org' })
  const { code, to } = await asked(ctx, 'here', 'aDA@example.org')
  t.equal(to, 'Ada@example.org', 'mailed to the stored address')
  t.strictSame(await signInByCode(ctx, { interactionUid: 'elsewhere', code }), wrong)
  const typed = { interactionUid: 'here', code: `${code.slice(0, 3)} ${code.slice(3)}` }
  const outcomes = await twenty(() => signInByCode(ctx, typed))
  t.equal(wins(outcomes), 1)
  t.match(
    outcomes.find(({ ok }) => ok),
    { account: { id: ada.id } }
  )
})

t.test('the link signs in where it was asked for, once; elsewhere it does nothing', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { token } = await asked(ctx)
  for (const waitingUid of [null, 'elsewhere', 'her', 'here ']) {
    t.strictSame(await readSignInLink(ctx, { token, waitingUid }), { state: 'elsewhere' })
    t.strictSame(await signInByLink(ctx, { token, waitingUid }), { ok: false, reason: 'elsewhere' })
  }
  const link = { token, waitingUid: 'here' }
  for (let scan = 0; scan < 3; scan++) t.strictSame(await readSignInLink(ctx, link), { state: 'ready' })
  const outcomes = await twenty(() => signInByLink(ctx, link))
  t.equal(wins(outcomes), 1)
  t.match(
    outcomes.find(({ ok }) => ok),
    { account: { id: ada.id } }
  )
  t.strictSame(await readSignInLink(ctx, link), { state: 'invalid' })
})

t.test('link and code are one: of twenty of each at once, one signs in', async t => {
  const ctx = await createContext(t)
  await verifiedAccount(ctx)
  const { token, code } = await asked(ctx)
  const outcomes = await Promise.all([
    twenty<{ ok: boolean }>(() => signInByLink(ctx, { token, waitingUid: 'here' })),
    twenty<{ ok: boolean }>(() => signInByCode(ctx, { interactionUid: 'here', code }))
  ])
  t.equal(wins(outcomes.flat()), 1)
})

t.test('PWD-8: five wrong codes are all there are, however many are sent at once', async t => {
  const ctx = await createContext(t)
  await verifiedAccount(ctx)
  const { code, token } = await asked(ctx)
  t.equal(wins(await twenty(() => signInByCode(ctx, { interactionUid: 'here', code: wrongCode(code) }))), 0)
  t.strictSame(await signInByCode(ctx, { interactionUid: 'here', code }), wrong)
  t.match(await signInByLink(ctx, { token, waitingUid: 'here' }), { ok: true }, 'the link is good')
  for (const typed of [undefined, null, 123456, ['000000'], '', ' ', '0'.repeat(1000)])
    t.strictSame(await signInByCode(ctx, { interactionUid: 'here', code: typed }), wrong)
})

t.test('a link with one character off, or ten minutes old, signs nobody in', async t => {
  const ctx = await createContext(t)
  await verifiedAccount(ctx)
  const { token, code } = await asked(ctx)
  for (const off of [damaged(token), `${token}A`, token.slice(1), ''])
    t.strictSame(await signInByLink(ctx, { token: off, waitingUid: 'here' }), {
      ok: false,
      reason: 'invalid'
    })
  ctx.clock.advance(10 * minuteMs)
  t.strictSame(await signInByLink(ctx, { token, waitingUid: 'here' }), { ok: false, reason: 'expired' })
  t.strictSame(await signInByCode(ctx, { interactionUid: 'here', code }), wrong)
})

t.test('a newer mail voids the older ones, from whichever browser', async t => {
  const ctx = await createContext(t)
  await verifiedAccount(ctx)
  const older = await asked(ctx, 'first')
  const newer = await asked(ctx, 'second')
  t.strictSame(await signInByLink(ctx, { token: older.token, waitingUid: 'first' }), {
    ok: false,
    reason: 'invalid'
  })
  t.strictSame(await signInByCode(ctx, { interactionUid: 'first', code: older.code }), wrong)
  t.match(await signInByCode(ctx, { interactionUid: 'second', code: newer.code }), { ok: true })
})

t.test('REG-1: an address that nobody has, and a disabled account, answer as any other', async t => {
  const ctx = await createContext(t)
  await verifiedAccount(ctx)
  const gone = await verifiedAccount(ctx, { email: 'gone@example.org', interactionUid: 'i2' })
  await ctx.pool`update accounts set disabled_at = now() where id = ${gone.id}`
  const run = async (email: string) => {
    const answers: unknown[] = []
    ctx.statements.length = 0
    for (let time = 0; time < 4; time++) {
      ctx.clock.advance(1000)
      const { email: shown, ...outcome } = (await requestMailSignIn(ctx, {
        email,
        interactionUid: `of ${email}`
      })) as { email: string }
      t.equal(shown, email)
      answers.push(outcome)
    }
    for (let guess = 0; guess < 6; guess++)
      answers.push(await signInByCode(ctx, { interactionUid: `of ${email}`, code: 'x' }))
    return { answers, statements: ctx.statements.map(text => text.replace(/\s+/g, ' ')) }
  }
  const known = await run('ada@example.org')
  t.match(known.answers.slice(0, 4), [
    { mail: 'queued' },
    { mail: 'queued' },
    { mail: 'queued' },
    { mail: 'capped' }
  ])
  t.strictSame(await run('nobody@example.org'), known)
  t.strictSame(await run('gone@example.org'), known)
  t.strictSame(
    (await mailsOf(ctx, 'sign_in_code')).map(({ to }) => to),
    Array(3).fill('ada@example.org'),
    'and only who is there gets mail'
  )
})

t.test('REG-6: what is not one address is refused, and nothing is written', async t => {
  const ctx = await createContext(t)
  for (const email of [undefined, '', ['a@example.org', 'b@example.org'], 'a@example.org,b@example.org'])
    t.match(await requestMailSignIn(ctx, { email, interactionUid: 'here' }), { ok: false })
  t.equal((await ctx.sql`select from security_tokens`).count, 0)
})

t.test('REG-3: a mail to the old address signs nobody in after a change', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { token, code } = await asked(ctx)
  await changedAddress(ctx, ada.id, 'ada@new.example')
  t.strictSame(await signInByLink(ctx, { token, waitingUid: 'here' }), { ok: false, reason: 'invalid' })
  t.strictSame(await signInByCode(ctx, { interactionUid: 'here', code }), wrong)
})

t.test('an account that was disabled meanwhile is not signed in to', async t => {
  const ctx = await createContext(t)
  const ada = await verifiedAccount(ctx)
  const { token, code } = await asked(ctx)
  await ctx.pool`update accounts set disabled_at = now() where id = ${ada.id}`
  t.strictSame(await signInByCode(ctx, { interactionUid: 'here', code }), wrong)
  t.strictSame(await signInByLink(ctx, { token, waitingUid: 'here' }), { ok: false, reason: 'invalid' })
})

t.test(
  'who reads the mailbox of a sign-up that was never confirmed gets the account, without the password',
  async t => {
    const ctx = await createContext(t)
    await signedUp(ctx, { name: 'Visit evil', interactionUid: "the stranger's" })
    ctx.clock.advance(minuteMs)
    const { token } = await asked(ctx)
    t.match(await signInByLink(ctx, { token, waitingUid: 'here' }), {
      ok: true,
      account: { email: 'ada@example.org' }
    })
    const account = await accountOf(ctx, 'ada@example.org')
    t.strictSame(account.emailVerifiedAt, ctx.now())
    t.strictSame(account.tokensValidFrom, ctx.now())
    t.not(account.name, 'Visit evil')
    t.match(await signIn(ctx, { email: 'ada@example.org', password: goodPassword }), { ok: false })
    const [confirmation] = await listConfirmations(ctx)
    t.match(await confirmEmailByToken(ctx, confirmation?.token ?? ''), { ok: false }, 'nor can it come back')
  }
)
