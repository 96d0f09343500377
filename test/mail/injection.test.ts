// INP-7, over HTTP: whatever is typed, the mail server hears one recipient, our headers, and nothing else.
import t from 'tap'
import { createApplication } from '../helpers/application.ts'
import { openSignUp } from '../helpers/forms.ts'
import { password, startService } from '../helpers/service.ts'
import { startMailServer } from '../helpers/smtp.ts'
import { waitFor } from '../helpers/wait.ts'

const injections = [
  'v@example.org\r\nRCPT TO:<eve@example.org>',
  'v@example.org>\r\nRCPT TO:<eve@example.org',
  'v@example.org\nBcc: eve@example.org',
  'v@example.org%0d%0aBcc:eve@example.org',
  'v@example.org> ORCPT=rfc822;eve@example.org',
  'v@example.org SIZE=1',
  'v@example.org,eve@example.org',
  'v@example.org;eve@example.org',
  'v@example.org\u2028eve@example.org',
  '"v@example.org\\",eve"@example.org',
  'v=?utf-8?q?=0d=0a?=@example.org',
  '@eve.example,@b.example:v@example.org',
  'v%eve.example@example.org',
  'eve.example!v@example.org',
  'v(comment)@example.org',
  'v@example.org.\r\n.\r\n',
  'group: v@example.org, eve@example.org;'
]

t.test(
  'INP-7: what is typed into any field reaches the mail server as one recipient or not at all',
  async t => {
    const mailServer = await startMailServer(t)
    const service = await startService(t, {
      environment: {
        SMTP_URL: mailServer.url,
        MAILS_PER_RECIPIENT_PER_HOUR: '100',
        BRAND_NAME: 'Tidewater "ID", Inc.'
      }
    })
    const application = await createApplication(service)
    const accepted: string[] = []
    const attempt = async (email: string, name: string) => {
      const { visitor, page } = await openSignUp(service, {
        application,
        params: { ui_locales: 'en\r\nBcc: eve@example.org', login_hint: 'x\r\nBcc: eve@example.org' }
      }).catch(() => openSignUp(service, { application }))
      const answer = await visitor.request(page.url, {
        method: 'POST',
        body: new URLSearchParams({
          _csrf: /name="_csrf" value="([^"]+)"/.exec(page.text)?.[1] ?? '',
          email,
          name,
          password
        }),
        headers: { 'accept-language': 'en, eve', 'user-agent': 'Bcc: eve@example.org' }
      })
      if (answer.status === 303) accepted.push(email)
    }
    for (const email of injections) await attempt(email, 'Victor')
    for (const name of [
      'Victor\r\nBcc: eve@example.org',
      'Victor\nRCPT TO:<eve@example.org>',
      '.\r\nMAIL FROM:<eve@example.org>',
      'Victor <eve@example.org>',
      '=?utf-8?q?Bcc=3A_eve?=',
      'Victor\u2028Bcc: eve',
      '.',
      '\t.',
      '"Victor", eve@example.org'
    ])
      await attempt('named@example.org', name)
    await attempt('plain@example.org', 'Victor')

    await waitFor(() => mailServer.received.length >= accepted.length)
    t.equal(mailServer.received.length, accepted.length)
    t.ok(accepted.includes('plain@example.org'))
    for (const { to, from, source } of mailServer.received) {
      t.equal(to.length, 1)
      t.match(to[0], /^[^\s<>@,;"]+@example\.org$/)
      t.equal(from, 'no-reply@localhost')
      const head = source.slice(0, source.indexOf('\r\n\r\n'))
      t.notMatch(head, /\beve\b|Victor|^Bcc:/im, 'nothing that was typed is in a header')
      const names = [...head.matchAll(/^([\w-]+):/gm)].map(([, name = '']) => name.toLowerCase())
      t.strictSame(names.sort(), [
        'auto-submitted',
        'content-type',
        'date',
        'from',
        'message-id',
        'mime-version',
        'subject',
        'to'
      ])
      t.match(head, `To: ${to[0]}`)
      t.match(head, /^Subject: =\?UTF-8\?Q\?Confirm_your_address_for_Tidewater_=22ID\?=$/m)
      t.match(head, /^From: ("Tidewater \\"ID\\", Inc\."|=\?UTF-8\?).* ?<no-reply@localhost>$/im)
    }
    const lines = mailServer.transcript().split('\r\n')
    const commands = lines.filter(line =>
      /^(ehlo|helo|mail|rcpt|data|bdat|rset|vrfy|expn|auth|etrn)\b/i.test(line)
    )
    for (const line of commands)
      t.match(
        line,
        /^(EHLO \S+|MAIL FROM:<no-reply@localhost>( \S+)*|RCPT TO:<[^\s<>@,;"]+@example\.org>( \S+)*|DATA)$/,
        line
      )
    for (const verb of ['MAIL', 'RCPT', 'DATA'])
      t.equal(commands.filter(line => line.startsWith(verb)).length, mailServer.received.length, verb)
    t.notMatch(mailServer.transcript(), /\beve\b/)
  }
)

t.test(
  'with a mail server set there is no mailbox: not the page, not the JSON, not a table that fills',
  async t => {
    const mailServer = await startMailServer(t)
    const service = await startService(t, { environment: { SMTP_URL: mailServer.url } })
    const { visitor, page } = await openSignUp(service)
    await visitor.submit(page, 'sign-up-form', { email: 'real@example.org', name: 'R', password })
    await waitFor(() => mailServer.received.length === 1)
    for (const path of ['/dev/mailbox', '/dev/mailbox.json'])
      t.equal((await visitor.request(`${service.issuer}${path}`)).status, 404)
    t.notMatch((await visitor.request(`${service.issuer}/`)).text, 'dev/mailbox')
    t.strictSame(
      [...(await service.pool`select count(*)::int as mails from development_mailbox`)],
      [{ mails: 0 }]
    )
    t.match(mailServer.received[0]?.source, /verify-email/)
  }
)
