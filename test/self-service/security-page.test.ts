// The page of everything that opens an account, and every change that begins there.
import t, { type Test } from 'tap'
import {
  addPasskey,
  addPasskeyByPage,
  codesIn,
  createMember,
  eventsOf,
  makePasskey,
  overview,
  pathOf,
  secretIn,
  subjectsTo
} from '../helpers/account.ts'
import { newPassword } from '../helpers/resets.ts'
import { password, startService } from '../helpers/service.ts'
import { codeShown, otherCode } from '../helpers/totp.ts'
import { type Answer, findForm, pageText, Visitor } from '../helpers/visitor.ts'

const service = await startService(t)
const { pool } = service

t.test('who is not signed in signs in first, and comes back to the page', async t => {
  const { email } = await createMember(service)
  const visitor = new Visitor()
  const page = await visitor.visit(`${service.issuer}/account`)
  t.match(page.url, /\/interaction\/[\w-]+\/sign-in$/)
  const landed = await visitor.submit(page, 'sign-in-form', { email, password })
  t.equal(pathOf(landed), overview)
  t.match(pageText(landed.text), `Signed in as Ada Lovelace ${email}`)
  t.match(landed.text, /<nav class="account-nav" aria-label="Account">.*aria-current="page">Security</s)
  const bye = await visitor.visit(new URL('/session/end', landed.url).href)
  await visitor.submit(bye, 'sign-out-form', { logout: 'yes' })
  t.match((await visitor.visit(landed.url)).url, /sign-in$/)
})

t.test('people see their own things alone', async t => {
  const [ada, bob] = [await createMember(service, { authenticator: true }), await createMember(service)]
  const passkeyId = await addPasskey(service, ada.account)
  const hers = await ada.open(overview)
  t.match(hers.text, `id="passkey-${passkeyId}"`)
  t.match(hers.text, `id="authenticator-${ada.authenticatorId}"`)
  const his = await bob.open(overview)
  t.equal(his.status, 200)
  t.notMatch(his.text, /id="passkey-|id="authenticator-/)
  t.notMatch(his.text, ada.email)
  t.match(his.text, /Whoever learns your password is in/)
})

t.test('MFA-4: an authenticator is added by its code, with recovery codes that are shown once', async t => {
  const ada = await createMember(service)
  const page = await ada.open(`${overview}/authenticators/add`)
  const secret = secretIn(page)
  const code = codeShown(secret, new Date())

  const wrong = await ada.visitor.submit(page, 'authenticator-form', { code: otherCode(code), name: 'Phone' })
  t.equal(wrong.status, 422)
  t.equal(secretIn(wrong), secret, 'who scanned it need not scan another')
  t.match(wrong.text, 'value="Phone"')
  t.notMatch(wrong.text, otherCode(code))
  t.strictSame(await eventsOf(service, ada, 'totp.%'), [])

  const added = await ada.visitor.submit(wrong, 'authenticator-form', { code, name: 'Phone' })
  t.equal(added.status, 200)
  t.equal(codesIn(added).length, 10)
  t.equal(added.headers.get('cache-control'), 'no-store')
  t.strictSame(await eventsOf(service, ada, 'totp.%'), ['totp.added'])
  t.strictSame(await subjectsTo(service, ada, 2), Array(2).fill('A way to sign in was added at Gatehouse'))

  const landed = await ada.open(overview)
  t.match(landed.text, 'Phone')
  t.match(landed.text, '10 of 10 left.')
  const everything = landed.text + (await ada.open(overview)).text
  for (const hidden of [secret, secret.replaceAll(' ', ''), ...codesIn(added)]) t.notMatch(everything, hidden)

  const again = await ada.visitor.submit(wrong, 'authenticator-form', { code })
  t.match(again.url, /second-factor$/, 'the second one asks for the first')
})

t.test('MFA-4: nobody without a recent sign-in begins to add anything', async t => {
  const ada = await createMember(service)
  const form = await ada.open(`${overview}/authenticators/add`)
  service.advance(11 * 60)
  t.match((await ada.open(overview)).text, 'id="add-authenticator"', 'looking is free')
  for (const path of ['authenticators/add', 'passkeys/add', 'password', 'address'])
    t.match((await ada.open(`${overview}/${path}`)).url, /\/sign-in$/, path)
  const late = await ada.visitor.submit(form, 'authenticator-form', {
    code: codeShown(secretIn(form), new Date())
  })
  t.match(late.url, /\/sign-in$/)
  t.strictSame(await eventsOf(service, ada, 'totp.%'), [])
  const back = await ada.visitor.submit(late, 'sign-in-form', { email: ada.email, password })
  t.equal(pathOf(back), `${overview}/authenticators/add`, 'back to where they were')
})

t.test('WAN-6: adding and removing a passkey with a sign-in of an hour ago asks for a new one', async t => {
  const ada = await createMember(service)
  const [first, second] = [await addPasskey(service, ada.account), await addPasskey(service, ada.account)]
  await pool`update sessions set acr = 'urn:gatehouse:acr:phr' where account_id = ${ada.account.id}`
  const page = await ada.open(`${overview}/passkeys/${first}`)
  const removed = await ada.visitor.submit(page, 'remove-form')
  t.equal(pathOf(removed), `${overview}?done=passkey-removed`, 'right after signing in')
  t.match(removed.text, 'It opens your account no longer')
  t.match(removed.text, /data-signal="accepted-credentials"/)
  const kept = await ada.open(`${overview}/passkeys/${second}`)
  service.advance(3600)
  const late = await ada.visitor.submit(kept, 'remove-form')
  t.match(late.url, /\/sign-in$/)
  t.match((await ada.open(`${overview}/passkeys/add`)).url, /\/sign-in$/)
  t.strictSame(await eventsOf(service, ada, 'passkey.removed'), ['passkey.removed'])
  t.match(await subjectsTo(service, ada, 3), ['A way to sign in was removed at Gatehouse'])
})

t.test('a passkey is added at its page, renamed and removed', async t => {
  const ada = await createMember(service)
  const added = await addPasskeyByPage(service, ada)
  t.equal(codesIn(added).length, 10, 'the first second factor brings recovery codes')
  const [row] = await pool<
    { id: string }[]
  >`select id from webauthn_credentials where account_id = ${ada.account.id}`
  await pool`update sessions set acr = 'urn:gatehouse:acr:phr' where account_id = ${ada.account.id}`
  const page = await ada.open(`${overview}/passkeys/${row?.id}`)
  for (const [name, words] of [
    ['', 'Enter a name'],
    ['x'.repeat(61), 'at most 60'],
    ['a\u202eb', 'cannot be shown']
  ] as const) {
    const refused = await ada.visitor.submit(page, 'rename-form', { name })
    t.equal(refused.status, 422)
    t.match(pageText(refused.text), words)
  }
  const renamed = await ada.visitor.submit(page, 'rename-form', { name: 'Blue key' })
  t.equal(pathOf(renamed), `${overview}?done=passkey-renamed`)
  t.match(renamed.text, 'Blue key')
  t.match(renamed.text, `data-name="${ada.email}"`, 'authenticators hear of it')
  t.notMatch((await ada.open(overview)).text, 'data-signal', 'once')

  const second = await addPasskeyByPage(service, ada)
  t.equal(pathOf(second), `${overview}?done=passkey-added`, 'no new codes with a second one')
  const gone = await ada.visitor.submit(page, 'remove-form')
  t.equal(pathOf(gone), `${overview}?done=passkey-removed`)
  t.equal((await ada.open(`${overview}/passkeys/${row?.id}`)).status, 404)
  t.strictSame(await eventsOf(service, ada, 'passkey.%'), [
    'passkey.added',
    'passkey.renamed',
    'passkey.added',
    'passkey.removed'
  ])
})

t.test('WAN-1: a passkey is added in the session that asked for it, and in no other', async t => {
  const [ada, bob] = [await createMember(service), await createMember(service)]
  const { page, response } = await makePasskey(service, ada)
  const elsewhere = new Visitor()
  const signIn = await elsewhere.visit(`${service.issuer}${overview}/passkeys/add`)
  const hers = await elsewhere.submit(signIn, 'sign-in-form', { email: ada.email, password })
  const his = await bob.open(`${overview}/passkeys/add`)
  for (const [visitor, form] of [
    [elsewhere, hers],
    [bob.visitor, his]
  ] as const) {
    const refused = await visitor.submit(form, 'add-passkey-form', { response })
    t.equal(refused.status, 422)
    t.match(pageText(refused.text), 'nothing was added')
  }
  t.equal((await ada.visitor.submit(page, 'add-passkey-form', { response })).status, 200)
  t.strictSame(await eventsOf(service, ada, 'passkey.added'), ['passkey.added'])
  t.strictSame(await eventsOf(service, bob, 'passkey.added'), [])
})

t.test(
  'MFA-9: a password alone does not remove the second factor: it is asked for, and leads back',
  async t => {
    const ada = await createMember(service, { authenticator: true, halfway: true })
    const path = `${overview}/authenticators/${ada.authenticatorId}`
    const asked = await ada.open(path)
    t.match(asked.url, /\/second-factor$/)
    const back = await ada.visitor.submit(asked, 'totp-form', { code: ada.code() })
    t.equal(pathOf(back), path)
    t.match(pageText(back.text), 'It is your only second step')
    const removed = await ada.visitor.submit(back, 'remove-form')
    t.equal(pathOf(removed), `${overview}?done=authenticator-removed`)
    t.match(await subjectsTo(service, ada, 2), ['A way to sign in was removed at Gatehouse'])
    t.strictSame(await eventsOf(service, ada, 'totp.%'), ['totp.added', 'totp.removed'])
  }
)

t.test('MFA-9: nor does its form, posted straight away', async t => {
  const ada = await createMember(service, { authenticator: true, halfway: true })
  const _csrf = csrfOf(await ada.open('/reset-password'), 'reset-request-form')
  for (const change of [
    `authenticators/${ada.authenticatorId}/remove`,
    'recovery-codes',
    'password',
    'address'
  ]) {
    const answer = await ada.visitor.request(`${service.issuer}${overview}/${change}`, {
      method: 'POST',
      body: new URLSearchParams({ _csrf, email: 'mallory@example.org', password: newPassword })
    })
    t.equal(answer.status, 303)
    const asked = await ada.visitor.follow(answer)
    t.match(asked.url, /\/second-factor$/, change)
  }
  t.strictSame(await eventsOf(service, ada, 'totp.%'), ['totp.added'])
  t.strictSame(await eventsOf(service, ada, 'recovery_codes.%'), [])
})

const csrfOf = (page: Answer, form: string): string => findForm(page, form).fields._csrf ?? ''

t.test(
  'PWD-14: the password is changed with the current one, and every other browser is put out',
  async t => {
    const ada = await createMember(service)
    const other = new Visitor()
    const elsewhere = await other.submit(await other.visit(`${service.issuer}${overview}`), 'sign-in-form', {
      email: ada.email,
      password
    })
    t.equal(pathOf(elsewhere), overview)
    const page = await ada.open(`${overview}/password`)
    const refused = await ada.visitor.submit(page, 'password-form', {
      current: `${password}.`,
      password: 'short'
    })
    t.equal(refused.status, 422)
    t.match(refused.text, 'id="current-fault"')
    t.match(refused.text, 'id="password-fault"')
    t.notMatch(refused.text, /value="(short|correct)/)
    const changed = await ada.visitor.submit(page, 'password-form', {
      current: password,
      password: newPassword
    })
    t.equal(pathOf(changed), `${overview}?done=password-changed`)
    t.match(pageText(changed.text), 'every other browser and application has to sign in again')
    t.match((await other.visit(`${service.issuer}${overview}`)).url, /\/sign-in$/)
    t.match(await subjectsTo(service, ada, 1), ['Your password at Gatehouse was changed'])
  }
)

t.test('the page says only what it has words for', async t => {
  const ada = await createMember(service)
  for (const done of ['<script>', 'password-changed%20', 'toString', 'PASSWORD-CHANGED', '__proto__'])
    t.notMatch((await ada.open(`${overview}?done=${done}`)).text, 'id="done"', done)
  t.match((await ada.open(`${overview}?done=password-changed`)).text, 'id="done"')
  t.notMatch((await ada.open(`${overview}?done=password-changed&done=x`)).text, 'id="done"')
})

function checkReturn(t: Test, state: string, expected: string): Promise<void> {
  return createMember(service).then(async ({ visitor }) => {
    const answer = await visitor.request(
      `${service.issuer}/account/return?state=${encodeURIComponent(state)}`
    )
    t.equal(answer.location, `${service.issuer}${expected}`, state)
  })
}

t.test('a sign-in leads back to the account’s own pages and nowhere else', async t => {
  const id = '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0d1'
  await checkReturn(t, `${overview}/passkeys/${id}`, `${overview}/passkeys/${id}`)
  for (const state of [
    'https://evil.example/account',
    '//evil.example',
    '/account//evil.example',
    '/account/../auth',
    '/account\\evil',
    '/account/return',
    '/account/security?done=x',
    '/account/security#x',
    '/account/security\n',
    '/accounts',
    '/account/%2e%2e',
    ''
  ])
    await checkReturn(t, state, overview)
})
