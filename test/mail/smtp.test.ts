import t from 'tap'
import type { RenderedMail } from '../../src/mail/model.ts'
import { MailRefused, parseSender, subjectOf } from '../../src/mail/model.ts'
import { createSmtpTransport } from '../../src/mail/smtp.ts'
import { createConfig } from '../helpers/context.ts'
import { startMailServer } from '../helpers/smtp.ts'

const mail: RenderedMail = {
  id: '01920000-0000-7000-8000-000000000000',
  to: 'ada@example.org',
  subject: 'Confirm your address',
  text: 'text\n',
  html: '<p>html</p>'
}
const now = () => new Date('2026-11-21T12:00:00Z')

function transportTo(
  t: { teardown: (work: () => unknown) => void },
  smtpUrl: string,
  environment: Record<string, string> = {}
) {
  const config = createConfig({ SMTP_URL: smtpUrl, ISSUER: 'http://id.localhost:3000', ...environment })
  const transport = createSmtpTransport({ ...config, smtpUrl }, now)
  t.teardown(() => transport.close())
  return transport
}

t.test('a mail goes out as text and HTML, to one recipient, with the marks of an automatic one', async t => {
  const server = await startMailServer(t)
  await transportTo(t, server.url, { BRAND_NAME: 'Acme, "Inc." <x>' }).send(mail)
  t.match(server.received, [{ from: 'no-reply@id.localhost', to: ['ada@example.org'] }])
  const source = server.received[0]?.source ?? ''
  t.match(source, /^From: "Acme, \\"Inc\.\\" <x>" <no-reply@id\.localhost>\r$/m)
  t.match(source, /^To: ada@example\.org\r$/m)
  t.match(source, /^Message-ID: <01920000-0000-7000-8000-000000000000@id\.localhost>\r$/m)
  t.match(source, /^Date: Sat, 21 Nov 2026 12:00:00 \+0000\r$/m)
  t.match(source, /^Auto-Submitted: auto-generated\r$/m)
  t.match(source, /^Content-Type: multipart\/alternative/m)
})

t.test('INP-7: nothing in a mail becomes a command, a header or a recipient', async t => {
  const server = await startMailServer(t)
  const transport = transportTo(t, server.url, {
    MAIL_FROM: 'Acme\r\nBcc: eve@evil.example <no-reply@example.org>'
  })
  const attack =
    '\r\nBcc: eve@evil.example\r\n.\r\nMAIL FROM:<eve@evil.example>\r\nRCPT TO:<eve@evil.example>\r\nDATA\r\n'
  await transport.send({ ...mail, subject: `Hello${attack}` })
  await transport.send({ ...mail, text: `Hello${attack}`, html: `Hello${attack}` })
  await transport.send({ ...mail, id: `x${attack}` })
  for (const to of [
    `ada@example.org${attack}`,
    'ada@example.org,eve@evil.example',
    'ada@example.org eve@evil.example',
    'ada@example.org>\r\nRCPT TO:<eve@evil.example',
    'Eve <eve@evil.example>',
    '"ada@example.org" <eve@evil.example>',
    'group: ada@example.org, eve@evil.example;'
  ])
    await t.rejects(transport.send({ ...mail, to }), MailRefused)

  const recipients = server.received.map(({ to }) => to.join())
  t.strictSame(recipients, ['ada@example.org', 'ada@example.org', 'ada@example.org'])
  for (const { source } of server.received) t.notMatch(source.split('\r\n\r\n')[0], /^Bcc:/im)
  // On the wire, outside of what stands between DATA and the lone dot that ends it.
  const commands = server.transcript().replace(/^DATA\r\n[\s\S]*?\r\n\.\r\n/gm, '')
  t.strictSame(new Set(commands.match(/^RCPT TO:.*$/gm)), new Set(['RCPT TO:<ada@example.org>']))
  t.notMatch(commands, /evil/)
})

t.test(
  'a recipient or message that the server refuses for good is refused; anything else may be tried again',
  async t => {
    const server = await startMailServer(t)
    const transport = transportTo(t, server.url)
    const failure = async () =>
      await transport.send(mail).then(
        () => null,
        (error: unknown) => error
      )
    for (const how of [{ refuseRecipient: 550 }, { refuseMessage: 554 }]) {
      server.behave(how)
      const error = await failure()
      t.ok(error instanceof MailRefused, JSON.stringify(how))
      t.notMatch((error as Error).message, /ada@/, 'the reason names nobody')
    }
    for (const how of [{ refuseRecipient: 450 }, { refuseMessage: 451 }, 'drop'] as const) {
      server.behave(how)
      const error = await failure()
      t.ok(error instanceof Error && !(error instanceof MailRefused), JSON.stringify(how))
    }
    server.behave('well')
    t.equal(await failure(), null)
    const nobody = transportTo(t, 'smtp://127.0.0.1:1')
    await t.rejects(nobody.send(mail), { code: 'ESOCKET' })
  }
)

t.test('a password is never sent over an open line to another machine', async t => {
  const server = await startMailServer(t)
  const port = new URL(server.url).port
  // The machine's own name by another way than loopback; without STARTTLS the transport refuses to go on.
  const transport = transportTo(t, `smtp://user:hunter2hunter2@0.0.0.0:${port}`)
  await t.rejects(transport.send(mail), { code: 'ETLS' })
  t.notMatch(server.transcript(), /AUTH|hunter2|aHVudGVy/)
})

t.test('the sender is read as a name and an address', async t => {
  t.strictSame(parseSender('no-reply@x.test'), { name: '', address: 'no-reply@x.test' })
  t.strictSame(parseSender('Acme <no-reply@x.test>'), { name: 'Acme', address: 'no-reply@x.test' })
  t.strictSame(parseSender('"Acme, Inc." <no-reply@x.test>'), {
    name: 'Acme, Inc.',
    address: 'no-reply@x.test'
  })
  t.strictSame(parseSender('A <b> <no-reply@x.test>'), { name: 'A <b>', address: 'no-reply@x.test' })
  t.equal(subjectOf('already_registered', 'Acme'), 'You already have an account at Acme')
})
