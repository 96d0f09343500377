// The whole path of a newcomer through the demo application, in a real browser: on a phone and a desktop, with and
// without script. PICTURES=1 also writes a picture of every page, in both themes, to test/screenshots/;
// README_PICTURE=1 makes docs/screenshot.png anew.
import { resolve } from 'node:path'
import t, { type Test } from 'tap'
import { createApplication, newcomer } from '../helpers/application.ts'
import { openBrowser } from '../helpers/browser.ts'
import { openPerson, type Person, sidewaysOverflow, type Tab, takePictures } from '../helpers/person.ts'
import { password, startService } from '../helpers/service.ts'

const service = await startService(t, { demo: true })
const browser = await openBrowser(t)

type Walk = {
  t: Test
  person: Person
  email: string
  /** Asserts what holds of each page, and takes its picture. */
  see: (tab: Tab, page: string, heading: string | RegExp) => Promise<void>
}

const runs = [
  { screen: 'phone', script: true, confirm: followLink },
  { screen: 'phone', script: false, confirm: followLink },
  { screen: 'desktop', script: true, confirm: followLink },
  { screen: 'desktop', script: false, confirm: typeCode }
] as const

for (const { screen, script, confirm } of runs) {
  const title = `${screen}, ${script ? 'with' : 'without'} script, by ${confirm === followLink ? 'link' : 'code'}`
  t.test(`a newcomer signs up, agrees, refreshes and signs out: ${title}`, async t => {
    const person = await openPerson(t, browser, { screen, script })
    let pages = 0
    const see: Walk['see'] = async (tab, page, heading) => {
      const h1 = await tab.locator('h1').innerText()
      t.match(h1, heading, page)
      t.equal(await sidewaysOverflow(tab), 0, `${page} does not scroll sideways`)
      pages += 1
      const name = `walk-${screen}-${String(pages).padStart(2, '0')}-${page}`
      if (script && process.env.PICTURES !== undefined) await takePictures(tab, name)
    }
    const walk = { t, person, see, email: `ada.${screen}.${script}@example.org` }
    await signUp(walk)
    const tab = await confirm(walk)
    await agree(walk, tab)
    await signOut(walk, tab)
    t.strictSame(person.faults, [], 'no page complained')
  })
}

async function signUp({ t, person: { tab }, email, see }: Walk): Promise<void> {
  await tab.goto(service.demoUrl)
  await see(tab, 'demo-start', /./)
  await tab.click('#sign-in')

  await see(tab, 'sign-in', 'Sign in')
  t.match(await tab.locator('main').innerText(), 'Demo application')
  await tab.click('#to-sign-up')

  await see(tab, 'sign-up', 'Create an account')
  await tab.fill('#email', email)
  await tab.fill('#name', 'Ada Lovelace')
  await tab.fill('#password', password)
  await tab.click('#sign-up')

  await see(tab, 'verify-email', 'Check your mail')
  t.match(await tab.locator('main').innerText(), email)
}

/** The mail is read in a second tab of the same browser, and its link opened there. */
async function followLink({ t, person, email, see }: Walk): Promise<Tab> {
  const [mail] = await service.mailTo(email)
  const tab = await person.context.newPage()
  await tab.goto(`${service.issuer}/dev/mailbox`)
  await see(tab, 'mailbox', 'Mailbox')
  await tab.locator(`#mail-${mail?.id} a[href*="/verify-email/"]`).click()
  await see(tab, 'confirm-address', 'Confirm your address')
  t.match(await tab.locator('main').innerText(), email)
  await tab.click('#verify')
  return tab
}

async function typeCode({ person: { tab }, email }: Walk): Promise<Tab> {
  const [mail] = await service.mailTo(email)
  await tab.fill('#code', /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? '')
  await tab.click('#verify')
  return tab
}

async function agree({ t, email, see }: Walk, tab: Tab): Promise<void> {
  await see(tab, 'consent', /Demo application/)
  const asked = await tab.locator('main').innerText()
  t.match(asked, 'Ada Lovelace')
  t.match(asked, email)
  t.match(asked, new URL(service.demoUrl).host)
  await tab.click('#allow')

  await see(tab, 'demo-signed-in', 'Hello, Ada Lovelace')
  t.equal(new URL(tab.url()).origin, service.demoUrl)
  t.match(await tab.locator('#id-token-claims').innerText(), service.issuer)
  t.match(await tab.locator('#userinfo').innerText(), email)

  const before = await tab.locator('#tokens').innerText()
  await tab.click('#refresh')
  t.match(await tab.locator('#refreshed').innerText(), /New tokens came at/)
  t.not(await tab.locator('#tokens').innerText(), before)
  await see(tab, 'demo-refreshed', 'Hello, Ada Lovelace')
}

async function signOut({ t, see }: Walk, tab: Tab): Promise<void> {
  await tab.click('#sign-out')
  await see(tab, 'sign-out', 'Sign out?')
  t.match(await tab.locator('main').innerText(), 'Ada Lovelace')
  await tab.click('#sign-out')

  await see(tab, 'demo-signed-out', /./)
  t.equal(new URL(tab.url()).origin, service.demoUrl)
  t.match(await tab.locator('main').innerText(), 'signed out')
  await tab.click('#sign-in')
  await see(tab, 'sign-in-again', 'Sign in')
}

t.test('the picture of the README', { skip: process.env.README_PICTURE === undefined }, async () => {
  const application = await createApplication(
    service,
    await service.register({
      client_name: 'Tidewater Photos',
      client_uri: 'https://photos.tidewater.example/',
      policy_uri: 'https://photos.tidewater.example/privacy',
      tos_uri: 'https://photos.tidewater.example/terms',
      redirect_uris: ['https://photos.tidewater.example/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      scope: 'openid profile email'
    })
  )
  const { email } = await newcomer(service, await createApplication(service))
  const half = { width: 640, height: 800 }
  const page = await browser.newPage({ viewport: half, deviceScaleFactor: 1.5, colorScheme: 'light' })
  const { url } = await application.begin({ scope: 'openid profile email' })
  await page.goto(url)
  await page.fill('#email', email)
  const signIn = await page.screenshot({ animations: 'disabled' })
  await page.fill('#password', password)
  await page.click('#sign-in')
  await page.emulateMedia({ colorScheme: 'dark' })
  const consent = await page.screenshot({ animations: 'disabled' })
  await page.setViewportSize({ width: 1280, height: 800 })
  const images = [signIn, consent].map(
    image => `<img width="640" height="800" src="data:image/png;base64,${image.toString('base64')}">`
  )
  await page.goto('about:blank')
  await page.setContent(`<body style="margin:0;display:flex">${images.join('')}`)
  await page.screenshot({ path: resolve(import.meta.dirname, '../../docs/screenshot.png') })
})
