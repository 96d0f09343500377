// Changing one's own password, and giving an account its first: what it takes, and what it ends.
import t from 'tap'
import { setFirstPassword } from '../../src/credentials/password-service.ts'
import { changeOwnPassword } from '../../src/self-service/password-service.ts'
import { endOtherSessions } from '../../src/sessions/service.ts'
import { openid } from '../helpers/application.ts'
import {
  askForReset,
  createPerson,
  lastNotMe,
  lastReset,
  newPassword,
  resetByLink,
  signedIn,
  startWithApplication,
  trustedDevice
} from '../helpers/resets.ts'
import { password } from '../helpers/service.ts'

const { service, application, letsIn } = await startWithApplication(t)
const { ctx } = service.app

/** The newest session of an account. */
async function sessionOf(accountId: string): Promise<string> {
  const [row] = await service.pool<{ uid: string }[]>`
    select uid from sessions where account_id = ${accountId} order by created_at desc limit 1`
  return row?.uid ?? ''
}

const eventsOf = async (accountId: string) =>
  (await service.pool`select type from audit_events where account_id = ${accountId} order by id`).map(
    ({ type }) => type
  )

t.test(
  'PWD-14: who changes the password stays signed in; other browsers and all tokens end, and a notice goes out',
  async t => {
    const email = 'ada@example.org'
    const accountId = await createPerson(service, { email })
    const other = await signedIn(service, application, { email })
    service.advance(1)
    const here = await signedIn(service, application, { email })
    const sessionUid = await sessionOf(accountId)
    const isTrusted = await trustedDevice(service, accountId)
    await askForReset(service, email)
    const { link } = await lastReset(service, email)
    service.advance(1)

    const typed = { accountId, sessionUid, current: password, password: newPassword }
    t.strictSame(await changeOwnPassword(ctx, typed), { ok: true })
    t.strictSame([await here.isSignedIn(), await other.isSignedIn()], [true, false])
    for (const { refreshes, tokens } of [here, other]) {
      t.equal(await refreshes(), false)
      await t.rejects(openid.fetchUserInfo(application.config, tokens.access_token, openid.skipSubjectCheck))
    }
    t.equal(await isTrusted(), false, 'trust in browsers')
    t.strictSame([await letsIn(email, password), await letsIn(email, newPassword)], [false, true])
    t.equal((await resetByLink(link)).status, 410, 'RST-3: a reset that was under way')
    t.match(await lastNotMe(service, email), '/not-me/')
    t.ok((await eventsOf(accountId)).includes('password.changed'))
    service.advance(3600)
    t.equal(await here.isSignedIn(), true, 'and for as long as before')
  }
)

t.test('every fault of a change is told at once, and then nothing has changed', async t => {
  const email = 'faults@example.org'
  const accountId = await createPerson(service, { email })
  const { isSignedIn } = await signedIn(service, application, { email })
  const sessionUid = await sessionOf(accountId)
  const change = async (current: unknown, typed: unknown) =>
    await changeOwnPassword(ctx, { accountId, sessionUid, current, password: typed })
  const faulty = (faults: object) => ({ ok: false, reason: 'faulty', faults })
  t.strictSame(await change('', 'short'), faulty({ current: 'missing', password: 'too_short' }))
  t.strictSame(await change(`${password}!`, undefined), faulty({ current: 'wrong', password: 'missing' }))
  t.strictSame(await change(password, 'x'.repeat(300)), faulty({ password: 'too_long' }))
  t.strictSame(await change([password], newPassword), faulty({ current: 'wrong' }))
  t.strictSame(await change(password.slice(0, -1), newPassword), faulty({ current: 'wrong' }))
  t.strictSame([await letsIn(email, password), await isSignedIn()], [true, true])
  t.notOk((await eventsOf(accountId)).includes('password.changed'))
})

t.test('PWD-14: of twenty changes at once one counts, and its session alone goes on', async t => {
  const email = 'race@example.org'
  const accountId = await createPerson(service, { email })
  await signedIn(service, application, { email })
  const sessionUid = await sessionOf(accountId)
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, async (_, i) => {
      const typed = `${newPassword} ${i}`
      return {
        typed,
        ...(await changeOwnPassword(ctx, { accountId, sessionUid, current: password, password: typed }))
      }
    })
  )
  const won = outcomes.filter(({ ok }) => ok)
  t.equal(won.length, 1)
  // The others came too late, or were more at once than may be looked at.
  for (const outcome of outcomes)
    if (!outcome.ok && outcome.reason !== 'too_many')
      t.match(outcome, { reason: 'faulty', faults: { current: 'wrong' } })
  t.equal(await letsIn(email, won[0]?.typed ?? ''), true)
})

t.test(
  'a session that was cut off, or is somebody else’s, changes nothing and does not come back',
  async t => {
    const email = 'over@example.org'
    const accountId = await createPerson(service, { email })
    const eve = await signedIn(service, application, { email })
    const sessionUid = await sessionOf(accountId)
    const bobsId = await createPerson(service, { email: 'bob@example.org' })
    const bob = await signedIn(service, application, { email: 'bob@example.org' })
    const bobs = await sessionOf(bobsId)
    service.advance(1)
    await service.pool`update accounts set tokens_valid_from = ${new Date()} where id = ${accountId}`
    service.advance(1)
    for (const uid of [sessionUid, bobs, 'no such session', '']) {
      const typed = { accountId, sessionUid: uid, current: password, password: newPassword }
      t.strictSame(await changeOwnPassword(ctx, typed), { ok: false, reason: 'session_over' }, uid)
      t.equal(await endOtherSessions(ctx, { accountId, sessionUid: uid }), false)
    }
    t.strictSame([await eve.isSignedIn(), await bob.isSignedIn()], [false, true])
    t.strictSame([await letsIn(email, password), await letsIn(email, newPassword)], [true, false])
    t.notOk((await eventsOf(accountId)).includes('password.changed'))
  }
)

t.test('an account without a password is given one, once, with a notice; its sessions go on', async t => {
  const email = 'first@example.org'
  const accountId = await createPerson(service, { email })
  const { isSignedIn } = await signedIn(service, application, { email })
  await service.pool`delete from password_credentials where account_id = ${accountId}`
  t.match(await setFirstPassword(ctx, { accountId, password: 'short' }), {
    faults: { password: 'too_short' }
  })
  const outcomes = await Promise.all(
    Array.from({ length: 20 }, (_, i) =>
      setFirstPassword(ctx, { accountId, password: `${newPassword} ${i}` })
    )
  )
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
  t.equal(outcomes.filter(one => !one.ok && one.reason === 'has_password').length, 19)
  const won = outcomes.findIndex(({ ok }) => ok)
  t.equal(await letsIn(email, `${newPassword} ${won}`), true)
  t.equal(await isSignedIn(), true)
  t.ok((await eventsOf(accountId)).includes('password.added'))
  t.match(await lastNotMe(service, email), '/not-me/')
})

t.test('for a day after “this wasn’t me” no password is changed or added', async t => {
  const email = 'frozen@example.org'
  const accountId = await createPerson(service, { email })
  await signedIn(service, application, { email })
  const until = new Date(Date.now() + 60_000)
  await service.pool`update accounts set factor_changes_frozen_until = ${until} where id = ${accountId}`
  const typed = {
    accountId,
    sessionUid: await sessionOf(accountId),
    current: password,
    password: newPassword
  }
  const frozen = { ok: false, reason: 'frozen', until }
  t.strictSame(await changeOwnPassword(ctx, typed), frozen)
  t.strictSame(await setFirstPassword(ctx, typed), frozen)
  service.advance(61)
  t.strictSame(await changeOwnPassword(ctx, typed), { ok: true })
})
