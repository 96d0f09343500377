// A browser that a person trusts: what it spares them, and how that ends.
import t from 'tap'
import { sendNotice } from '../../src/accounts/notice-service.ts'
import { inTransaction } from '../../src/context.ts'
import type { Application } from '../helpers/application.ts'
import {
  createWalk,
  createWorld,
  oneFactor,
  phishingResistant,
  signIn,
  twoFactors
} from '../helpers/factor-paths.ts'
import { createHolder, nextCode, stepOf, typePassword, walkOn } from '../helpers/factors.ts'
import { openSignIn } from '../helpers/forms.ts'
import { askForReset, lastNotMe, lastReset, newPassword, resetByLink } from '../helpers/resets.ts'
import { startService, Visitor } from '../helpers/service.ts'

const service = await startService(t)
const world = await createWorld(service)
const { pool, issuer } = service
const dayInSeconds = 86_400
type Holder = Awaited<ReturnType<typeof createHolder>>

/** Somebody signs in anew with this browser: what they were asked for, and what the application was told. */
async function asked(
  holder: Holder,
  visitor: Visitor,
  { from = world.shop, trust = false }: { from?: Application; trust?: boolean } = {}
) {
  // Whoever was signed in here has closed the browser, which keeps what lasts.
  for (const name of visitor.cookies.keys()) if (!name.startsWith('device|')) visitor.cookies.delete(name)
  const walk = { ...createWalk(service, holder, 'password'), visitor, trust }
  const { claims, proved } = await signIn(walk, { from, params: { prompt: 'login consent' } })
  return { proved, acr: claims.acr }
}

const passwordAlone = { proved: ['password'], acr: oneFactor }
const both = { proved: ['password', 'totp'], acr: twoFactors }

/** A person with an authenticator, and a browser of theirs that they trust. */
async function trusting() {
  const holder = await createHolder(service, { totp: true })
  const visitor = new Visitor()
  await asked(holder, visitor, { trust: true })
  return { holder, visitor }
}

const isTrusted = async ({ account }: Holder): Promise<boolean> =>
  (await pool`select from devices where account_id = ${account.id} and trusted_until is not null`).length > 0

/** Opens a page of the account, past whatever is asked for. */
async function openPage(holder: Holder, visitor: Visitor, path: string) {
  const walk = { ...createWalk(service, holder, 'password'), visitor }
  return await walkOn(walk, await visitor.visit(`${issuer}${path}`))
}

t.test('a trusted browser is asked for the password alone, and says no more than it knows', async t => {
  const { holder, visitor } = await trusting()
  t.strictSame(await asked(holder, visitor), passwordAlone)
  t.strictSame(await asked(holder, new Visitor()), both, 'any other browser is asked')

  const other = await createHolder(service, { totp: true })
  t.strictSame(await asked(other, visitor), both, 'and so is anybody else in this one')
  t.strictSame(await asked(holder, visitor), passwordAlone)
  t.strictSame(await asked(other, visitor), both)
})

t.test('trust is for thirty days, however often the browser is used', async t => {
  const { holder, visitor } = await trusting()
  for (const days of [15, 14.999]) {
    service.advance(days * dayInSeconds)
    t.strictSame(await asked(holder, visitor), passwordAlone)
  }
  service.advance(dayInSeconds / 500)
  t.strictSame(await asked(holder, visitor), both)
})

t.test(
  'no application that demands two factors is satisfied by trust, nor are changes of factors',
  async t => {
    const { holder, visitor } = await trusting()
    t.strictSame(await asked(holder, visitor, { from: world.ledger }), both)
    t.strictSame(await asked(holder, visitor), passwordAlone, 'which takes no trust away')
    const page = await visitor.visit(`${issuer}/account/security/authenticators/add`)
    t.equal(stepOf(page), 'second-factor')
  }
)

t.test('a key can be trusted for, too; a recovery code cannot', async t => {
  const holder = await createHolder(service, { totp: true, key: 'security_key', recoveryCodes: true })
  const visitor = new Visitor()
  const walk = {
    ...createWalk(service, holder, 'password'),
    visitor,
    trust: true,
    second: 'recovery_code' as const
  }
  await signIn(walk, { from: world.shop })
  t.equal(await isTrusted(holder), false, 'whoever found the codes is not to stay')
  const byKey = { proved: ['password', 'security_key'], acr: phishingResistant }
  t.strictSame(await asked(holder, visitor, { trust: true }), byKey)
  t.strictSame(await asked(holder, visitor), passwordAlone)
})

const endings: Record<string, (holder: Holder, visitor: Visitor) => Promise<void>> = {
  'a change of the password': async (holder, visitor) => {
    const page = await openPage(holder, visitor, '/account/security/password')
    await visitor.submit(page, 'password-form', { current: holder.password, password: newPassword })
    holder.password = newPassword
  },
  'a reset': async holder => {
    await askForReset(service, holder.email)
    await resetByLink((await lastReset(service, holder.email)).link)
    holder.password = newPassword
  },
  '“this wasn’t me”': async (holder, visitor) => {
    const { account } = holder
    await inTransaction(service.app.ctx, tx =>
      sendNotice(tx, account, { kind: 'password_changed', data: {} })
    )
    const thief = new Visitor()
    await thief.submit(await thief.visit(await lastNotMe(service, holder.email, 2)), 'not-me-form')
    if (await isTrusted(holder)) throw new Error(`still trusted: ${visitor.cookie('device')}`)
    await resetByLink((await lastReset(service, holder.email)).link)
    holder.password = newPassword
  },
  'its owner’s word on the account’s page': async (holder, visitor) => {
    await visitor.submit(await openPage(holder, visitor, await deviceUrl(holder)), 'untrust-form')
  },
  'its removal on the account’s page': async (holder, visitor) => {
    await visitor.submit(await openPage(holder, visitor, await deviceUrl(holder)), 'remove-form')
  }
}

async function deviceUrl({ account }: Holder): Promise<string> {
  const [device] = await pool<{ id: string }[]>`select id from devices where account_id = ${account.id}`
  return `/account/security/devices/${device?.id}`
}

for (const [what, end] of Object.entries(endings))
  t.test(`trust ends with ${what}`, async t => {
    const { holder, visitor } = await trusting()
    t.strictSame(await asked(holder, visitor), passwordAlone)
    await end(holder, visitor)
    t.equal(await isTrusted(holder), false)
    // The browser may have been signed out, and what was issued until this second is void.
    service.advance(1)
    t.strictSame(await asked(holder, visitor), both)
  })

t.test('a device cookie that was stolen opens nothing by itself', async t => {
  const { holder, visitor } = await trusting()
  const cookie = visitor.cookie('device') ?? ''
  t.match(cookie, /^[\w-]{43}$/)
  const withCookie = (value: string) => {
    const thief = new Visitor()
    thief.cookies.set('device|/', { value, path: '/' })
    return thief
  }
  const thief = withCookie(cookie)
  t.equal(stepOf(await thief.visit(`${issuer}/account/security`)), 'sign-in')
  const { page } = await openSignIn(service, { application: world.shop, visitor: thief })
  t.notMatch(page.text, holder.email, 'it does not even tell whose it is')
  for (const password of ['', 'wrong horse battery staple'])
    t.equal((await thief.post(page, 'sign-in-form', { email: holder.email, password })).status, 422)
  t.equal(thief.cookie('session'), undefined)

  const almost = `${cookie[0] === 'A' ? 'B' : 'A'}${cookie.slice(1)}`
  t.strictSame(await asked(holder, withCookie(almost)), both, 'one character off')
})

t.test('trust that was given for longer than the setting allows by now counts no more', async t => {
  const { holder, visitor } = await trusting()
  await pool`update devices set trusted_until = trusted_until + interval '1 day' where account_id = ${holder.account.id}`
  t.strictSame(await asked(holder, visitor), both)
})

t.test('where the setting is 0 days, trust is neither offered nor taken', async t => {
  const strict = await startService(t, { environment: { TRUSTED_DEVICE_DAYS: '0' } })
  const { shop } = await createWorld(strict)
  const holder = await createHolder(strict, { totp: true })
  const visitor = new Visitor()
  for (const _ of [1, 2]) {
    const { page } = await openSignIn(strict, {
      application: shop,
      visitor,
      params: { prompt: 'login consent' }
    })
    const next = await typePassword(visitor, page, holder)
    t.equal(stepOf(next), 'second-factor')
    t.notMatch(next.text, 'name="trust"')
    const consent = await visitor.submit(next, 'totp-form', { code: nextCode(strict, holder), trust: 'yes' })
    await visitor.submit(consent, 'consent-form', { decision: 'allow' })
  }
  t.equal((await strict.pool`select from devices where trusted_until is not null`).length, 0)
})
