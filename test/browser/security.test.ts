// The signed-in person's page in a real browser: a passkey from its first day to its last.
import t from 'tap'
import { openBrowser } from '../helpers/browser.ts'
import { giveDevice, openPerson } from '../helpers/person.ts'
import { createPerson } from '../helpers/resets.ts'
import { password, startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

const service = await startService(t)
const browser = await openBrowser(t)
const overview = `${service.issuer}/account/security`

t.test(
  'a passkey is added with recovery codes, asked for, renamed and removed, and the device hears of it',
  async t => {
    const email = 'ada@example.org'
    await createPerson(service, { email })
    const person = await openPerson(t, browser, { screen: 'phone' })
    const { tab, faults } = person
    const { held } = await giveDevice(person)
    const heading = async () => await tab.locator('h1').innerText()

    await tab.goto(overview)
    await tab.fill('#email', email)
    await tab.fill('#password', password)
    await tab.click('#sign-in')
    t.equal(await heading(), 'Security')
    t.match(await tab.locator('#protection').innerText(), 'One step: add a passkey')

    await tab.click('#next-step')
    t.notOk(await tab.isVisible('#without-passkeys'))
    await tab.click('#add-passkey')
    await tab.locator('#recovery-codes').waitFor()
    t.equal(await tab.locator('#recovery-codes li').count(), 10)
    t.equal((await held()).length, 1)
    await tab.click('#codes-kept')
    t.match(await tab.locator('#recovery-codes-state').innerText(), '10 of 10')

    await tab.click('#passkeys a')
    t.equal(await heading(), 'Use your passkey or security key', 'a password alone may not change it')
    await tab.click('#use-passkey')
    await tab.locator('#rename-form').waitFor()
    await tab.fill('#name', 'My phone')
    await tab.click('#rename')
    t.match(await tab.locator('#done').innerText(), 'new name')
    t.equal(await tab.locator('#passkeys h3').innerText(), 'My phone')

    await tab.click('#passkeys a')
    await tab.click('#remove')
    t.match(await tab.locator('#done').innerText(), 'removed')
    await t.resolves(
      waitFor(async () => (await held()).length === 0),
      'the device forgot it'
    )
    t.strictSame(faults, [])
  }
)

t.test(
  'the keyboard reaches the content first, and without script nothing is missing but passkeys',
  async t => {
    const email = 'bob@example.org'
    await createPerson(service, { email })
    const { tab, faults } = await openPerson(t, browser, { script: false })
    await tab.goto(overview)
    await tab.fill('#email', email)
    await tab.fill('#password', password)
    await tab.click('#sign-in')
    await tab.locator('#protection').waitFor()
    await tab.keyboard.press('Tab')
    t.equal(await tab.evaluate('document.activeElement.className'), 'skip-link')
    await tab.keyboard.press('Enter')
    await tab.keyboard.press('Tab')
    t.equal(await tab.evaluate('document.activeElement.id'), 'next-step')
    await tab.click('#add-passkey')
    t.ok(await tab.isVisible('#without-passkeys'))
    await tab.click('#to-authenticator')
    t.ok(await tab.isVisible('#qr-code'))
    t.strictSame(faults, [])
  }
)
