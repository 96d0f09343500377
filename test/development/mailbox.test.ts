// The development mailbox as tools read it.
import t from 'tap'
import { createApplication, newcomer } from '../helpers/application.ts'
import { signUpAndWait } from '../helpers/forms.ts'
import { startService } from '../helpers/service.ts'

t.test('the mailbox is JSON for tools: what was sent, newest first, and a page for people', async t => {
  const service = await startService(t)
  const read = async () =>
    (await (await fetch(`${service.issuer}/dev/mailbox.json`)).json()) as Record<string, unknown>[]
  t.strictSame(await read(), [])
  const application = await createApplication(service)
  const { visitor } = await newcomer(service, application, { email: 'first@example.org' })
  for (const email of ['second@example.org', 'third@example.org', 'First@example.org']) {
    service.advance(1)
    await signUpAndWait(service, { email })
    await service.mailTo(email.toLowerCase(), email === 'First@example.org' ? 2 : 1)
  }
  const mails = await read()
  t.strictSame(
    mails.map(({ to }) => to),
    ['first@example.org', 'third@example.org', 'second@example.org', 'first@example.org']
  )
  for (const mail of mails) {
    t.strictSame(Object.keys(mail), ['id', 'to', 'subject', 'text', 'html', 'links', 'sentAt'])
    t.match(mail, {
      id: /^[0-9a-f-]{36}$/,
      subject: /\w/,
      text: /\w/,
      html: /<p/,
      sentAt: /^\d{4}-\d\d-\d\dT.*Z$/
    })
  }
  const sent = mails.map(({ sentAt }) => String(sentAt))
  t.strictSame(sent, [...sent].sort().reverse())
  t.match(mails[1], {
    subject: /^Confirm your address/,
    links: [new RegExp(`^${service.issuer}/verify-email/[\\w-]{43}\\?interaction=`)]
  })
  t.match(mails[0], { subject: /^You already have/ })

  const page = await visitor.request(`${service.issuer}/dev/mailbox`)
  t.match(page.headers.get('content-type'), 'text/html')
  t.ok(page.text.indexOf('third@example.org') < page.text.indexOf('second@example.org'))
})
