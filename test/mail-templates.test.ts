// The words of mail, as HTML and as text, with hostile values in every place.
import { resolve } from 'node:path'
import { Eta } from 'eta'
import t from 'tap'

const eta = new Eta({ views: resolve(import.meta.dirname, '../views'), autoEscape: true })
const hostile = `<img src=x onerror=alert(1)>"'`
const common = { brandName: `Ærø & Co ${hostile}`, issuer: 'https://id.example.org', name: hostile }
const confirm = {
  ...common,
  link: 'https://id.example.org/verify-email/q0d1?a=1&b=2',
  code: '048291',
  expiresInHours: 24
}

t.test(
  'a mail that confirms an address has link and code, how long they last, and what to do if it was not you',
  async t => {
    const text = eta.render('/mail/confirm_address.text.eta', confirm)
    t.match(
      text,
      /^https:\/\/id\.example\.org\/verify-email\/q0d1\?a=1&b=2$/m,
      'the link on a line of its own'
    )
    t.match(text, '048291')
    t.match(text, '24 hours')
    t.match(text, 'Was it not you?')
    t.match(text, 'Ærø & Co', 'nothing is escaped in text')
    t.notMatch(text, /&amp;|&#39;|<p|undefined/)

    const html = eta.render('/mail/confirm_address.html.eta', confirm)
    t.match(html, 'href="https://id.example.org/verify-email/q0d1?a=1&amp;b=2"')
    t.match(html, />048291</)
    t.match(html, '24 hours')
    t.match(html, /^<!doctype html>/)
  }
)

t.test('one hour is called one hour', async t => {
  for (const kind of ['html', 'text'])
    t.match(eta.render(`/mail/confirm_address.${kind}.eta`, { ...confirm, expiresInHours: 1 }), 'one hour')
})

t.test('the owner of a taken address is told so, with a link where there is one', async t => {
  const data = { ...common, signInUrl: 'https://app.example/' }
  for (const kind of ['html', 'text']) {
    t.match(eta.render(`/mail/already_registered.${kind}.eta`, data), 'https://app.example/')
    const without = eta.render(`/mail/already_registered.${kind}.eta`, common)
    t.match(without, 'Was it not you?')
    t.notMatch(without, /undefined|href=""/)
  }
})

t.test('nothing that somebody typed comes out as HTML, and the typed name not at all', async t => {
  for (const template of ['confirm_address', 'already_registered']) {
    const html = eta.render(`/mail/${template}.html.eta`, { ...confirm, name: 'Visit evil.example' })
    t.notMatch(html, '<img')
    t.notMatch(html, 'evil.example')
    t.notMatch(
      eta.render(`/mail/${template}.text.eta`, { ...confirm, name: 'Visit evil.example' }),
      'evil.example'
    )
  }
})
