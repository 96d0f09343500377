// The words of mail, as HTML and as text, with hostile values in every place.
import { readdirSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import type { Mail, NoticeData } from '../src/mail/model.ts'
import { createMailRenderer } from '../src/mail/templates.ts'
import { testConfig } from './helpers/pages.ts'

const hostile = `<img src=x onerror=alert(1)>"' https://evil.example/claim www.evil.example mailto:x@evil.example`
const origin = 'https://id.example.org'
const render = createMailRenderer({
  ...testConfig({ BRAND_NAME: `Ærø & Co <b>"'` }),
  issuer: origin
})
const rendered = (mail: Mail) => render({ id: '1', ...mail })
const bodies = (mail: Mail) => {
  const { html, text } = rendered(mail)
  return { html, text }
}

const to = 'ines.moreau@example.org'
const link = `${origin}/some-page/q0d1?a=1&b=2`
const code = { link, code: '048291' }
const notice: NoticeData = {
  at: '21 November 2026 at 09:14 UTC',
  browser: 'Firefox on Windows',
  ip: '2001:db8::7',
  notMeLink: `${origin}/not-me/n0t`
}
const passkey = { ...notice, factor: 'passkey' as const, label: 'Blue key' }
const undoLink = `${origin}/undo-address/und0`

/** One of each kind: a new one must be put here. */
const mails: { [Kind in Mail['kind']]: Extract<Mail, { kind: Kind }> } = {
  confirm_address: { kind: 'confirm_address', to, data: { name: hostile, ...code, expiresInHours: 24 } },
  already_registered: {
    kind: 'already_registered',
    to,
    data: { name: hostile, signInUrl: 'https://app.example/' }
  },
  reset_password: { kind: 'reset_password', to, data: { ...code, expiresInMinutes: 60 } },
  sign_in_code: { kind: 'sign_in_code', to, data: { ...code, expiresInMinutes: 10 } },
  confirm_new_address: { kind: 'confirm_new_address', to, data: { ...code, expiresInMinutes: 60 } },
  approval_requested: {
    kind: 'approval_requested',
    to,
    data: { application: hostile, link, expiresInMinutes: 10 }
  },
  new_device: { kind: 'new_device', to, data: notice },
  password_changed: { kind: 'password_changed', to, data: notice },
  factor_added: { kind: 'factor_added', to, data: passkey },
  factor_removed: { kind: 'factor_removed', to, data: passkey },
  recovery_code_used: { kind: 'recovery_code_used', to, data: { ...notice, codesLeft: 7 } },
  address_changed: {
    kind: 'address_changed',
    to,
    data: { ...notice, newAddress: 'anna@new.example', undoLink }
  },
  many_failures: { kind: 'many_failures', to, data: { ...notice, failures: 20 } }
}
const all = Object.values(mails)
const isNotice = (mail: Mail): mail is Extract<Mail, { data: NoticeData }> => 'notMeLink' in mail.data
const notices = all.filter(isNotice)

t.test('every mail is written as text and as HTML, and no template is left over', async t => {
  for (const mail of all) {
    const { html, text } = rendered(mail)
    t.match(html, /^<!doctype html>/, mail.kind)
    t.equal(html.match(/<h1\b/g)?.length, 1, mail.kind)
    t.notMatch(html, /undefined|\[object|null|href=""/, mail.kind)
    t.match(text, 'Ærø & Co <b>', `${mail.kind}: nothing is escaped in text`)
    t.notMatch(text, /&amp;|&#39;|<p\b|undefined|\[object|null/, mail.kind)
    t.notMatch(text, /\n{4}|^\s/, `${mail.kind}: no gaps where something was left out`)
  }
  const files = readdirSync(resolve(import.meta.dirname, '../views/mail'))
  const kinds = files.flatMap(file => /^([a-z_]+)\.html\.eta$/.exec(file)?.[1] ?? [])
  const shared = ['button', 'layout', 'notice']
  t.strictSame(kinds.sort(), [...Object.keys(mails), ...shared].sort())
})

t.test('link and code stand out, and how long they last is told in words', async t => {
  for (const mail of all.filter(({ data }) => 'code' in data)) {
    const { html, text } = bodies(mail)
    t.match(text, new RegExp(`^${link.replace('?', '\\?')}$`, 'm'), `${mail.kind}: a line of its own`)
    t.match(text, '048291', mail.kind)
    t.match(html, 'href="https://id.example.org/some-page/q0d1?a=1&amp;b=2"', mail.kind)
    t.match(html, />048291</, mail.kind)
    t.match(text, 'Was it not you?', mail.kind)
  }
  const lasts = (mail: Mail) =>
    Object.values(bodies(mail)).map(body => /good for ([\w ]+), and/.exec(body)?.[1])
  t.strictSame(lasts(mails.confirm_address), ['24 hours', '24 hours'])
  t.strictSame(
    lasts({ ...mails.confirm_address, data: { ...mails.confirm_address.data, expiresInHours: 1 } }),
    ['one hour', 'one hour']
  )
  t.strictSame(lasts(mails.reset_password), ['one hour', 'one hour'])
  t.strictSame(lasts(mails.sign_in_code), ['10 minutes', '10 minutes'])
})

t.test('the owner of a taken address is told so, with a link where there is one', async t => {
  const without: Mail = { ...mails.already_registered, data: { name: 'Ada' } }
  for (const body of Object.values(bodies(mails.already_registered))) t.match(body, 'https://app.example/')
  for (const body of Object.values(bodies(without))) {
    t.match(body, 'Was it not you?')
    t.notMatch(body, /undefined|href=""/)
  }
})

t.test('a notice says what happened, when and where, and what to do if it was not you', async t => {
  for (const mail of notices) {
    for (const body of Object.values(bodies(mail))) {
      for (const words of [notice.at, 'Firefox on Windows', '2001:db8::7', 'there is nothing to do'])
        t.match(body, words, `${mail.kind}: ${words}`)
      t.match(body, notice.notMeLink, mail.kind)
      t.match(body, /This\s+wasn’t\s+me/, mail.kind)
    }
    const unknown = { ...mail, data: { ...mail.data, browser: null, ip: null } } as Mail
    for (const body of Object.values(bodies(unknown)))
      t.notMatch(body, /Browser|Network address|null/, `${mail.kind}: what is not known is not spoken of`)
  }
})

t.test('ACC-3: the notice of a changed address can undo it, and does not tell the new one', async t => {
  for (const body of Object.values(bodies(mails.address_changed))) {
    t.match(body, undoLink)
    t.match(body, '3 days')
    t.match(body, 'a…@n…')
    t.notMatch(body, 'anna')
  }
  const undone = { ...mails.address_changed.data, undoLink: null }
  for (const body of Object.values(bodies({ ...mails.address_changed, data: undone }))) {
    t.match(body, /was undone/)
    t.match(body, notice.notMeLink)
    t.notMatch(body, /undo-address|null/)
  }
})

t.test('a passkey, an authenticator, recovery codes and a password are called by their names', async t => {
  const added = (factor: 'passkey' | 'authenticator' | 'recovery_codes' | 'password', label: string) =>
    rendered({ ...mails.factor_added, data: { ...notice, factor, label } }).text
  t.match(added('passkey', 'Blue key'), 'A passkey “Blue key” can be used')
  t.match(added('authenticator', 'Zoë’s phone (2)'), 'An authenticator app “Zoë’s phone (2)” can be used')
  t.match(added('password', ''), 'A password can be used')
  t.match(added('recovery_codes', ''), 'New recovery codes')
  t.match(rendered(mails.factor_removed).text, 'The passkey “Blue key” can no longer be used')
  t.match(rendered(mails.recovery_code_used).text, '7 codes are left')
  t.match(
    rendered({ ...mails.recovery_code_used, data: { ...notice, codesLeft: 1 } }).text,
    'One code is left'
  )
})

t.test('nothing that somebody typed becomes HTML or a link, in text neither', async t => {
  const labelled = (label: string): Mail[] => [
    { ...mails.factor_added, data: { ...passkey, label } },
    { ...mails.factor_removed, data: { ...passkey, label } },
    { ...mails.address_changed, data: { ...mails.address_changed.data, newAddress: label } }
  ]
  const typed = [
    hostile,
    'evil.example',
    'HTTPS://EVIL.EXAMPLE',
    'x@evil.example',
    '//evil.example',
    'evil。example'
  ]
  const cases = [...all, ...typed.flatMap(labelled)]
  for (const mail of cases) {
    const { html, text } = bodies(mail)
    t.notMatch(html, /<img|onerror=/, mail.kind)
    for (const body of [html, text])
      t.notMatch(body, /evil[.。]example|evil\.|www\.evil|:\/\/evil|@evil/i, mail.kind)
    for (const [, href = ''] of html.matchAll(/href="([^"]*)"/g))
      t.match(href, /^https:\/\/(id\.example\.org|app\.example)\//, mail.kind)
  }
})

t.test('a browser or an address that is not what we write is text all the same', async t => {
  for (const mail of notices) {
    const data = { ...mail.data, browser: hostile, ip: hostile, at: hostile }
    t.notMatch(rendered({ ...mail, data } as Mail).html, /<img/, mail.kind)
  }
})

t.test('a long label is cut, and characters that turn or hide text are dropped', async t => {
  const label = `${'long '.repeat(30)}\u202eevil\u0000\u200b\n\nWarning`
  const { text } = rendered({ ...mails.factor_added, data: { ...passkey, label } })
  t.match(text, /“(long ){7}long”/)
  const turned = rendered({
    ...mails.factor_added,
    data: { ...passkey, label: 'a\u202eb\u0000c\u200bd\n\nWarning' }
  })
  t.match(turned.text, '“a b c d Warning”')
})
