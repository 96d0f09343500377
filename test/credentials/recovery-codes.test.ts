import t from 'tap'
import type { Account } from '../../src/accounts/model.ts'
import { parseRecoveryCode } from '../../src/credentials/recovery-code-model.ts'
import { countRecoveryCodes } from '../../src/credentials/recovery-code-repository.ts'
import { createRecoveryCodes, useRecoveryCode } from '../../src/credentials/recovery-code-service.ts'
import { connect } from '../../src/db/connect.ts'
import { createContext } from '../helpers/context.ts'
import { dump, spellings } from '../helpers/dump.ts'
import { listQueuedMails, verifiedAccount } from '../helpers/people.ts'
import { addAuthenticator } from '../helpers/totp.ts'

const ctx = await createContext(t)
let people = 0

/** Somebody new with an authenticator, and their codes. */
async function personWithCodes(): Promise<{ account: Account; codes: string[] }> {
  const account = await verifiedAccount(ctx, { email: `person${people++}@example.org` })
  await addAuthenticator(ctx, account)
  return { account, codes: await newCodes(account) }
}

async function newCodes(account: Account): Promise<string[]> {
  // Mails are told apart by their moment.
  ctx.clock.advance(1)
  const outcome = await createRecoveryCodes(ctx, account)
  ctx.clock.advance(1)
  if (!outcome.ok) throw new Error(outcome.reason)
  return outcome.codes
}

const wrong = { ok: false, reason: 'wrong_code' }
const mailsTo = async ({ email }: Account) => (await listQueuedMails(ctx)).filter(mail => mail.to === email)

t.test('there are ten codes of 80 bits, no two alike, and their owner is told', async t => {
  const { account, codes } = await personWithCodes()
  t.equal(codes.length, 10)
  t.equal(new Set(codes).size, 10)
  for (const code of codes) t.match(code, /^([0-9A-HJKMNP-TV-Z]{4}-){3}[0-9A-HJKMNP-TV-Z]{4}$/)
  t.match((await mailsTo(account)).at(-1), { kind: 'factor_added', data: { factor: 'recovery_codes' } })
})

t.test('MFA-8: a code works once, with a mail and an event', async t => {
  const { account, codes } = await personWithCodes()
  const [code = ''] = codes
  t.strictSame(await useRecoveryCode(ctx, { account, code }), { ok: true, codesLeft: 9 })
  t.strictSame(await useRecoveryCode(ctx, { account, code }), wrong)
  t.match((await mailsTo(account)).at(-1), {
    kind: 'recovery_code_used',
    data: { codesLeft: 9, notMeLink: String }
  })
  const events = await ctx.pool`
    select details from audit_events where account_id = ${account.id} and type = 'recovery_code.used'`
  t.strictSame(
    events.map(({ details }) => details),
    [{ codesLeft: 9 }]
  )
})

t.test('MFA-8: of twenty at once, on two nodes, one is let in', async t => {
  const { account, codes } = await personWithCodes()
  const pool = connect({ url: ctx.url, poolSize: 10 })
  t.teardown(() => pool.end({ timeout: 2 }))
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, turn) =>
      useRecoveryCode(turn % 2 ? ctx : { ...ctx, sql: pool }, { account, code: codes[3] })
    )
  )
  t.strictSame(
    outcomes.filter(({ ok }) => ok),
    [{ ok: true, codesLeft: 9 }]
  )
  t.equal((await mailsTo(account)).filter(({ kind }) => kind === 'recovery_code_used').length, 1)
})

t.test('MFA-8: new codes end the old ones', async t => {
  const { account, codes } = await personWithCodes()
  const fresh = await newCodes(account)
  for (const code of codes) t.strictSame(await useRecoveryCode(ctx, { account, code }), wrong)
  t.equal(await countRecoveryCodes(ctx.sql, account.id), 10)
  t.match(await useRecoveryCode(ctx, { account, code: fresh[9] }), { ok: true, codesLeft: 9 })
})

t.test('MFA-8: of two sets made at once one is left', async t => {
  const { account } = await personWithCodes()
  const sets = await Promise.all([newCodes(account), newCodes(account), newCodes(account)])
  t.equal(await countRecoveryCodes(ctx.sql, account.id), 10)
  const good = []
  for (const [code = ''] of sets) good.push((await useRecoveryCode(ctx, { account, code })).ok)
  t.strictSame(good.sort(), [false, false, true])
})

t.test('MFA-8: a copy of the database holds no code, nor do the audit trail and mails', async t => {
  const { account, codes } = await personWithCodes()
  await useRecoveryCode(ctx, { account, code: codes[0] })
  const places = [...(await dump(ctx.pool)), ['mails', JSON.stringify(await mailsTo(account))] as const]
  const forms = codes.flatMap(code => [...spellings(code), ...spellings(code.replaceAll('-', ''))])
  for (const [place, text] of places)
    t.notOk(
      forms.some(form => text.includes(form)),
      place
    )
})

t.test(
  'a code may be typed in any case, without dashes, and with letters that look like its digits',
  async t => {
    t.equal(parseRecoveryCode('7k3m-9qxt-2bcd-w5hn'), '7K3M9QXT2BCDW5HN')
    t.equal(parseRecoveryCode(' 7K3M 9QXT–2BCD W5HN\n'), '7K3M9QXT2BCDW5HN')
    t.equal(parseRecoveryCode('OoIi-Ll01-0000-1111'), '0011110100001111')
    for (const typed of ['', 'U'.repeat(16), '7K3M-9QXT-2BCD-W5H', '7K3M-9QXT-2BCD-W5HNN', 7, null, ['a']])
      t.equal(parseRecoveryCode(typed), null)
    t.equal(parseRecoveryCode('0'.repeat(1_000_000)), null)
    const { account, codes } = await personWithCodes()
    const typed = (codes[0] ?? '')
      .toLowerCase()
      .replaceAll('-', ' ')
      .replaceAll('0', 'o')
      .replaceAll('1', 'l')
    t.match(await useRecoveryCode(ctx, { account, code: typed }), { ok: true })
  }
)

t.test('a code with one character off opens nothing, and spends none', async t => {
  const { account, codes } = await personWithCodes()
  const [code = ''] = codes
  for (const index of [0, 8, 18]) {
    const other = code[index] === '7' ? '8' : '7'
    const typed = `${code.slice(0, index)}${other}${code.slice(index + 1)}`
    t.strictSame(await useRecoveryCode(ctx, { account, code: typed }), wrong)
  }
  for (const typed of [undefined, '', [code], { code }])
    t.strictSame(await useRecoveryCode(ctx, { account, code: typed }), wrong)
  t.equal(await countRecoveryCodes(ctx.sql, account.id), 10)
})

t.test("nobody gets in by another's code", async t => {
  const [ada, bob] = [await personWithCodes(), await personWithCodes()]
  t.strictSame(await useRecoveryCode(ctx, { account: bob.account, code: ada.codes[0] }), wrong)
  t.match(await useRecoveryCode(ctx, { account: ada.account, code: ada.codes[0] }), { ok: true })
  await ctx.pool`update recovery_codes set account_id = ${bob.account.id} where account_id = ${ada.account.id}`
  t.strictSame(
    await useRecoveryCode(ctx, { account: bob.account, code: ada.codes[1] }),
    wrong,
    'nor by a row that was moved'
  )
})

t.test('there are none without a second factor, and no new ones after “this wasn’t me”', async t => {
  const alone = await verifiedAccount(ctx, { email: 'alone@example.org' })
  t.strictSame(await createRecoveryCodes(ctx, alone), { ok: false, reason: 'no_second_factor' })
  const { account, codes } = await personWithCodes()
  const until = new Date(ctx.now().getTime() + 1)
  await ctx.pool`update accounts set factor_changes_frozen_until = ${until} where id = ${account.id}`
  t.strictSame(await createRecoveryCodes(ctx, account), { ok: false, reason: 'frozen' })
  t.match(await useRecoveryCode(ctx, { account, code: codes[0] }), { ok: true }, 'the old ones are good')
})
