// Changing the ways to sign in that one has, and what stands against it.
import t from 'tap'
import { addPasskey, codesIn, createMember, eventsOf, freeze, overview, pathOf } from '../helpers/account.ts'
import { newPassword } from '../helpers/resets.ts'
import { password, startService } from '../helpers/service.ts'
import { pageText } from '../helpers/visitor.ts'

const service = await startService(t, { environment: { SECOND_FACTOR_ROLES: 'staff' } })
const { pool } = service

t.test('an authenticator is renamed', async t => {
  const ada = await createMember(service, { authenticator: true })
  const page = await ada.open(`${overview}/authenticators/${ada.authenticatorId}`)
  const refused = await ada.visitor.submit(page, 'rename-form', { name: ' ' })
  t.equal(refused.status, 422)
  const renamed = await ada.visitor.submit(page, 'rename-form', { name: 'Telephone', owner: 'x', id: 'y' })
  t.equal(pathOf(renamed), `${overview}?done=authenticator-renamed`)
  t.match(renamed.text, 'Telephone')
})

t.test('new recovery codes void the old, and there are none without a second factor', async t => {
  const ada = await createMember(service, { authenticator: true })
  const page = await ada.open(`${overview}/recovery-codes`)
  const first = codesIn(await ada.visitor.submit(page, 'recovery-codes-form'))
  const second = codesIn(await ada.visitor.submit(page, 'recovery-codes-form'))
  t.equal(new Set([...first, ...second]).size, 20)
  const [row] = await pool`select count(*)::int as n from recovery_codes where account_id = ${ada.account.id}`
  t.equal(row?.n, 10)
  const bob = await createMember(service, { authenticator: true })
  const open = await bob.open(`${overview}/recovery-codes`)
  await pool`delete from totp_credentials where account_id = ${bob.account.id}`
  const refused = await bob.visitor.submit(open, 'recovery-codes-form')
  t.equal(refused.status, 422)
  t.match(pageText(refused.text), 'no second step')
  const none = await bob.open(`${overview}/recovery-codes`)
  t.notMatch(none.text, 'recovery-codes-form', 'what cannot be made is not offered')
  t.match(none.text, 'to-add-passkey')
})

t.test('PWD-9: a wrong current password is a guess at the account, and slows down all others', async t => {
  const ada = await createMember(service)
  const page = await ada.open(`${overview}/password`)
  const guess = (current: string) =>
    ada.visitor.submit(page, 'password-form', { current, password: newPassword })
  const statuses = []
  for (let tries = 0; tries < 15 && statuses.at(-1) !== 429; tries++)
    statuses.push((await guess(`wrong ${tries}`)).status)
  t.equal(statuses.at(-1), 429)
  const right = await guess(password)
  t.equal(right.status, 429, 'nothing is looked at any more')
  t.match(pageText(right.text), 'There were too many wrong tries')
  t.match(Number(right.headers.get('retry-after')) > 0, true)
  service.advance(3600)
  const again = await ada.visitor.submit(await ada.open(`${overview}/password`), 'sign-in-form', {
    email: ada.email,
    password
  })
  const changed = await ada.visitor.submit(again, 'password-form', {
    current: password,
    password: newPassword
  })
  t.equal(pathOf(changed), `${overview}?done=password-changed`)
})

t.test('browsers are listed, this one marked; trust ends, and they are forgotten', async t => {
  const ada = await createMember(service, { authenticator: true })
  const [device] = await pool<{ id: string }[]>`
    update devices set trusted_until = now() + interval '400 days', user_agent = 'Mozilla/5.0 (Windows NT 10.0) Firefox/140'
    where account_id = ${ada.account.id} returning id`
  const path = `${overview}/devices/${device?.id}`
  t.notMatch(
    (await ada.open(path)).text,
    'id="untrust-form"',
    'longer than the setting allows does not count'
  )
  await pool`update devices set trusted_until = now() + interval '20 days' where account_id = ${ada.account.id}`
  const listed = await ada.open(overview)
  t.match(pageText(listed.text), /Firefox on Windows This browser Last seen [^.]+ Trusted until/)
  await freeze(service, ada.account)
  const page = await ada.open(path)
  const untrusted = await ada.visitor.submit(page, 'untrust-form')
  t.equal(pathOf(untrusted), `${overview}?done=device-untrusted`, 'also in the day after “this wasn’t me”')
  t.notMatch(pageText(untrusted.text), 'Trusted until')
  const removed = await ada.visitor.submit(page, 'remove-form')
  t.equal(pathOf(removed), `${overview}?done=device-removed`)
  t.match(pageText(removed.text), 'None is remembered')
  t.equal((await ada.visitor.submit(page, 'remove-form')).status, 404, 'once')
  t.strictSame(await eventsOf(service, ada, 'device.%'), ['device.untrusted', 'device.removed'])
})

t.test('an account without a password gets one', async t => {
  const ada = await createMember(service)
  await addPasskey(service, ada.account)
  await pool`delete from password_credentials where account_id = ${ada.account.id}`
  await pool`update sessions set acr = 'urn:gatehouse:acr:phr' where account_id = ${ada.account.id}`
  t.match(pageText((await ada.open(overview)).text), 'No password is set')
  const page = await ada.open(`${overview}/password`)
  t.notMatch(page.text, 'id="current"')
  const added = await ada.visitor.submit(page, 'password-form', { password: newPassword })
  t.equal(pathOf(added), `${overview}?done=password-added`)
})

t.test('WAN-6: the last way in stays, and the page says what to do', async t => {
  const ada = await createMember(service)
  const id = await addPasskey(service, ada.account)
  await pool`delete from password_credentials where account_id = ${ada.account.id}`
  await pool`update sessions set acr = 'urn:gatehouse:acr:phr' where account_id = ${ada.account.id}`
  const refused = await ada.visitor.submit(await ada.open(`${overview}/passkeys/${id}`), 'remove-form')
  t.equal(refused.status, 422)
  t.match(
    refused.text,
    /role="alert">This is the only way into your account[^<]+Add a password or another passkey/
  )
  t.match((await ada.open(overview)).text, `id="passkey-${id}"`)
})

t.test('where a role demands a second factor, the last one stays', async t => {
  const ada = await createMember(service, { authenticator: true })
  await pool`insert into role_assignments values (${ada.account.id}, 'staff', now())`
  const page = await ada.open(`${overview}/authenticators/${ada.authenticatorId}`)
  const refused = await ada.visitor.submit(page, 'remove-form')
  t.equal(refused.status, 422)
  t.match(refused.text, /role="alert">Your account has to have a second step/)
})

t.test('after “this wasn’t me” nothing can be changed, and the page says so', async t => {
  const ada = await createMember(service, { authenticator: true })
  const path = `${overview}/authenticators/${ada.authenticatorId}`
  const form = await ada.open(path)
  await freeze(service, ada.account)
  const page = await ada.open(overview)
  t.match(page.text, 'id="frozen"')
  t.notMatch(
    page.text,
    /id="(add-passkey|add-authenticator|change-password|change-address|make-recovery-codes)"/
  )
  for (const change of ['password', 'passkeys/add', 'authenticators/add', 'recovery-codes', 'address'])
    t.equal(pathOf(await ada.open(`${overview}/${change}`)), overview, change)
  t.equal(pathOf(await ada.visitor.submit(form, 'remove-form')), overview)
  t.strictSame(await eventsOf(service, ada, 'totp.%'), ['totp.added'])
  service.advance(86_400)
  t.notMatch((await ada.open(overview)).text, 'id="frozen"')
})

t.test(
  'a password goes where a passkey opens the account, is told by mail, and can be added again',
  async t => {
    const ada = await createMember(service, { authenticator: true })
    const without = await ada.open(`${overview}/password`)
    t.notMatch(without.text, 'to-remove-password', 'nothing else opens the account')
    const refused = await ada.visitor.submit(
      await ada.open(`${overview}/password/remove`),
      'remove-password-form'
    )
    t.equal(refused.status, 422)
    t.match(pageText(refused.text), 'only way into your account')

    await addPasskey(service, ada.account)
    t.match((await ada.open(`${overview}/password`)).text, 'to-remove-password')
    const removed = await ada.visitor.submit(
      await ada.open(`${overview}/password/remove`),
      'remove-password-form'
    )
    t.equal(pathOf(removed), `${overview}?done=password-removed`)
    t.strictSame(await eventsOf(service, ada, 'password.%'), ['password.removed'])
    const [row] =
      await pool`select count(*)::int as n from password_credentials where account_id = ${ada.account.id}`
    t.equal(row?.n, 0)
    const added = await ada.visitor.submit(await ada.open(`${overview}/password`), 'password-form', {
      password: newPassword
    })
    t.equal(pathOf(added), `${overview}?done=password-added`)
  }
)

t.test('the trust in browsers ends with the factor that was removed', async t => {
  const ada = await createMember(service, { authenticator: true })
  const { id } = ada.account
  await pool`update devices set trusted_until = ${new Date(Date.now() + 86_400_000)} where account_id = ${id}`
  const page = await ada.open(`${overview}/authenticators/${ada.authenticatorId}`)
  t.equal(pathOf(await ada.visitor.submit(page, 'remove-form')), `${overview}?done=authenticator-removed`)
  const [row] = await pool`
    select count(*)::int as n from devices where account_id = ${id} and trusted_until is not null`
  t.equal(row?.n, 0)
})
