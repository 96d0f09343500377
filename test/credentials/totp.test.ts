import { randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import type { Account } from '../../src/accounts/model.ts'
import { countRecoveryCodes } from '../../src/credentials/recovery-code-repository.ts'
import { createRecoveryCodes } from '../../src/credentials/recovery-code-service.ts'
import {
  beginTotpEnrolment,
  confirmTotpEnrolment,
  readTotpEnrolment
} from '../../src/credentials/totp-enrolment-service.ts'
import { codeOf, findStep, stepOf } from '../../src/credentials/totp-model.ts'
import { listTotp } from '../../src/credentials/totp-repository.ts'
import { removeTotp, renameTotp, verifyTotp } from '../../src/credentials/totp-service.ts'
import { connect } from '../../src/db/connect.ts'
import { createContext } from '../helpers/context.ts'
import { dump, spellings } from '../helpers/dump.ts'
import { listQueuedMails, verifiedAccount } from '../helpers/people.ts'
import { addAuthenticator, codeShown, otherCode } from '../helpers/totp.ts'

const ctx = await createContext(t)
const stepMs = 30_000
const session = randomBytes(32)
let people = 0

/** Somebody new. Their clock stands at the start of a step. */
async function person(): Promise<Account> {
  const account = await verifiedAccount(ctx, { email: `person${people++}@example.org` })
  ctx.clock.advance(stepMs - (ctx.now().getTime() % stepMs))
  return account
}

const wrong = { ok: false, reason: 'wrong_code' }
const mailsTo = async ({ email }: Account) =>
  (await listQueuedMails(ctx)).filter(mail => mail.to === email && mail.kind !== 'confirm_address')
/** Those of one moment have no order. */
const eventsOf = async ({ id }: Account) =>
  (await ctx.pool`select type from audit_events where account_id = ${id}`)
    .map(({ type }) => type)
    .filter(type => /totp|recovery/.test(type))
    .sort()
const freeze = async ({ id }: Account, until: Date) =>
  await ctx.pool`update accounts set factor_changes_frozen_until = ${until} where id = ${id}`

/** What somebody sends who has just scanned the code. */
async function scanned(t: Test) {
  const account = await person()
  const { secret, enrolment } = beginTotpEnrolment(ctx, { account, boundTo: session })
  const form = { account, boundTo: session, enrolment, name: '', code: codeShown(secret, ctx.now()) }
  t.equal((await listTotp(ctx.sql, account.id)).length, 0, 'nothing is stored before the code')
  return { account, secret, form }
}

t.test('codes are those of RFC 6238 Appendix B, by their last six digits', async t => {
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ'
  const vectors: [seconds: number, code: string][] = [
    [59, '94287082'],
    [1_111_111_109, '07081804'],
    [1_111_111_111, '14050471'],
    [1_234_567_890, '89005924'],
    [2_000_000_000, '69279037'],
    [20_000_000_000, '65353130']
  ]
  for (const [seconds, code] of vectors) {
    const at = new Date(seconds * 1000)
    t.equal(codeOf(secret, stepOf(at)), code.slice(-6), String(seconds))
    t.equal(findStep(secret, code.slice(-6), at), stepOf(at))
  }
})

t.test('an authenticator is added by a code that it shows, and its owner is told', async t => {
  const { account, form } = await scanned(t)
  const outcome = await confirmTotpEnrolment(ctx, { ...form, name: '  Old phone ' })
  t.match(outcome, { ok: true, id: String })
  t.match(await listTotp(ctx.sql, account.id), [
    { name: 'Old phone', createdAt: ctx.now(), lastUsedAt: null }
  ])
  t.strictSame(await eventsOf(account), ['totp.added'])
  t.match(await mailsTo(account), [
    { kind: 'factor_added', data: { factor: 'authenticator', label: 'Old phone', notMeLink: String } }
  ])
})

t.test('what is scanned and what is copied are one secret, which any application understands', async t => {
  const account = await person()
  const { secret, uri, qrCode } = beginTotpEnrolment(ctx, { account, boundTo: session })
  t.match(secret, /^([A-Z2-7]{4} ){7}[A-Z2-7]{4}$/, '160 bits in base32')
  const { protocol, host, pathname, searchParams } = new URL(uri)
  t.equal(`${protocol}//${host}${decodeURIComponent(pathname)}`, `otpauth://totp/Gatehouse:${account.email}`)
  t.strictSame(Object.fromEntries(searchParams), {
    secret: secret.replaceAll(' ', ''),
    issuer: 'Gatehouse'
  })
  t.match(qrCode.path, /^(M\d+ \d+h\d+v1H\d+z)+$/)
  t.ok(qrCode.size >= 29)
})

t.test('a brand with a colon in its name does not become another issuer', async t => {
  const account = await person()
  const brand = { ...ctx.config.brand, name: 'Bank: sign-in' }
  const { uri } = beginTotpEnrolment(
    { ...ctx, config: { ...ctx.config, brand } },
    { account, boundTo: session }
  )
  t.equal(decodeURIComponent(new URL(uri).pathname), `/Bank  sign-in:${account.email}`)
})

t.test('MFA-1: a code signs in once, and not with the one that set it up', async t => {
  const account = await person()
  const { id, secret } = await addAuthenticator(ctx, account)
  const verify = (code: string) => verifyTotp(ctx, { accountId: account.id, code })
  t.strictSame(await verify(codeShown(secret, ctx.now())), wrong, 'spent by the set-up')
  ctx.clock.advance(stepMs)
  const code = codeShown(secret, ctx.now())
  t.strictSame(await verify(otherCode(code)), wrong)
  t.strictSame(await verify(code), { ok: true, id })
  t.strictSame(await verify(code), wrong)
  t.strictSame((await listTotp(ctx.sql, account.id))[0]?.lastUsedAt, ctx.now())
  t.strictSame(await verify(codeShown(secret, ctx.now(), -30)), wrong, 'nor one from before it')
  t.strictSame(await verify(codeShown(secret, ctx.now(), 30)), { ok: true, id })
})

t.test('MFA-1: of twenty at once, on two nodes, one is let in', async t => {
  const account = await person()
  const { secret } = await addAuthenticator(ctx, account)
  ctx.clock.advance(stepMs)
  const pool = connect({ url: ctx.url, poolSize: 10 })
  t.teardown(() => pool.end({ timeout: 2 }))
  const code = codeShown(secret, ctx.now())
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, turn) =>
      verifyTotp(turn % 2 ? ctx : { ...ctx, sql: pool }, { accountId: account.id, code })
    )
  )
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
})

t.test('MFA-2: a code counts a step early or late, by our clock alone', async t => {
  for (const [seconds, counts] of [
    [-90, false],
    [-60, false],
    [-31, false],
    [-30, true],
    [-1, true],
    [0, true],
    [29, true],
    [30, true],
    [59, true],
    [60, false],
    [90, false]
  ] as const) {
    const account = await person()
    const { secret } = await addAuthenticator(ctx, account)
    ctx.clock.advance(10 * stepMs)
    const { ok } = await verifyTotp(ctx, {
      accountId: account.id,
      code: codeShown(secret, ctx.now(), seconds)
    })
    t.equal(ok, counts, `${seconds} s`)
  }
})

t.test('a code may be typed in groups; anything else is refused', async t => {
  const account = await person()
  const { id, secret } = await addAuthenticator(ctx, account)
  ctx.clock.advance(stepMs)
  const code = codeShown(secret, ctx.now())
  for (const typed of [undefined, null, 7, [code], { code }, '', code.slice(1), `${code}0`, `${code}\u{0}`])
    t.strictSame(await verifyTotp(ctx, { accountId: account.id, code: typed }), wrong)
  const typed = ` ${code.slice(0, 3)} ${code.slice(3)} `
  t.strictSame(await verifyTotp(ctx, { accountId: account.id, code: typed }), { ok: true, id })
})

t.test('one of several authenticators will do, and each has its own codes', async t => {
  const account = await person()
  const first = await addAuthenticator(ctx, account, 'First')
  const second = await addAuthenticator(ctx, account, 'Second')
  ctx.clock.advance(stepMs)
  for (const { id, secret } of [second, first])
    t.strictSame(await verifyTotp(ctx, { accountId: account.id, code: codeShown(secret, ctx.now()) }), {
      ok: true,
      id
    })
})

t.test("nobody gets in by another's authenticator, and having none looks like a wrong code", async t => {
  const [ada, bob] = [await person(), await person()]
  const { secret } = await addAuthenticator(ctx, ada)
  ctx.clock.advance(stepMs)
  const code = codeShown(secret, ctx.now())
  ctx.statements.length = 0
  t.strictSame(await verifyTotp(ctx, { accountId: bob.id, code }), wrong)
  const withNone = [...ctx.statements]
  ctx.statements.length = 0
  t.strictSame(await verifyTotp(ctx, { accountId: ada.id, code: otherCode(code) }), wrong)
  t.strictSame(ctx.statements, withNone, 'the same statements')
  t.strictSame(
    await verifyTotp(ctx, { accountId: bob.id, code: codeShown('A'.repeat(32), ctx.now()) }),
    wrong,
    'the secret that stands in for none opens nothing'
  )
})

t.test('MFA-4: an enrolment is good for one account, in one session, for ten minutes', async t => {
  const { account, secret, form } = await scanned(t)
  const other = await person()
  const code = codeShown(secret, ctx.now())
  const invalid = { ok: false, reason: 'invalid' }
  const tenth = form.enrolment[9] === 'A' ? 'B' : 'A'
  for (const change of [
    { account: other },
    { boundTo: randomBytes(32) },
    { enrolment: `${form.enrolment.slice(0, 9)}${tenth}${form.enrolment.slice(10)}` },
    { enrolment: form.enrolment.slice(0, -4) },
    { enrolment: '' },
    { enrolment: undefined },
    { enrolment: [form.enrolment] },
    { enrolment: 'A'.repeat(100_000) }
  ]) {
    t.strictSame(await confirmTotpEnrolment(ctx, { ...form, code, ...change }), invalid)
    t.strictSame(readTotpEnrolment(ctx, { ...form, ...change }), invalid)
  }
  ctx.clock.advance(600_000)
  const late = { ...form, code: codeShown(secret, ctx.now()) }
  t.strictSame(await confirmTotpEnrolment(ctx, late), { ok: false, reason: 'expired' })
  t.strictSame(readTotpEnrolment(ctx, form), { ok: false, reason: 'expired' })
  t.equal((await listTotp(ctx.sql, account.id)).length, 0)
  t.strictSame(await mailsTo(account), [])
})

t.test('MFA-4: a wrong code adds nothing, and the same enrolment can be tried again, once', async t => {
  const { account, secret, form } = await scanned(t)
  t.strictSame(await confirmTotpEnrolment(ctx, { ...form, code: otherCode(form.code) }), wrong)
  t.match(readTotpEnrolment(ctx, form), { ok: true, secret, enrolment: form.enrolment })
  const outcomes = await Promise.all(Array.from({ length: 5 }, () => confirmTotpEnrolment(ctx, form)))
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
  t.strictSame(
    outcomes.filter(({ ok }) => !ok),
    Array.from({ length: 4 }, () => ({ ok: false, reason: 'invalid' }))
  )
  t.equal((await mailsTo(account)).length, 1)
})

t.test('MFA-4: a secret is sealed for its row, and is in no answer once it is added', async t => {
  const [ada, bob] = [await person(), await person()]
  const { secret } = await addAuthenticator(ctx, ada)
  const theirs = await addAuthenticator(ctx, bob)
  const [stored] = await ctx.pool`select secret_sealed from totp_credentials where account_id = ${ada.id}`
  t.equal(stored?.secretSealed.indexOf(secret), -1)
  t.strictSame(Object.keys((await listTotp(ctx.sql, ada.id))[0] ?? {}).sort(), [
    'createdAt',
    'id',
    'lastUsedAt',
    'name'
  ])
  await ctx.pool`update totp_credentials set secret_sealed = ${stored?.secretSealed} where id = ${theirs.id}`
  ctx.clock.advance(stepMs)
  const code = codeShown(secret, ctx.now())
  await t.rejects(verifyTotp(ctx, { accountId: bob.id, code }), "a row with another's secret does not open")
})

t.test(
  'MFA-7: neither secrets nor codes are in the database, the audit trail and mails included',
  async t => {
    const { account, secret, form } = await scanned(t)
    await confirmTotpEnrolment(ctx, form)
    ctx.clock.advance(stepMs)
    const code = codeShown(secret, ctx.now())
    await verifyTotp(ctx, { accountId: account.id, code: otherCode(code) })
    await verifyTotp(ctx, { accountId: account.id, code })
    const forms = [secret, secret.replaceAll(' ', '')].flatMap(spellings)
    const tables = await dump(ctx.pool)
    for (const [table, rows] of tables)
      t.notOk(
        forms.some(form => rows.includes(form)),
        `the secret in ${table}`
      )
    const told = [tables.get('public.audit_events') ?? '', JSON.stringify(await mailsTo(account))].join()
    for (const typed of [form.code, code, otherCode(code)])
      t.notMatch(told, new RegExp(`\\b${typed}\\b`), 'no code is told')
  }
)

t.test('an account has ten authenticators at most, also when two are added at once', async t => {
  const account = await person()
  const add = async () => {
    const { secret, enrolment } = beginTotpEnrolment(ctx, { account, boundTo: session })
    const code = codeShown(secret, ctx.now())
    return await confirmTotpEnrolment(ctx, { account, boundTo: session, enrolment, code, name: '' })
  }
  for (let count = 0; count < 9; count++) t.ok((await add()).ok)
  const outcomes = await Promise.all([add(), add(), add()])
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
  t.match(
    outcomes.find(({ ok }) => !ok),
    { reason: 'too_many' }
  )
})

t.test('names are of any script and 60 characters; without one it is an authenticator app', async t => {
  const { account, form } = await scanned(t)
  for (const name of ['x'.repeat(61), 'two\nlines', ['a'], 'see https://evil.example', '<b>'])
    t.strictSame(await confirmTotpEnrolment(ctx, { ...form, name }), { ok: false, reason: 'invalid_name' })
  t.match(await confirmTotpEnrolment(ctx, form), { ok: true })
  const [{ id } = { id: '' }] = await listTotp(ctx.sql, account.id)
  t.match(await listTotp(ctx.sql, account.id), [{ name: 'Authenticator app' }])
  const rename = (name: unknown) => renameTotp(ctx, { accountId: account.id, id, name })
  t.strictSame(await rename(' '), { ok: false, reason: 'missing' })
  t.strictSame(await rename('x'.repeat(61)), { ok: false, reason: 'too_long' })
  t.strictSame(await rename('\u{202e}txt'), { ok: false, reason: 'invalid' })
  t.strictSame(await rename('字'.repeat(60)), { ok: true, name: '字'.repeat(60) })
  t.match(await listTotp(ctx.sql, account.id), [{ name: '字'.repeat(60) }])
  t.strictSame(await eventsOf(account), ['totp.added', 'totp.renamed'])
})

t.test('a removed authenticator signs nobody in, and its owner is told', async t => {
  const account = await person()
  const { id, secret } = await addAuthenticator(ctx, account, 'Old phone')
  const wanted = { accountId: account.id, id, secondFactorRequired: false }
  // Mails are told apart by their moment.
  ctx.clock.advance(1)
  t.strictSame(await removeTotp(ctx, wanted), { ok: true })
  t.strictSame(await removeTotp(ctx, wanted), { ok: false, reason: 'not_found' })
  ctx.clock.advance(stepMs)
  t.strictSame(await verifyTotp(ctx, { accountId: account.id, code: codeShown(secret, ctx.now()) }), wrong)
  t.strictSame(await eventsOf(account), ['totp.added', 'totp.removed'])
  t.match((await mailsTo(account)).at(-1), {
    kind: 'factor_removed',
    data: { factor: 'authenticator', label: 'Old phone' }
  })
})

t.test('recovery codes go with the last second factor, not before', async t => {
  const account = await person()
  const first = await addAuthenticator(ctx, account)
  const second = await addAuthenticator(ctx, account)
  await createRecoveryCodes(ctx, account)
  const remove = (id: string) => removeTotp(ctx, { accountId: account.id, id, secondFactorRequired: false })
  t.ok((await remove(first.id)).ok)
  t.equal(await countRecoveryCodes(ctx.sql, account.id), 10)
  t.ok((await remove(second.id)).ok)
  t.equal(await countRecoveryCodes(ctx.sql, account.id), 0)
  t.equal((await eventsOf(account)).filter(type => type === 'recovery_codes.removed').length, 1)
})

t.test("MFA-10: another's authenticator is neither renamed nor removed, and looks like none", async t => {
  const [ada, bob] = [await person(), await person()]
  const theirs = await addAuthenticator(ctx, bob, 'Bob’s')
  await addAuthenticator(ctx, ada)
  const notFound = { ok: false, reason: 'not_found' }
  for (const id of [theirs.id, '0193a7e0-0000-7000-8000-000000000000', 'no-id', '']) {
    t.strictSame(
      await removeTotp(ctx, { accountId: ada.id, id, secondFactorRequired: true }),
      notFound,
      `remove ${id}`
    )
    t.strictSame(await renameTotp(ctx, { accountId: ada.id, id, name: 'Mine' }), notFound, `rename ${id}`)
  }
  t.match(await listTotp(ctx.sql, bob.id), [{ name: 'Bob’s' }])
  t.strictSame(await eventsOf(bob), ['totp.added'])
})

t.test('where a second factor is needed, of the last two one stays, even when both go at once', async t => {
  const account = await person()
  const both = [await addAuthenticator(ctx, account), await addAuthenticator(ctx, account)]
  const outcomes = await Promise.all(
    both.map(({ id }) => removeTotp(ctx, { accountId: account.id, id, secondFactorRequired: true }))
  )
  t.strictSame(outcomes.map(({ ok }) => ok).sort(), [false, true])
  t.match(
    outcomes.find(({ ok }) => !ok),
    { reason: 'second_factor_required' }
  )
  t.equal((await listTotp(ctx.sql, account.id)).length, 1)
})

t.test('after “this wasn’t me” none is added or removed until the time is over', async t => {
  const { account, secret, form } = await scanned(t)
  const { id } = await addAuthenticator(ctx, account)
  await freeze(account, new Date(ctx.now().getTime() + stepMs))
  const remove = () => removeTotp(ctx, { accountId: account.id, id, secondFactorRequired: false })
  const frozen = { ok: false, reason: 'frozen' }
  t.strictSame(await confirmTotpEnrolment(ctx, form), frozen)
  t.strictSame(await remove(), frozen)
  ctx.clock.advance(stepMs)
  t.match(await confirmTotpEnrolment(ctx, { ...form, code: codeShown(secret, ctx.now()) }), { ok: true })
  t.strictSame(await remove(), { ok: true })
})
