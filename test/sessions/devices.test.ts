// Browsers that are known to an account: when they become so, by which cookie, and how they are forgotten.
import t from 'tap'
import type { Context } from '../../src/context.ts'
import { runBatch } from '../../src/db/batch.ts'
import { removeExpired } from '../../src/jobs/retention-service.ts'
import { createToken, hashToken } from '../../src/lib/tokens.ts'
import { devicesKept, isTrusted } from '../../src/sessions/device-model.ts'
import { listDevices } from '../../src/sessions/device-repository.ts'
import {
  deviceRetention,
  findOwnDevice,
  noteDevice,
  removeDevice,
  untrustDevices
} from '../../src/sessions/device-service.ts'
import { createApplication, newcomer, signInAgain } from '../helpers/application.ts'
import { createContext } from '../helpers/context.ts'
import { openSignIn, openSignUp } from '../helpers/forms.ts'
import { requestedBy } from '../helpers/guessing.ts'
import { verifiedAccount } from '../helpers/people.ts'
import { password, startService, Visitor } from '../helpers/service.ts'

const ctx = await createContext(t)
const account = (name: string) => verifiedAccount(ctx, { email: `${name}@example.org` })
const dayMs = 86_400_000

/** A sign-in that was completed in the browser with this cookie. */
async function complete(browser: Context, accountId: string, trust = false) {
  const { writes, outcome } = noteDevice(browser, { accountId, trust })
  await runBatch(ctx.pool, writes)
  return outcome()
}
const browserWith = (deviceToken?: string) =>
  requestedBy(ctx, deviceToken === undefined ? {} : { deviceToken })
const knows = async (accountId: string, token: string) =>
  (await findOwnDevice(browserWith(token), accountId)) !== null

t.test('a browser is new once, and then known by its cookie alone', async t => {
  const { id } = await account('once')
  const first = await complete(browserWith(), id)
  t.equal(first.newDeviceId !== null, true)
  t.strictSame(await complete(browserWith(first.token), id), { token: first.token, newDeviceId: null })
  t.equal(await knows(id, first.token), true)
  const almost = `${first.token[0] === 'A' ? 'B' : 'A'}${first.token.slice(1)}`
  t.equal(await knows(id, almost), false)
  t.equal((await listDevices(ctx.pool, id, ctx.now())).length, 1)
  const dump = JSON.stringify(await ctx.pool`select * from devices`)
  t.notMatch(dump, first.token, 'only its hash is stored')
})

t.test('a cookie that somebody put into the browser before is not the one that the owner gets', async t => {
  const [owner, thief] = [await account('owner'), await account('thief')]
  const planted = (await complete(browserWith(), thief.id)).token
  for (const cookie of [planted, createToken()]) {
    const own = await complete(browserWith(cookie), owner.id, true)
    t.equal(own.newDeviceId !== null, true)
    t.not(own.token, cookie)
    t.equal(await knows(owner.id, cookie), false)
  }
  t.equal(await knows(thief.id, planted), false, 'the browser has one cookie, for all accounts in it')
})

t.test('two people of one browser are both known in it', async t => {
  const [one, two] = [await account('one'), await account('two')]
  const first = (await complete(browserWith(), one.id)).token
  const second = (await complete(browserWith(first), two.id)).token
  t.strictSame([await knows(one.id, second), await knows(two.id, second)], [true, true])
  t.strictSame(await complete(browserWith(second), one.id), { token: second, newDeviceId: null })
})

t.test('trust lasts as long as the setting says, and no longer where that is lowered', async t => {
  const { id } = await account('trust')
  const { token } = await complete(browserWith(), id)
  const trusted = async (config = ctx.config) =>
    isTrusted(await findOwnDevice(browserWith(token), id), config, ctx.now())
  t.equal(await trusted(), false, 'not unasked')
  await complete(browserWith(token), id, true)
  t.equal(await trusted(), true)
  await complete(browserWith(token), id)
  t.equal(await trusted(), true, 'the next sign-in leaves it')
  t.equal(await trusted({ ...ctx.config, trustedDeviceDays: 0 }), false)
  t.equal(await trusted({ ...ctx.config, trustedDeviceDays: 7 }), false)
  ctx.clock.advance(30 * dayMs - 1)
  t.equal(await trusted(), true)
  ctx.clock.advance(1)
  t.equal(await trusted(), false)
  t.equal(await knows(id, token), true, 'known it stays')

  await complete(browserWith(token), id, true)
  const other = await account('trust-other')
  const { token: elsewhere } = await complete(browserWith(), other.id, true)
  t.equal(await untrustDevices(ctx.pool, id), 1)
  t.equal(await trusted(), false)
  t.equal(isTrusted(await findOwnDevice(browserWith(elsewhere), other.id), ctx.config, ctx.now()), true)
  const none = { ...browserWith(token), config: { ...ctx.config, trustedDeviceDays: 0 } }
  await complete(none, id, true)
  t.equal(await trusted(), false)
})

t.test('MFA-10: a browser is removed by its owner alone, once', async t => {
  const [owner, other] = [await account('remover'), await account('other')]
  const { token } = await complete(browserWith(), owner.id)
  const [device] = await listDevices(ctx.pool, owner.id, ctx.now())
  const deviceId = device?.id
  const refused = { ok: false, reason: 'not_found' }
  t.strictSame(await removeDevice(ctx, { accountId: other.id, deviceId }), refused)
  for (const wrong of [undefined, '', 'x', `${deviceId}0`, [deviceId], deviceId?.toUpperCase()])
    t.strictSame(await removeDevice(ctx, { accountId: owner.id, deviceId: wrong }), refused)
  t.equal(await knows(owner.id, token), true)
  const outcomes = await Promise.all(
    Array.from({ length: 5 }, () => removeDevice(ctx, { accountId: owner.id, deviceId }))
  )
  t.equal(outcomes.filter(({ ok }) => ok).length, 1)
  t.equal(await knows(owner.id, token), false)
  const [event] = await ctx.pool`select details from audit_events where type = 'device.removed'`
  t.strictSame(event, { details: { deviceId } })
})

t.test('browsers are forgotten when there are many, and 400 days after their last sign-in', async t => {
  const { id } = await account('many')
  const tokens: string[] = []
  for (let count = 0; count < devicesKept + 2; count++) {
    ctx.clock.advance(1000)
    tokens.push((await complete(browserWith(), id)).token)
  }
  const kept = await listDevices(ctx.pool, id, ctx.now())
  t.equal(kept.length, devicesKept)
  const [first = '', , third = ''] = tokens
  t.strictSame([await knows(id, first), await knows(id, third)], [false, true])

  ctx.clock.advance(399 * dayMs)
  await complete(browserWith(third), id)
  ctx.clock.advance(2 * dayMs)
  t.equal(await knows(id, tokens.at(-1) ?? ''), false)
  t.equal(
    (await complete(browserWith(tokens.at(-1)), id)).newDeviceId !== null,
    true,
    'even before it is cleared away'
  )
  await removeExpired(ctx, deviceRetention)
  t.equal((await ctx.pool`select from devices where account_id = ${id}`).length, 2)
  t.equal(await knows(id, third), true, 'a sign-in renews it')
})

t.test('over HTTP a browser becomes known by a complete sign-in and by nothing less', async t => {
  const service = await startService(t)
  const application = await createApplication(service)
  const rows = async () => [...(await service.pool`select token_hash from devices order by id`)]
  const { visitor, email } = await newcomer(service, application)
  const token = visitor.cookie('device') ?? ''
  t.strictSame(await rows(), [{ tokenHash: hashToken(token) }])

  const { visitor: wrong, page } = await openSignIn(service, { application })
  await wrong.post(page, 'sign-in-form', { email, password: `${password}!` })
  const half = await wrong.post(page, 'sign-in-form', { email, password })
  t.equal(half.status, 303)
  const { visitor: waiting, page: signUp } = await openSignUp(service, { application })
  await waiting.submit(signUp, 'sign-up-form', { email: 'half@example.org', name: 'Half', password })
  for (const one of [wrong, waiting]) t.equal(one.cookie('device'), undefined)
  t.equal((await rows()).length, 1, 'neither a wrong nor a half sign-in makes it known')

  await signInAgain(application, visitor, { email, params: { prompt: 'login' } })
  t.equal(visitor.cookie('device'), token)
  const { visitor: again, page: form } = await openSignIn(service, {
    application,
    visitor,
    params: { prompt: 'login consent' }
  })
  const consent = await again.submit(form, 'sign-in-form', { email, password })
  const done = await again.post(consent, 'consent-form', { decision: 'allow' })
  const line = done.headers.getSetCookie().find(cookie => cookie.startsWith('device='))
  t.match(line, /; Max-Age=34560000; Path=\/; HttpOnly; SameSite=Lax$/)

  const other = new Visitor()
  await signInAgain(application, other, { email })
  t.not(other.cookie('device'), token)
  t.equal((await rows()).length, 2)
  for (const bad of ['x', '', `${token}x`, `${token.slice(1)}%00`]) {
    const visitor = new Visitor()
    visitor.cookies.set('device|/', { value: bad, path: '/' })
    await signInAgain(application, visitor, { email })
    t.match(visitor.cookie('device'), /^[\w-]{43}$/)
  }
})
