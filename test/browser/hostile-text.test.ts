// WEB-2 as a browser sees it: text that others chose opens no dialog and breaks no content policy.
import t from 'tap'
import { createApplication } from '../helpers/application.ts'
import { openBrowser } from '../helpers/browser.ts'
import { openPerson } from '../helpers/person.ts'
import { password, startService } from '../helpers/service.ts'

const payloads = [
  '"><script>alert(1)</script>',
  "'><img src=x onerror=alert(1)>",
  '</title><svg onload=alert(1)>',
  '" autofocus onfocus=alert(1) x="'
]

// Angle brackets are refused in people's names; this is what is left to try.
const personName = `'" autofocus onfocus=alert(1) x="`

t.test('WEB-2: hostile names and parameters run nothing in Chromium', async t => {
  const service = await startService(t)
  const browser = await openBrowser(t)
  for (const [index, payload] of payloads.entries()) {
    const application = await createApplication(
      service,
      await service.register({
        client_name: payload,
        redirect_uris: ['http://localhost:9/callback'],
        token_endpoint_auth_method: 'client_secret_basic',
        grant_types: ['authorization_code', 'refresh_token'],
        policy_uri: `https://example.org/?${encodeURIComponent(payload)}`
      })
    )
    const { tab, faults, context } = await openPerson(t, browser, { expected: [400, 404, 410, 422] })
    const dialogs: string[] = []
    context.on('dialog', dialog => {
      dialogs.push(dialog.message())
      void dialog.dismiss()
    })
    const { url } = await application.begin({ login_hint: payload, ui_locales: payload, state: payload })
    await tab.goto(url)
    await tab.fill('[name=password]', 'x')
    await tab.click('#sign-in')
    await tab.click('#to-sign-up')
    await tab.fill('[name=email]', `hostile${index}@example.org`)
    await tab.fill('[name=name]', personName)
    await tab.fill('[name=password]', password)
    await tab.click('#sign-up')
    const [mail] = await service.mailTo(`hostile${index}@example.org`)
    await tab.fill('[name=code]', /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? '')
    await tab.click('#verify')
    await tab.waitForSelector('#consent-form')
    t.ok((await tab.innerText('h1')).includes(payload), 'the consent page shows the name as text')
    t.ok((await tab.innerText('.account-name')).includes(personName), "and the person's")
    await tab.goto(
      `${service.issuer}/auth?client_id=${encodeURIComponent(payload)}&state=${encodeURIComponent(payload)}`
    )
    await tab.goto(`${service.issuer}/session/end?client_id=${application.clientId}`)
    await tab.goto(`${service.issuer}/nowhere/${encodeURIComponent(payload)}`)
    await tab.goto(`${service.issuer}/dev/mailbox`)
    t.strictSame(dialogs, [], payload)
    t.strictSame(faults, [], payload)
  }
})
