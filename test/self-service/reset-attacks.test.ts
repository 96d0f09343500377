// Ways around a password, through its reset: what can be guessed, replayed, raced, swapped or skipped there.
import t from 'tap'
import { openid } from '../helpers/application.ts'
import { comparable, faultOf, openSignIn } from '../helpers/forms.ts'
import {
  askForReset,
  createPerson,
  lastReset,
  newPassword,
  resetByLink,
  signedIn,
  startWithApplication,
  trustedDevice
} from '../helpers/resets.ts'
import { password, Visitor } from '../helpers/service.ts'
import { findForm } from '../helpers/visitor.ts'
import { waitFor } from '../helpers/wait.ts'

const { service, application, letsIn } = await startWithApplication(t)

/** The text of rows. */
const textOf = async (query: ReturnType<typeof service.pool>) => JSON.stringify(await query)

t.test('RST-3: twenty clicks on one link, or twenty times its code, change the password once', async t => {
  for (const way of ['link', 'code', 'both'] as const) {
    const email = `parallel-${way}@example.org`
    const id = await createPerson(service, { email })
    const { visitor, page } = await askForReset(service, email)
    const { link, code } = await lastReset(service, email)
    const reader = new Visitor()
    const form = await reader.visit(link)
    const byLink = (typed: string) => reader.post(form, 'reset-form', { password: typed })
    const byCode = (typed: string) => visitor.post(page, 'reset-code-form', { code, password: typed })
    const answers = await Promise.all(
      Array.from({ length: 20 }, async (_, i) => {
        const typed = `${newPassword} ${i}`
        const useLink = way === 'link' || (way === 'both' && i % 2 === 0)
        return { typed, answer: await (useLink ? byLink : byCode)(typed) }
      })
    )
    const won = answers.filter(({ answer }) => answer.status === 303)
    t.equal(won.length, 1, way)
    for (const { answer } of answers) t.match(String(answer.status), /^(303|410|422|429)$/)
    service.advance(3600)
    t.equal(await letsIn(email, won[0]?.typed ?? ''), true)
    const events =
      await service.pool`select from audit_events where type = 'password.reset' and account_id = ${id}`
    t.equal(events.length, 1)
    t.match(await reader.post(form, 'reset-form', { password: newPassword }), { status: 410 }, 'nor later')
  }
})

t.test(
  'RST-3: five wrong codes are five however many are sent at once; then the right one is none',
  async t => {
    const email = 'guessed@example.org'
    await createPerson(service, { email })
    const { visitor, page } = await askForReset(service, email)
    const { code } = await lastReset(service, email)
    const wrong = Array.from({ length: 20 }, (_, i) =>
      String((Number(code) + i + 1) % 1_000_000).padStart(6, '0')
    )
    for (const { status } of await Promise.all(
      wrong.map(guess => visitor.post(page, 'reset-code-form', { code: guess, password: newPassword }))
    ))
      t.match(String(status), /^4(22|29)$/)
    service.advance(1800)
    const right = await visitor.post(page, 'reset-code-form', { code, password: newPassword })
    t.match(faultOf(right, 'code'), /no longer good/)
    t.equal(await letsIn(email, newPassword), false)
  }
)

t.test('PWD-9: wrong codes count at the account, as wrong passwords do, whatever a browser says', async t => {
  const email = 'counted@example.org'
  await createPerson(service, { email })
  const { visitor, page } = await askForReset(service, email)
  const { link, code } = await lastReset(service, email)
  const cookie = visitor.cookie('reset') ?? ''
  const named = (address: string) => `${cookie.split('.')[0]}.${Buffer.from(address).toString('base64url')}`
  visitor.cookies.set('reset|/', { value: named('another@example.org'), path: '/' })
  const evaded = await visitor.post(page, 'reset-code-form', { code, password: newPassword })
  t.equal(evaded.status, 422, 'with another address to count at, the code is none')
  visitor.cookies.set('reset|/', { value: named(email.toUpperCase()), path: '/' })
  for (let i = 0; i < 6; i++)
    t.equal((await visitor.post(page, 'reset-code-form', { code: 'x', password: newPassword })).status, 422)
  const waiting = await visitor.post(page, 'reset-code-form', { code: 'x', password: newPassword })
  t.equal(waiting.status, 429)
  t.ok(Number(waiting.headers.get('retry-after')) > 0)
  t.match(waiting.text, /too many wrong tries/)
  const { visitor: stranger, page: signIn } = await openSignIn(service, { application })
  t.equal((await stranger.post(signIn, 'sign-in-form', { email, password })).status, 429)
  t.equal((await resetByLink(link)).status, 303, 'the link is no guess: its owner gets in')
})

t.test('RST-3: a token is 256 random bits, stored under a hash, and one character off is none', async t => {
  const email = 'bits@example.org'
  const id = await createPerson(service, { email })
  await askForReset(service, email)
  const { link, token, code } = await lastReset(service, email)
  t.equal(Buffer.from(token, 'base64url').length, 32)
  for (const other of [
    `${token.slice(0, -1)}${token.endsWith('A') ? 'E' : 'A'}`,
    `${token[0] === 'A' ? 'B' : 'A'}${token.slice(1)}`,
    token.toLowerCase(),
    token.slice(0, -1),
    `${token}A`,
    `${token}%20`,
    '%00',
    'null',
    code
  ])
    t.match(await resetByLink(link.replace(token, other)), { status: 410 }, other)
  const rows = `${await textOf(service.pool`select * from security_tokens where account_id = ${id}`)}
    ${await textOf(service.pool`select t::text from security_tokens t where account_id = ${id}`)}
    ${await textOf(service.pool`select t::text from mail_outbox t`)} ${await textOf(service.pool`select t::text from audit_events t`)}
    ${await textOf(service.pool`select t::text from pgboss.job t`)}`
  t.match(rows, id)
  for (const secret of [
    token,
    Buffer.from(token, 'base64url').toString('hex'),
    Buffer.from(token).toString('hex')
  ])
    t.notOk(rows.includes(secret))
  t.notMatch(rows, new RegExp(`\\b${code}\\b`))
  t.equal((await resetByLink(link)).status, 303)
})

t.test('RST-3: a token dies with a newer one, with the address, and with the password', async t => {
  const asked = async (email: string) => {
    const id = await createPerson(service, { email })
    await askForReset(service, email)
    return { id, email, ...(await lastReset(service, email)) }
  }
  const replaced = await asked('replaced@example.org')
  await askForReset(service, replaced.email)
  const newer = await lastReset(service, replaced.email, 2)
  t.equal((await resetByLink(replaced.link)).status, 410)
  const open = new Visitor()
  const form = await open.visit(newer.link)
  t.equal((await resetByLink(newer.link, `${newPassword} 1`)).status, 303)
  t.equal((await open.post(form, 'reset-form', { password: newPassword })).status, 410)

  const moved = await asked('moved@example.org')
  await service.pool`
    update accounts set email = 'elsewhere@example.org', email_key = 'elsewhere@example.org' where id = ${moved.id}`
  t.equal((await resetByLink(moved.link)).status, 410)
  t.equal(await letsIn('elsewhere@example.org', password), true)
})

t.test('RST-4: the account is the token’s, whoever a form or another browser names', async t => {
  const [ada, bob] = ['ada4@example.org', 'bob4@example.org']
  const adasId = await createPerson(service, { email: ada })
  await createPerson(service, { email: bob })
  const adas = await askForReset(service, ada)
  const bobs = await askForReset(service, bob)
  const mailed = await lastReset(service, bob)
  const swapped = await adas.visitor.post(adas.page, 'reset-code-form', {
    code: mailed.code,
    password: newPassword
  })
  t.equal(swapped.status, 422, 'another person’s code')
  const names = { email: ada, accountId: adasId, account_id: adasId, user: ada, id: adasId, sub: adasId }
  const page = await bobs.visitor.visit(`${mailed.link}?email=${ada}&accountId=${adasId}`)
  t.notMatch(page.text, `<strong>${ada}`)
  const answer = await bobs.visitor.post(page, 'reset-form', { password: newPassword, ...names })
  t.equal(answer.status, 303)
  t.strictSame([await letsIn(ada, newPassword), await letsIn(bob, newPassword)], [false, true])
  t.equal(await letsIn(ada, password), true)
})

t.test('RST-5: no order of pages, browsers, links and codes sets a password without the mail', async t => {
  const email = 'fuzzed@example.org'
  await createPerson(service, { email })
  const other = 'bystander@example.org'
  await createPerson(service, { email: other })
  await askForReset(service, other)
  const foreign = await lastReset(service, other)
  await resetByLink(foreign.link)
  const spent = foreign.token

  const states: Record<string, () => Promise<Visitor>> = {
    'nothing asked': async () => new Visitor(),
    'asked for it': async () => (await askForReset(service, email)).visitor,
    'asked for nobody': async () => (await askForReset(service, 'nobody5@example.org')).visitor,
    'too many tries': async () => {
      const { visitor, page } = await askForReset(service, email)
      for (let i = 0; i < 6; i++)
        await visitor.post(page, 'reset-code-form', { code: 'x', password: newPassword })
      return visitor
    },
    'at the sign-in': async () => (await openSignIn(service, { application })).visitor,
    'after another reset': async () => {
      const visitor = new Visitor()
      await visitor.visit(`${service.issuer}/reset-password/done`)
      return visitor
    }
  }
  const posts: [string, Record<string, string>][] = [
    ['/reset-password', { email: 'not an address', code: foreign.code, password: newPassword }],
    ['/reset-password/sent', { password: newPassword }],
    ['/reset-password/sent', { code: '', password: newPassword, email }],
    ['/reset-password/sent', { code: foreign.code, password: newPassword }],
    ['/reset-password/sent', { code: 'undefined', password: newPassword, verified: 'true' }],
    ['/reset-password/sent?notice=ended', { code: 'null', password: newPassword }],
    ['/reset-password/done', { password: newPassword, email }],
    [`/reset-password/${spent}`, { password: newPassword, email }],
    ['/reset-password/undefined', { password: newPassword, email }],
    ['/reset-password/sent/x', { password: newPassword }],
    [`/not-me/${spent}`, { password: newPassword, email }]
  ]
  for (const [state, enter] of Object.entries(states)) {
    const visitor = await enter()
    const start = await visitor.visit(`${service.issuer}/reset-password`)
    const { fields } = findForm(start, 'reset-request-form')
    // Forwards, backwards, and each of them twice in a row.
    for (const [path, typed] of [...posts, ...posts.toReversed(), ...posts.flatMap(post => [post, post])]) {
      const body = new URLSearchParams({ ...fields, ...typed })
      const answer = await visitor.request(`${service.issuer}${path}`, { method: 'POST', body })
      t.not(answer.location, `${service.issuer}/reset-password/done`, `${state}: ${path}`)
      t.match(String(answer.status), /^(303|4\d\d)$/, `${state}: ${path}`)
    }
    t.equal(visitor.cookie('session'), undefined, state)
  }
  service.advance(86_400)
  t.strictSame([await letsIn(email, password), await letsIn(email, newPassword)], [true, false])
})

t.test('RST-6: second factors are as they were after a reset, and nobody is signed in by it', async t => {
  const email = 'factors@example.org'
  const id = await createPerson(service, { email })
  await service.pool`insert into totp_credentials values (${id}, ${id}, 'Phone', '\\x01', 0, now())`
  await service.pool`insert into recovery_codes values (${id}, '\\x02', now())`
  const factors = async () => [
    ...(await service.pool`select * from totp_credentials where account_id = ${id}`),
    ...(await service.pool`select * from recovery_codes where account_id = ${id}`)
  ]
  const before = await factors()
  const { visitor, page } = await askForReset(service, email)
  const { code } = await lastReset(service, email)
  const done = await visitor.submit(page, 'reset-code-form', { code, password: newPassword })
  t.match(done.text, 'Your password is changed')
  t.strictSame(await factors(), before)
  t.equal(visitor.cookie('session'), undefined)
  const back = await openSignIn(service, { application, visitor })
  const next = await visitor.submit(back.page, 'sign-in-form', { email, password: newPassword })
  t.match(
    new URL(next.url).pathname,
    /\/second-factor$/,
    'who has reset it is still asked for the second factor'
  )
})

t.test(
  'RST-7: a reset ends sessions, tokens, trusted browsers and pending mails; its owner is told',
  async t => {
    const email = 'everywhere@example.org'
    const id = await createPerson(service, { email })
    const here = await signedIn(service, application, { email })
    const there = await signedIn(service, application, { email })
    const isTrusted = await trustedDevice(service, id)
    const pending = await askForReset(service, email)
    for (const [index, kind] of ['sign_in', 'change_address', 'undo_address', 'not_me'].entries())
      await service.pool`
      insert into security_tokens (token_hash, kind, account_id, created_at, expires_at)
      values (sha256(${`${id}${index}`}::bytea), ${kind}, ${id}, now(), now() + interval '1 hour')`
    t.strictSame([await there.isSignedIn(), await isTrusted()], [true, true])
    const late = await openSignIn(service, { application })
    const underWay = await late.visitor.post(late.page, 'sign-in-form', { email, password })

    service.advance(1)
    await lastReset(service, email)
    await askForReset(service, email)
    t.equal((await resetByLink((await lastReset(service, email, 2)).link)).status, 303)
    for (const who of [here, there]) {
      t.equal(await who.isSignedIn(), false)
      t.equal(await who.refreshes(), false)
      await t.rejects(
        openid.fetchUserInfo(application.config, who.tokens.access_token, openid.skipSubjectCheck)
      )
    }
    t.notMatch((await late.visitor.follow(underWay)).text, 'consent-form', 'a sign-in under way')
    t.equal(await isTrusted(), false)
    const guess = { code: 'x', password: newPassword }
    t.equal((await pending.visitor.post(pending.page, 'reset-code-form', guess)).status, 422)
    const kinds =
      await service.pool`select distinct kind from security_tokens where account_id = ${id} order by kind`
    t.strictSame(
      kinds.map(({ kind }) => kind),
      ['not_me', 'undo_address'],
      'what only protects is kept'
    )
    await waitFor(async () =>
      (await service.mailTo(email)).some(
        ({ subject, text }) =>
          /password .* was changed/.test(subject) && text.includes(`${service.issuer}/not-me/`)
      )
    )
    const again = await signedIn(service, application, { email, secret: newPassword })
    t.equal(await again.refreshes(), true, 'and all goes on with the new password')
  }
)

t.test('RST-4, scanners: opening a link, or asking for its head, spends nothing', async t => {
  const email = 'scanned@example.org'
  await createPerson(service, { email })
  await askForReset(service, email)
  const { link } = await lastReset(service, email)
  const rows = async () => await textOf(service.pool`select t::text from security_tokens t order by 1`)
  const before = await rows()
  for (const method of ['GET', 'HEAD', 'GET', 'OPTIONS'])
    for (const headers of [{ accept: 'text/html' }, { purpose: 'prefetch' }])
      await new Visitor().request(link, { method, headers: headers as Record<string, string> })
  t.equal(await rows(), before)
  t.equal((await resetByLink(link)).status, 303)
})

t.test(
  'RST-9: whoever an account turned into since the mail, the link says the same and does no harm',
  async t => {
    const since: Record<string, (id: string) => Promise<unknown>> = {
      disabled: id => service.pool`update accounts set disabled_at = now() where id = ${id}`,
      deleted: id => service.pool`delete from accounts where id = ${id}`
    }
    const said: Record<string, object> = {}
    for (const [what, happens] of Object.entries(since)) {
      const email = `${what}-since@example.org`
      const id = await createPerson(service, { email })
      const { visitor, page } = await askForReset(service, email)
      const { link, code } = await lastReset(service, email)
      const reader = new Visitor()
      const form = await reader.visit(link)
      await happens(id)
      const posted = await reader.post(form, 'reset-form', { password: newPassword })
      const typed = await visitor.post(page, 'reset-code-form', { code, password: newPassword })
      t.strictSame([posted.status, typed.status], [410, 422], what)
      said[what] = [comparable(posted, [link.split('/').at(-1) ?? '']), comparable(typed, [email])]
      await service.pool`update accounts set disabled_at = null where id = ${id}`
      t.equal(await letsIn(email, password), what === 'disabled', `${what}: nothing was changed`)
      t.equal(await letsIn(email, newPassword), false)
    }
    t.strictSame(said.disabled, said.deleted)
  }
)
