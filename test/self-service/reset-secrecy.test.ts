// What a reset tells a stranger, a log, another site or a mail server: nothing.
import t from 'tap'
import { comparable, statementsOf } from '../helpers/forms.ts'
import { rawRequest, sendRaw } from '../helpers/raw.ts'
import {
  askForReset,
  createPerson,
  lastNotMe,
  lastReset,
  newPassword,
  resetByLink,
  startWithApplication
} from '../helpers/resets.ts'
import { password, Visitor } from '../helpers/service.ts'
import { type Answer, findForm } from '../helpers/visitor.ts'

const lines: string[] = []
const { service, letsIn } = await startWithApplication(t, { onLog: line => lines.push(line) })

t.test('RST-1: whoever has an address, the pages, statements and rows of a reset are the same', async t => {
  const kinds = {
    'known@example.org': {},
    'unverified@example.org': { verified: false },
    'disabled@example.org': { disabled: true },
    'passwordless@example.org': { passwordless: true }
  }
  for (const [email, kind] of Object.entries(kinds)) await createPerson(service, { email, ...kind })

  /** Asks three times in one browser and once in another, and tries codes in both: all that a stranger can see. */
  const observe = async (email: string) => {
    const seen: object[] = []
    const note = (answer: Answer) => {
      seen.push({ answer: comparable(answer, [email]), statements: statementsOf(service) })
      service.statements.length = 0
    }
    const first = new Visitor()
    const form = await first.visit(`${service.issuer}/reset-password`)
    service.statements.length = 0
    note(await first.post(form, 'reset-request-form', { email }))
    const page = await first.visit(`${service.issuer}/reset-password/sent`)
    note(page)
    const guess = { code: 'no code', password: newPassword }
    note(await first.post(page, 'reset-code-form', guess))
    note(await first.post(page, 'resend-form'))
    for (let i = 0; i < 2; i++) note(await first.post(page, 'reset-code-form', guess))
    const second = new Visitor()
    const elsewhere = await second.visit(`${service.issuer}/reset-password`)
    service.statements.length = 0
    note(await second.post(elsewhere, 'reset-request-form', { email }))
    note(await first.post(page, 'reset-code-form', guess))
    note(await first.post(page, 'resend-form'))
    for (let i = 0; i < 3; i++) note(await first.post(page, 'reset-code-form', guess))
    return seen
  }
  // The code of a browser is void once another one asks: there is one row less to be read then.
  const answersOf = (seen: object[]) => seen.map(one => ({ ...one, statements: undefined }))
  const unknown = await observe('nobody@example.org')
  t.match(unknown[0], { answer: { status: 303, location: /\/reset-password\/sent$/ } })
  t.match(unknown[2], { answer: { status: 422 } })
  t.match(unknown.at(-1), { answer: { status: 429 } })
  for (const email of Object.keys(kinds)) {
    const seen = await observe(email)
    t.strictSame(answersOf(seen), answersOf(unknown), email)
    t.strictSame(seen.slice(0, 7), unknown.slice(0, 7), `${email}: statements`)
  }
  const [counts] = await service.pool`
    select count(*) filter (where account_id is null)::int as nobodys, count(*)::int as all from security_tokens
    where kind = 'reset_password'`
  t.match(counts, { nobodys: 4 }, 'as many rows for the unknown and the disabled as they asked for')
  for (const email of ['nobody@example.org', 'disabled@example.org'])
    t.equal((await service.mailTo(email, 0)).length, 0, `${email} gets no mail`)
  t.equal((await service.mailTo('passwordless@example.org', 3)).length, 3)
})

t.test('however often a stranger asks, an address gets few mails, and its owner’s stay good', async t => {
  const email = 'pestered@example.org'
  await createPerson(service, { email })
  const { visitor, page } = await askForReset(service, email)
  await lastReset(service, email)
  await Promise.all(Array.from({ length: 10 }, () => askForReset(service, email)))
  await lastReset(service, email, 3)
  const links = (await service.mailTo(email, 3)).flatMap(mail =>
    mail.links.filter(link => link.includes('/reset-password/'))
  )
  const resent = await visitor.submit(page, 'resend-form')
  t.match(resent.text, 'reset-code-form')
  const [row] = await service.pool`
    select count(*)::int as mails from mail_outbox
    where kind = 'reset_password' and created_at > now() - interval '1 minute' and send_before > created_at
      and recipient_hash = sha256(${email}::bytea)`
  t.strictSame(row, { mails: 3 })
  const statuses = await Promise.all(links.map(async link => (await resetByLink(link)).status))
  t.strictSame(
    statuses.sort(),
    [303, 410, 410],
    'the newest counts, whatever was asked for and not sent since'
  )
})

t.test('RST-2: the host of a mail’s link is the one of the settings, whatever a request says', async t => {
  const { host } = new URL(service.issuer)
  const visitor = new Visitor()
  const form = findForm(await visitor.visit(`${service.issuer}/reset-password`), 'reset-request-form')
  const post = async (email: string, target: string, hosts: string[]) => {
    const body = new URLSearchParams({ ...form.fields, email }).toString()
    const headers = [
      ...hosts,
      `Cookie: csrf=${visitor.cookie('csrf')}`,
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${body.length}`,
      'Connection: close'
    ]
    const bytes = rawRequest(target, { method: 'POST', headers, body })
    return await sendRaw(service.issuer, bytes.replace(/\r\nHost: localhost/, ''))
  }
  const evil = 'evil.example'
  const disguises: [string, string[]][] = [
    ['/reset-password', [`Host: ${evil}`]],
    ['/reset-password', [`Host: ${host}`, `X-Forwarded-Host: ${evil}`, 'X-Forwarded-Proto: https']],
    ['/reset-password', [`Host: ${host}`, `Forwarded: host=${evil};proto=https`]],
    ['/reset-password', [`Host: ${host}`, `X-Host: ${evil}`, `X-Original-Host: ${evil}`]],
    ['/reset-password', [`Host: ${host}@${evil}`]],
    [`http://${evil}/reset-password`, [`Host: ${evil}`]],
    ['/reset-password', [`Host: ${host}`, `Host: ${evil}`]],
    ['/reset-password', [`Host: ${evil}`, `Host: ${host}`]]
  ]
  for (const [index, [target, hosts]] of disguises.entries()) {
    const email = `host${index}@example.org`
    await createPerson(service, { email })
    const { answers } = await post(email, target, hosts)
    const status = answers[0]?.status ?? 0
    t.match(String(status), /^(303|4\d\d)$/, hosts.join(' '))
    if (status !== 303) continue
    const [mail] = await service.mailTo(email)
    t.match(
      (await lastReset(service, email)).link,
      new RegExp(`^${service.issuer}/reset-password/[\\w-]{43}$`)
    )
    t.notMatch(JSON.stringify([mail, answers]), evil, hosts.join(' '))
  }
})

t.test('RST-8: the token is in no log, no other row, and in no page that would pass it on', async t => {
  const email = 'quiet@example.org'
  await createPerson(service, { email })
  const { visitor } = await askForReset(service, email)
  const { link, token, code } = await lastReset(service, email)
  const answers = [
    await visitor.visit(link),
    await resetByLink(link, 'short', visitor),
    await visitor.request(link, { method: 'POST', body: new URLSearchParams({ password: 'x' }) }),
    await resetByLink(link, newPassword, visitor),
    await visitor.visit(link)
  ]
  t.strictSame(
    answers.map(({ status }) => status),
    [200, 422, 403, 303, 410]
  )
  const notMe = await lastNotMe(service, email)
  answers.push(await visitor.visit(notMe))
  for (const { headers, text } of answers) {
    t.equal(headers.get('referrer-policy'), 'no-referrer')
    t.equal(headers.get('cache-control'), 'no-store')
    t.match(headers.get('content-security-policy'), /default-src 'none'.*form-action 'self'(;|$)/)
    for (const [, url = ''] of text.matchAll(/(?:src|href)="([^"]+)"/g))
      t.notMatch(url, token, 'nothing on the page leads on with it')
    for (const [, url = ''] of text.matchAll(/(?:src)="([^"]+)"/g)) t.match(url, /^\/assets\//)
  }
  await service.pool`alter table security_tokens rename to out_of_reach`
  for (const url of [link, notMe]) t.match(await visitor.visit(url), { status: 500 })
  await service.pool`alter table out_of_reach rename to security_tokens`
  const log = lines.join('')
  t.match(log, 'request failed', 'the log is one')
  for (const secret of [token, notMe.split('/').at(-1) ?? '', newPassword]) t.notOk(log.includes(secret))
  t.notMatch(log, new RegExp(`\\b${code}\\b`))
})

t.test('a form of another site, or without our own token, sets nothing', async t => {
  const email = 'csrf@example.org'
  await createPerson(service, { email })
  const { visitor, page } = await askForReset(service, email)
  const { link, code } = await lastReset(service, email)
  const forms: [string, Record<string, string>][] = [
    [`${service.issuer}/reset-password`, { email }],
    [page.url, { code, password: newPassword }],
    [link, { password: newPassword }]
  ]
  for (const [url, typed] of forms)
    for (const headers of [{}, { origin: 'https://evil.example' }, { 'sec-fetch-site': 'cross-site' }])
      t.match(
        await visitor.request(url, {
          method: 'POST',
          body: new URLSearchParams(typed),
          headers: headers as Record<string, string>
        }),
        { status: 403 }
      )
  t.equal(await letsIn(email, password), true)
})
