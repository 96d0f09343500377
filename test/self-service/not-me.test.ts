// “This wasn't me” in a notice: what it ends, that it happens once, and how the owner gets back in.
import t from 'tap'
import { sendNotice } from '../../src/accounts/notice-service.ts'
import { inTransaction } from '../../src/context.ts'
import { countRecoveryCodes } from '../../src/credentials/recovery-code-repository.ts'
import { listTotp } from '../../src/credentials/totp-repository.ts'
import { listPasskeys } from '../../src/credentials/webauthn-repository.ts'
import { openid } from '../helpers/application.ts'
import { createWalk, createWorld, signIn } from '../helpers/factor-paths.ts'
import { createHolder } from '../helpers/factors.ts'
import { openSignIn } from '../helpers/forms.ts'
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
import { password, Visitor } from '../helpers/service.ts'
import { addAuthenticator } from '../helpers/totp.ts'
import { type Answer, findForm } from '../helpers/visitor.ts'
import { waitFor } from '../helpers/wait.ts'

const { service, application, letsIn } = await startWithApplication(t)
const { ctx } = service.app

/** A person who is sent a notice; its link. */
async function noticed(email: string, count = 1): Promise<{ id: string; link: string }> {
  const [found] = await service.pool<{ id: string }[]>`select id from accounts where email_key = ${email}`
  const id = found?.id ?? (await createPerson(service, { email }))
  await inTransaction(ctx, tx => sendNotice(tx, { id, email }, { kind: 'password_changed', data: {} }))
  return { id, link: await lastNotMe(service, email, count) }
}

/** Presses the button of a link's page. */
async function press(link: string, visitor = new Visitor()): Promise<Answer> {
  return await visitor.post(await visitor.visit(link), 'not-me-form')
}

const tokensOf = async (id: string) =>
  (await service.pool`select kind from security_tokens where account_id = ${id} order by kind`).map(
    ({ kind }) => kind
  )

t.test('one button puts everybody out, and the owner gets back in by the mailbox', async t => {
  const email = 'ada@example.org'
  const { id, link } = await noticed(email)
  const eve = await signedIn(service, application, { email })
  const isTrusted = await trustedDevice(service, id)
  const eves = await askForReset(service, email)
  const evesMail = await lastReset(service, email)
  for (const kind of ['sign_in', 'change_address', 'undo_address', 'not_me'])
    await service.pool`
      insert into security_tokens (token_hash, kind, account_id, created_at, expires_at)
      values (sha256(${`${id}${kind}`}::bytea), ${kind}, ${id}, now(), now() + interval '1 hour')`
  const half = await openSignIn(service, { application })
  const underWay = await half.visitor.post(half.page, 'sign-in-form', { email, password })
  service.advance(1)

  const owner = new Visitor()
  const page = await owner.visit(link)
  t.match(page.text, 'not-me-form')
  const answer = await owner.post(page, 'not-me-form')
  t.equal(answer.status, 303)
  const next = await owner.follow(answer)
  t.match(next.text, 'Everybody is signed out of your account')

  t.equal(await eve.isSignedIn(), false)
  t.equal(await eve.refreshes(), false)
  await t.rejects(openid.fetchUserInfo(application.config, eve.tokens.access_token, openid.skipSubjectCheck))
  t.notMatch((await half.visitor.follow(underWay)).text, 'consent-form', 'a sign-in under way')
  t.equal(await isTrusted(), false)
  t.equal(await letsIn(email, password), false, 'the password that Eve knows')
  t.equal((await resetByLink(evesMail.link)).status, 410)
  const guess = { code: evesMail.code, password: newPassword }
  t.equal((await eves.visitor.post(eves.page, 'reset-code-form', guess)).status, 422)
  for (const table of ['grants', 'consents'])
    t.equal((await service.pool.unsafe(`select from ${table} where account_id = $1`, [id])).length, 0, table)
  const [frozen] = await service.pool`
    select extract(epoch from factor_changes_frozen_until - ${new Date()}::timestamptz) / 3600 as hours
    from accounts where id = ${id}`
  t.ok(Number(frozen?.hours) > 23.9 && Number(frozen?.hours) <= 24)
  t.strictSame(await tokensOf(id), ['reset_password', 'undo_address'])
  const events = await service.pool`
    select details from audit_events where type = 'account.takeover_reported' and account_id = ${id}`
  t.strictSame([...events], [{ details: { recovery: 'queued', factorsRemoved: 0 } }])

  const mailed = await lastReset(service, email, 2)
  const done = await owner.submit(next, 'reset-code-form', { code: mailed.code, password: newPassword })
  t.match(done.text, 'Your password is changed')
  const back = await openSignIn(service, { application, params: { prompt: '' } })
  const asked = await back.visitor.submit(back.page, 'sign-in-form', { email, password: newPassword })
  t.match(asked.text, 'consent-form', 'and is asked anew what the application may do')
})

t.test('a factor that was added since the notice goes, one that was there before stays', async t => {
  const email = 'factors@example.org'
  const id = await createPerson(service, { email })
  await addAuthenticator(ctx, { id, email }, 'Old phone')
  service.advance(60)
  const { link } = await noticed(email, 2)
  service.advance(60)
  await addAuthenticator(ctx, { id, email }, "Eve's phone")
  await press(link)
  t.strictSame(
    (await listTotp(ctx.sql, id)).map(({ name }) => name),
    ['Old phone']
  )
})

t.test(
  'the notice of a factor takes that factor away, and the notice of a sign-in what was set up in it',
  async t => {
    for (const set of ['authenticator', 'key', 'codes'] as const) {
      const facts =
        set === 'key' ? { key: 'passkey' as const } : { totp: true, recoveryCodes: set === 'codes' }
      const { email, account } = await createHolder(service, facts)
      await press(await lastNotMe(service, email, set === 'codes' ? 2 : 1))
      const { id } = account
      t.equal((await listPasskeys(ctx.sql, id)).length, 0)
      if (set !== 'codes') t.equal((await listTotp(ctx.sql, id)).length, 0)
      t.equal(await countRecoveryCodes(ctx.sql, id), 0)
    }

    const owner = await createHolder(service)
    const world = await createWorld(service)
    await signIn(createWalk(service, owner, 'password'), { from: world.shop })
    service.advance(60)
    const eve = createWalk(service, { ...owner }, 'password')
    const { proved } = await signIn(eve, { from: world.ledger })
    t.strictSame(proved, ['password', 'totp'], 'Eve knows the password, and sets up the second step')
    const subject = 'New sign-in'
    await waitFor(async () =>
      (await service.mailTo(owner.email, 0)).some(mail => mail.subject.startsWith(subject))
    )
    const mails = await service.mailTo(owner.email, 0)
    const link = mails
      .find(mail => mail.subject.startsWith(subject))
      ?.links.find(url => url.includes('/not-me/'))
    await press(link ?? '')
    t.equal((await listTotp(ctx.sql, owner.account.id)).length, 0)
  }
)

t.test('a notice of four days ago removes nothing that is older than three', async t => {
  const email = 'later@example.org'
  const { id, link } = await noticed(email)
  await addAuthenticator(ctx, { id, email }, 'Phone')
  service.advance(4 * 86_400)
  await press(link)
  t.equal((await listTotp(ctx.sql, id)).length, 1)
})

t.test('looking at the link does nothing, however often and by whatever scanner', async t => {
  const email = 'looked@example.org'
  const { id, link } = await noticed(email)
  const ada = await signedIn(service, application, { email })
  const before = await service.pool`select * from accounts where id = ${id}`
  for (const method of ['GET', 'HEAD', 'GET'])
    t.equal((await new Visitor().request(link, { method })).status, 200)
  t.strictSame(await service.pool`select * from accounts where id = ${id}`, before)
  t.equal(await ada.isSignedIn(), true)
  t.strictSame(await tokensOf(id), ['not_me'])
  for (const headers of [{}, { origin: 'https://evil.example' }]) {
    const forged = { method: 'POST', body: new URLSearchParams(), headers: headers as Record<string, string> }
    t.equal((await new Visitor().request(link, forged)).status, 403)
  }
  t.equal(await ada.isSignedIn(), true)
})

t.test('of twenty clicks one counts; a later one harms nobody who is back in', async t => {
  const email = 'twice@example.org'
  await noticed(email)
  const { id, link } = await noticed(email, 2)
  const [first, second] = (await service.mailTo(email, 2)).map(
    ({ links }) => links.find(url => url.includes('/not-me/')) ?? ''
  )
  const visitor = new Visitor()
  const page = await visitor.visit(link)
  const answers = await Promise.all(Array.from({ length: 20 }, () => visitor.post(page, 'not-me-form')))
  t.strictSame(answers.map(({ status }) => status).sort(), [303, ...Array(19).fill(410)])
  const events = await service.pool`
    select from audit_events where type = 'account.takeover_reported' and account_id = ${id}`
  t.equal(events.length, 1)
  await resetByLink((await lastReset(service, email)).link)
  const ada = await signedIn(service, application, { email, secret: newPassword })
  service.advance(1)
  const again = await visitor.post(page, 'not-me-form')
  t.equal(again.status, 410)
  t.match(again.text, 'This link is not good any more')
  t.match(again.text, /id="to-reset-password" href="\/reset-password"/)
  for (const other of [first, second])
    t.equal((await new Visitor().visit(other ?? '')).status, 410, 'nor the link of the other notice')
  t.equal(await ada.isSignedIn(), true)
  t.equal(await letsIn(email, newPassword), true)
})

t.test(
  'one character off, another kind’s, an unknown and a week-old link do nothing and lead on',
  async t => {
    const email = 'near@example.org'
    const { link } = await noticed(email)
    const ada = await signedIn(service, application, { email })
    const token = link.split('/').at(-1) ?? ''
    await askForReset(service, email)
    const reset = await lastReset(service, email)
    const reader = new Visitor()
    const { fields } = findForm(await reader.visit(link), 'not-me-form')
    const others = [
      `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}`,
      `${token[0] === 'A' ? 'B' : 'A'}${token.slice(1)}`,
      token.slice(0, -1),
      reset.token,
      'null',
      '%00'
    ]
    for (const other of others) {
      const url = link.replace(token, other)
      t.match(await reader.visit(url), { status: 410, text: /id="to-reset-password"/ }, other)
      const answer = await reader.request(url, { method: 'POST', body: new URLSearchParams(fields) })
      t.equal(answer.status, 410, other)
    }
    t.equal((await new Visitor().visit(`${service.issuer}/reset-password/${token}`)).status, 410)
    t.equal(await ada.isSignedIn(), true)
    service.advance(7 * 86_400 + 1)
    const late = await reader.request(link, { method: 'POST', body: new URLSearchParams(fields) })
    t.match(late, { status: 410, text: /This link is too old/ })
    t.equal(await letsIn(email, password), true)
  }
)

t.test('where no mail can go out, it says how to get back in', async t => {
  const capped = await noticed('capped@example.org')
  for (let i = 0; i < 3; i++) await askForReset(service, 'capped@example.org')
  const answer = await press(capped.link)
  t.equal(answer.status, 200)
  t.match(answer.text, 'wait for an hour')
  t.equal(await letsIn('capped@example.org', password), false)
  t.strictSame(await tokensOf(capped.id), [])

  const moved = await noticed('moved@example.org')
  await service.pool`
    update accounts set email = 'eve@example.org', email_key = 'eve@example.org' where id = ${moved.id}`
  const told = await press(moved.link)
  t.match(told.text, 'No mail was sent')
  t.notMatch(told.text, 'eve@example.org', 'the new address is nobody’s to know')
  t.equal((await service.mailTo('eve@example.org', 0)).length, 0, 'who took the address gets no way in')
  t.equal(await letsIn('eve@example.org', password), false)

  const disabled = await noticed('off@example.org')
  await service.pool`update accounts set disabled_at = now() where id = ${disabled.id}`
  t.match((await press(disabled.link)).text, 'No mail was sent')
})
