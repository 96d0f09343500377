// Setting up a factor in the course of a sign-in: for whom, when, and for nobody who has not just proved who they are.
import t from 'tap'
import { beginTotpEnrolment } from '../../src/credentials/totp-enrolment-service.ts'
import { beginRegistration } from '../../src/credentials/webauthn-registration-service.ts'
import { hashToken } from '../../src/lib/tokens.ts'
import { grantRole } from '../../src/roles/service.ts'
import { freeze } from '../helpers/account.ts'
import type { Application } from '../helpers/application.ts'
import { createWalk, createWorld, signIn, twoFactors } from '../helpers/factor-paths.ts'
import {
  createHolder,
  newKey,
  nextCode,
  recoveryCodesIn,
  secretIn,
  stepOf,
  typePassword,
  useKey,
  walkOn
} from '../helpers/factors.ts'
import { openSignIn } from '../helpers/forms.ts'
import { startService, Visitor } from '../helpers/service.ts'
import { codeShown, otherCode } from '../helpers/totp.ts'
import { type Answer, findForm, pageText } from '../helpers/visitor.ts'

const service = await startService(t, { environment: { SECOND_FACTOR_ROLES: 'staff, admin' } })
const world = await createWorld(service)
const { pool } = service
const { ctx } = service.app
type Holder = Awaited<ReturnType<typeof createHolder>>

const uidOf = ({ url }: Answer): string => /\/interaction\/([\w-]+)/.exec(url)?.[1] ?? ''
const factorsOf = async ({ account: { id } }: Holder) => {
  const [row] = await pool`
    select (select count(*)::int from totp_credentials where account_id = ${id}) as totp,
      (select count(*)::int from webauthn_credentials where account_id = ${id}) as keys,
      (select count(*)::int from recovery_codes where account_id = ${id}) as codes`
  return { ...row }
}

type Begin = { from?: Application; visitor?: Visitor; params?: Record<string, string> }

/** Signs in as far as the page after the password. */
async function begin(
  holder: Holder,
  { from = world.shop, visitor = new Visitor(), params = {} }: Begin = {}
) {
  const opened = await openSignIn(service, { application: from, visitor, params })
  const page = opened.page.text.includes('id="sign-in-form"')
    ? await typePassword(visitor, opened.page, holder)
    : opened.page
  return { ...opened, page }
}

/** Posts an enrolment that is as good as it can be, whatever page the browser is at. */
async function enrol(
  holder: Holder,
  { visitor, page }: { visitor: Visitor; page: Answer },
  uid = uidOf(page)
) {
  const { _csrf = '' } = findForm(
    page,
    page.text.includes('sign-in-form') ? 'sign-in-form' : 'cancel-form'
  ).fields
  const enrolling = { account: holder.account, boundTo: hashToken(uid) }
  const { secret, enrolment } = beginTotpEnrolment(ctx, enrolling)
  const response = newKey(service, 'passkey').create(await beginRegistration(ctx, enrolling))
  const post = (path: string, fields: Record<string, string>) =>
    visitor.request(`${service.issuer}/interaction/${uidOf(page)}/set-up/${path}`, {
      method: 'POST',
      body: new URLSearchParams({ _csrf, ...fields })
    })
  return [
    await post('totp', { enrolment, code: codeShown(secret, ctx.now()) }),
    await post('passkey', { response }),
    await post('passkey/options', {})
  ]
}

t.test('by role: an authenticator is set up once, with codes that are shown once', async t => {
  const holder = await createHolder(service)
  t.equal(stepOf((await begin(holder)).page), 'consent')
  await grantRole(ctx, { accountId: holder.account.id, role: 'admin' })

  const { visitor, page, finish } = await begin(holder)
  t.equal(stepOf(page), 'set-up')
  t.match(page.text, /id="set-up-passkey".*id="set-up-totp"/s)
  const form = await visitor.visit(`${page.url}?method=totp`)
  const secret = secretIn(form)
  const code = codeShown(secret, ctx.now())
  const wrong = await visitor.submit(form, 'totp-set-up-form', { code: otherCode(code), name: 'Phone' })
  t.equal(wrong.status, 422)
  t.equal(secretIn(wrong), secret, 'who scanned the code need not scan another')
  t.match(wrong.text, 'value="Phone"')
  t.strictSame(await factorsOf(holder), { totp: 0, keys: 0, codes: 0 })
  const empty = await visitor.submit(wrong, 'totp-set-up-form', {})
  t.strictSame([empty.status, secretIn(empty)], [422, secret])

  const done = await visitor.submit(empty, 'totp-set-up-form', { code, name: 'Phone' })
  const codes = recoveryCodesIn(done)
  t.equal(codes.length, 10)
  t.equal(done.headers.get('cache-control'), 'no-store')
  const reloaded = await visitor.submit(empty, 'totp-set-up-form', { code, name: 'Phone' })
  t.equal(stepOf(reloaded), 'consent', 'the page that is loaded again leads on')
  for (const again of [reloaded, await visitor.visit(page.url), await visitor.visit(form.url)])
    for (const shown of [...codes, secret]) t.notMatch(again.text, shown)
  t.strictSame(await factorsOf(holder), { totp: 1, keys: 0, codes: 10 })
  await finish((await visitor.submit(reloaded, 'consent-form', { decision: 'allow' })).location)

  holder.secret = secret.replaceAll(' ', '')
  const { proved } = await signIn(createWalk(service, holder, 'password'), { from: world.shop })
  t.strictSame(proved, ['password', 'totp'], 'from then on it is asked for')
})

t.test('a role that nothing is demanded of, or one that is taken again, sets nothing up', async t => {
  const holder = await createHolder(service, { role: 'guest' })
  t.equal(stepOf((await begin(holder)).page), 'consent')
})

t.test('a passkey will do as well', async t => {
  const holder = await createHolder(service, { role: 'staff' })
  const { visitor, page } = await begin(holder)
  const key = newKey(service, 'passkey')
  const done = await useKey(visitor, await visitor.visit(`${page.url}?method=passkey`), { key })
  t.equal(recoveryCodesIn(done).length, 10)
  holder.key = key
  const { proved, claims } = await signIn(createWalk(service, holder, 'password'), { from: world.shop })
  t.strictSame(proved, ['password', 'passkey'])
  t.equal(claims.acr, 'urn:gatehouse:acr:phr')
})

t.test('for an application that demands it: of its people, in its sign-in alone', async t => {
  const holder = await createHolder(service)
  t.equal(stepOf((await begin(holder)).page), 'consent')
  const { visitor, page } = await begin(holder, { from: world.ledger })
  t.equal(stepOf(page), 'set-up')
  t.match(pageText(page.text), 'ledger')
  const walk = { ...createWalk(service, holder, 'password'), visitor }
  t.equal((await walkOn(walk, page)).status, 303)
  t.strictSame(await factorsOf(holder), { totp: 1, keys: 0, codes: 10 })
})

t.test(
  'MFA-4: an old session that is asked for more proves the password again before anything is set up',
  async t => {
    const holder = await createHolder(service)
    const visitor = new Visitor()
    await signIn({ ...createWalk(service, holder, 'password'), visitor }, { from: world.shop })
    const stepUp = async () =>
      await openSignIn(service, { application: world.shop, visitor, params: { acr_values: twoFactors } })
    t.equal(stepOf((await stepUp()).page), 'set-up', 'a recent one is good')
    service.advance(590)
    const late = await stepUp()
    t.equal(stepOf(late.page), 'set-up')
    service.advance(11)
    for (const at of [late, await stepUp()]) {
      const page = await visitor.visit(at.page.url)
      t.equal(stepOf(page), 'sign-in', 'an old one is not')
      for (const { status, text } of await enrol(holder, { visitor, page })) {
        t.equal(status, 303)
        t.notMatch(text, 'challenge')
      }
    }
    t.strictSame(await factorsOf(holder), { totp: 0, keys: 0, codes: 0 })
    const page = await visitor.visit(late.page.url)
    const next = await typePassword(visitor, page, holder)
    t.equal(stepOf(next), 'set-up')
    t.equal((await enrol(holder, { visitor, page: next }))[0]?.status, 200)
  }
)

t.test('MFA-6: an enrolment of another sign-in, or of another person, is none', async t => {
  const [holder, other] = [
    await createHolder(service, { role: 'staff' }),
    await createHolder(service, { role: 'staff' })
  ]
  const [mine, theirs] = [await begin(holder), await begin(other)]
  const swapped = [
    await enrol(holder, mine, uidOf(theirs.page)),
    await enrol(other, mine),
    await enrol(other, mine, uidOf(theirs.page))
  ]
  for (const [totp, passkey] of swapped) t.strictSame([totp?.status, passkey?.status], [422, 422])
  for (const one of [holder, other]) t.strictSame(await factorsOf(one), { totp: 0, keys: 0, codes: 0 })
})

t.test('in the day after “this wasn’t me” nothing is set up', async t => {
  const holder = await createHolder(service, { role: 'staff' })
  await freeze(service, holder.account)
  const { visitor, page } = await begin(holder)
  t.equal(page.status, 403)
  t.match(page.text, 'role="alert"')
  for (const query of ['', '?method=totp', '?method=passkey']) {
    const { text } = await visitor.visit(`${page.url}${query}`)
    t.notMatch(text, /totp-set-up-form|passkey-form|id="secret"/)
  }
  for (const { status } of (await enrol(holder, { visitor, page })).slice(0, 2)) t.not(status, 303)
  t.strictSame(await factorsOf(holder), { totp: 0, keys: 0, codes: 0 })
  service.advance(86_401)
  t.equal(stepOf((await begin(holder)).page), 'set-up', 'a day later it is')
})

t.test(
  'who has an authenticator and is asked for a proof that cannot be passed on adds a passkey, after the code',
  async t => {
    const holder = await createHolder(service, { totp: true })
    const { visitor, page } = await begin(holder, { from: world.vault })
    t.equal(stepOf(page), 'second-factor')
    for (const { status } of await enrol(holder, { visitor, page }))
      t.equal(status, 303, 'nothing is set up before')
    const form = await visitor.submit(page, 'totp-form', { code: nextCode(service, holder) })
    t.equal(stepOf(form), 'set-up')
    t.notMatch((await visitor.visit(`${form.url}?method=totp`)).text, 'totp-set-up-form')
    const done = await useKey(visitor, form, { key: newKey(service, 'passkey') })
    t.equal(recoveryCodesIn(done).length, 10)
    t.strictSame(await factorsOf(holder), { totp: 1, keys: 1, codes: 10 })
  }
)

t.test('where everybody needs a second factor, nobody is in before there is one', async t => {
  const strict = await startService(t, { environment: { SECOND_FACTOR: 'required' } })
  const { shop } = await createWorld(strict)
  const holder = await createHolder(strict)
  const { visitor, page } = await openSignIn(strict, { application: shop })
  const next = await typePassword(visitor, page, holder)
  t.equal(stepOf(next), 'set-up')
  for (const step of ['', '/consent', '/second-factor', '/sign-in', '/sign-up', '/passkey'])
    t.equal(stepOf(await visitor.visit(next.url.replace('/set-up', step))), 'set-up', step)
  const { _csrf = '' } = findForm(next, 'cancel-form').fields
  const consent = await visitor.request(next.url.replace('/set-up', '/consent'), {
    method: 'POST',
    body: new URLSearchParams({ _csrf, decision: 'allow' })
  })
  t.equal(stepOf(await visitor.follow(consent)), 'set-up')
  t.equal(visitor.cookie('session'), undefined)
})
