// The ways off the path, in a real browser: each ends on a page that lets the person go on.
import t from 'tap'
import { createApplication, newcomer } from '../helpers/application.ts'
import { openBrowser } from '../helpers/browser.ts'
import { findSeriousViolations, openPerson, schemes, sidewaysOverflow, type Tab } from '../helpers/person.ts'
import { password, startService } from '../helpers/service.ts'

const service = await startService(t, { demo: true })
const browser = await openBrowser(t)
const { email } = await newcomer(service, await createApplication(service), { email: 'grace@example.org' })

const heading = (tab: Tab) => tab.locator('h1').innerText()

async function begin(tab: Tab): Promise<void> {
  await tab.goto(service.demoUrl)
  await tab.click('#sign-in')
}

async function signIn(tab: Tab): Promise<void> {
  await tab.fill('#email', email)
  await tab.fill('#password', password)
  await tab.click('#sign-in')
}

async function signUp(tab: Tab, address: string, name = 'Ada Lovelace'): Promise<void> {
  await tab.click('#to-sign-up')
  await tab.fill('#email', address)
  await tab.fill('#name', name)
  await tab.fill('#password', password)
  await tab.click('#sign-up')
}

async function codeFor(address: string): Promise<string> {
  const [mail] = await service.mailTo(address)
  return /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
}

t.test('the back button leads to a page that goes on, at every step', async t => {
  const { tab, faults } = await openPerson(t, browser, { expected: [400] })
  await begin(tab)
  await signUp(tab, 'back@example.org')
  await tab.goBack()
  t.equal(await heading(tab), 'Create an account', 'nobody is proven yet: the address may be corrected')
  await tab.goForward()
  t.equal(await heading(tab), 'Check your mail')

  await tab.fill('#code', await codeFor('back@example.org'))
  await tab.click('#verify')
  await tab.goBack()
  t.match(await heading(tab), 'asks for access', 'back from the consent leads to the consent')
  await tab.click('#allow')
  t.equal(await heading(tab), 'Hello, Ada Lovelace')

  await tab.goBack()
  t.equal(await heading(tab), 'This sign-in has ended')
  await tab.click('#error-link')
  t.equal(await heading(tab), 'Hello, Ada Lovelace')
  t.strictSame(faults, [])
})

t.test('two tabs on one sign-in: the slower one is led back to the application', async t => {
  const { tab, context, faults } = await openPerson(t, browser, { expected: [400] })
  await begin(tab)
  const second = await context.newPage()
  await second.goto(tab.url())
  await signIn(second)
  await second.click('#allow')
  t.match(await heading(second), 'Hello')

  await signIn(tab)
  t.equal(await heading(tab), 'This sign-in has ended')
  await tab.click('#error-link')
  t.match(await heading(tab), 'Hello')
  t.strictSame(faults, [])
})

t.test('two sign-ins side by side both finish', async t => {
  const { tab, context, faults } = await openPerson(t, browser)
  const second = await context.newPage()
  await begin(tab)
  await begin(second)
  for (const each of [tab, second]) {
    await signIn(each)
    await each.click('#allow')
    t.match(await heading(each), 'Hello')
  }
  t.strictSame(faults, [])
})

t.test('a form that is sent again by a reload is answered as it was, and goes on', async t => {
  const { tab, faults } = await openPerson(t, browser, { expected: [422] })
  await begin(tab)
  await tab.fill('#email', email)
  await tab.fill('#password', 'not the password of anybody')
  await tab.click('#sign-in')
  t.match(await tab.locator('[role=alert]:visible').innerText(), 'do not go together')
  await tab.reload()
  t.match(await tab.locator('[role=alert]:visible').innerText(), 'do not go together')
  t.equal(await tab.inputValue('#email'), email, 'what was typed is kept')
  t.equal(await tab.inputValue('#password'), '', 'but not the password')
  await signIn(tab)
  t.match(await heading(tab), 'asks for access')
  t.strictSame(faults, [])
})

t.test('asking for another mail and reloading sends one mail, not two', async t => {
  const countMails = async () => (await service.pool`select from mail_outbox`).length
  const { tab, faults } = await openPerson(t, browser)
  await begin(tab)
  await signUp(tab, 'resend@example.org')
  await service.mailTo('resend@example.org')
  await tab.click('#resend')
  t.match(await tab.locator('[role=status]').innerText(), 'A new mail is on its way')
  const before = await countMails()
  await tab.reload()
  t.match(await tab.locator('[role=status]').innerText(), 'A new mail is on its way')
  t.equal(await countMails(), before)
  t.strictSame(faults, [])
})

t.test('the link opened in another browser lets the first one go on', async t => {
  const first = await openPerson(t, browser, { screen: 'phone', expected: [410] })
  await begin(first.tab)
  await signUp(first.tab, 'elsewhere@example.org')
  await first.tab.click('#go-on')
  t.match(await first.tab.locator('[role=status]').innerText(), 'not confirmed yet')

  const other = await openPerson(t, browser)
  const [mail] = await service.mailTo('elsewhere@example.org')
  await other.tab.goto(mail?.links[0] ?? '')
  await other.tab.click('#verify')
  t.equal(await heading(other.tab), 'Your address is confirmed')
  t.match(await other.tab.locator('main').innerText(), 'Go on here')

  await first.tab.click('#go-on')
  t.match(await heading(first.tab), 'asks for access')
  await first.tab.click('#allow')
  t.equal(await heading(first.tab), 'Hello, Ada Lovelace')

  await first.tab.goto(mail?.links[0] ?? '')
  t.equal(await heading(first.tab), 'This link is not good any more')
  await first.tab.click('#to-application')
  t.equal(await heading(first.tab), 'Hello, Ada Lovelace', 'a link that was used leads on too')
  t.strictSame([...first.faults, ...other.faults], [])
})

t.test('a wrong code says so, and the right one after it goes on', async t => {
  const { tab, faults } = await openPerson(t, browser, { screen: 'phone', expected: [422] })
  await begin(tab)
  await signUp(tab, 'code@example.org')
  const code = await codeFor('code@example.org')
  await tab.fill('#code', code === '000000' ? '000001' : '000000')
  await tab.click('#verify')
  t.match(await tab.locator('#code-fault').innerText(), 'not the code')
  t.equal(await tab.evaluate('document.activeElement.id'), 'code', 'the field is ready for the next try')
  await tab.fill('#code', code)
  await tab.click('#verify')
  t.match(await heading(tab), 'asks for access')
  t.strictSame(faults, [])
})

t.test('whoever denies is told kindly, and may try again', async t => {
  const { tab, faults } = await openPerson(t, browser, { expected: [400] })
  await begin(tab)
  await signIn(tab)
  await tab.click('#deny')
  t.equal(new URL(tab.url()).origin, service.demoUrl)
  t.match(await tab.locator('#problem').innerText(), 'nothing was shared')
  await tab.click('#try-again')
  t.equal(await heading(tab), 'Sign in')
  await tab.click('#cancel')
  t.match(await tab.locator('#problem').innerText(), 'nothing was shared', 'giving up at once is the same')
  t.strictSame(faults, [])
})

t.test('a form without its cookie leads back to the sign-in', async t => {
  const { tab, context } = await openPerson(t, browser, { expected: [403] })
  await begin(tab)
  await context.clearCookies({ name: 'csrf' })
  await signIn(tab)
  t.equal(await heading(tab), 'This form is out of date')
  await tab.click('#error-link')
  await signIn(tab)
  t.match(await heading(tab), 'asks for access')
})

t.test("the protocol's own error pages lead back to the application, where it is known", async t => {
  const { tab } = await openPerson(t, browser, { expected: [400] })
  await begin(tab)
  const authorize = `${service.issuer}/auth`
  await tab.goto(`${authorize}/never-there`)
  t.equal(await heading(tab), 'This sign-in has ended')
  t.equal(await tab.getAttribute('#error-link', 'href'), `${service.demoUrl}/`)

  await tab.goto(`${authorize}?client_id=demo-web&redirect_uri=https://elsewhere.example/&response_type=code`)
  t.equal(await tab.getAttribute('#error-link', 'href'), `${service.demoUrl}/`)

  await tab.goto(`${authorize}?client_id=nobody&response_type=code`)
  t.match(await heading(tab), 'The application sent something')
  t.equal(await tab.locator('#error-link').count(), 0, 'another application would mislead')
  t.ok(await tab.locator('#request-id').innerText())
})

/** The element that has the focus: its id, and whether that is seen. */
const focused = async (tab: Tab) =>
  await tab.evaluate<{ id: string; seen: boolean }>(`(() => {
    const { id } = document.activeElement
    const { outlineStyle, outlineWidth } = getComputedStyle(document.activeElement)
    return { id, seen: outlineStyle !== 'none' && Number.parseFloat(outlineWidth) >= 2 }
  })()`)

async function tabTo(t: { ok: (value: unknown, name: string) => unknown }, tab: Tab, id: string) {
  for (let presses = 0; presses < 20; presses++) {
    await tab.keyboard.press('Tab')
    const now = await focused(tab)
    t.ok(now.seen, `the focus is seen on ${now.id === '' ? 'a link or button' : now.id}`)
    if (now.id === id) return
  }
  throw new Error(`the keyboard does not reach ${id}`)
}

t.test('the keyboard alone is enough, and its focus is seen', async t => {
  const { tab, faults } = await openPerson(t, browser)
  await tab.goto(service.demoUrl)
  await tabTo(t, tab, 'sign-in')
  await tab.keyboard.press('Enter')
  await tab.waitForSelector('#sign-in-form')
  t.strictSame(await focused(tab), { id: 'email', seen: true }, 'the first field is ready')
  await tab.keyboard.type(email)
  await tabTo(t, tab, 'password')
  await tab.keyboard.type(password)
  await tabTo(t, tab, 'sign-in')
  await tab.keyboard.press('Enter')
  await tab.waitForSelector('#consent-form')
  await tabTo(t, tab, 'allow')
  await tab.keyboard.press('Enter')
  await tab.waitForSelector('#userinfo')
  t.match(await heading(tab), 'Hello')
  await tabTo(t, tab, 'sign-out')
  t.strictSame(faults, [])
})

t.test('axe finds nothing serious on the live pages, in both themes', async t => {
  const { tab } = await openPerson(t, browser, { screen: 'phone', expected: [400, 404, 422] })
  const check = async (page: string) => {
    for (const scheme of schemes) {
      await tab.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      t.strictSame(await findSeriousViolations(tab), [], `${page}, ${scheme}`)
    }
  }
  await tab.goto(service.demoUrl)
  await check('demo start')
  await tab.click('#sign-in')
  await tab.click('#sign-in')
  await check('sign-in with faults')
  await signUp(tab, 'axe@example.org')
  await check('verify')
  await tab.goto(`${service.issuer}/dev/mailbox`)
  await check('mailbox')
  await tab.goto((await service.mailTo('axe@example.org'))[0]?.links[0] ?? '')
  await check('confirm address')
  await tab.click('#verify')
  await check('consent')
  await tab.click('#allow')
  await check('demo signed in')
  await tab.click('#sign-out')
  await check('sign-out')
  await tab.goto(`${service.issuer}/nowhere`)
  await check('not found')
  await tab.goto(`${service.issuer}/interaction/never-there/sign-in`)
  await check('ended')
})

t.test('long names and addresses wrap on the smallest phone', async t => {
  const { tab, faults } = await openPerson(t, browser, { screen: 'phone' })
  await tab.setViewportSize({ width: 320, height: 640 })
  const address = `${'w'.repeat(64)}@${'sub-domain.'.repeat(12)}example.org`
  const name = 'Wolfeschlegelsteinhausenbergerdorff'.repeat(2)
  const fits = async (page: string) => t.equal(await sidewaysOverflow(tab), 0, page)
  await begin(tab)
  await signUp(tab, address, name)
  t.equal(await heading(tab), 'Check your mail')
  await fits('verify')
  await tab.fill('#code', await codeFor(address))
  await tab.click('#verify')
  await fits('consent')
  await tab.click('#allow')
  await fits('demo')
  await tab.click('#sign-out')
  await fits('sign-out')
  await tab.goto(`${service.issuer}/dev/mailbox`)
  await fits('mailbox')
  t.strictSame(faults, [])
})

// Last, since the clock does not go back.
t.test('a sign-in that took too long leads back to the application, where it can be begun anew', async t => {
  const { tab, faults } = await openPerson(t, browser, { expected: [400] })
  await begin(tab)
  service.advance(3700)
  await signIn(tab)
  t.equal(await heading(tab), 'This sign-in has ended')
  t.equal(await tab.locator('#error-link').innerText(), 'Go to Demo application')
  await tab.click('#error-link')
  await tab.click('#sign-in')
  await signIn(tab)
  await tab.click('#allow')
  t.match(await heading(tab), 'Hello')
  t.strictSame(faults, [])
})
