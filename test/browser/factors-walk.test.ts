// People with codes, and with a sign-in that has grown old, in a real browser through the pages of a running service.
import t from 'tap'
import { openBrowser } from '../helpers/browser.ts'
import { createPerson } from '../helpers/resets.ts'
import { password, startService } from '../helpers/service.ts'
import { codeShown } from '../helpers/totp.ts'
import { openWalker } from '../helpers/walk.ts'

const service = await startService(t, { demo: true })
const world = { service, browser: await openBrowser(t) }
const security = `${service.issuer}/account/security`

t.test('an authenticator app, a trusted browser, and recovery codes old and new', async t => {
  const walker = await openWalker(t, world, { name: 'walk-codes', screen: 'phone' })
  const { tab, see, begin, leave, typePassword } = walker
  const email = 'codes@example.org'
  await createPerson(service, { email })
  await tab.goto(`${security}/authenticators/add`)
  await typePassword(email)
  await see('Add an authenticator app')
  t.ok(await tab.isVisible('#qr-code'))
  const secret = await tab.locator('#secret').innerText()
  const nextCode = () => {
    service.advance(31)
    return codeShown(secret, new Date())
  }
  await tab.fill('#code', nextCode())
  await tab.click('#add-authenticator')
  await see('Keep these recovery codes')
  const codes = await tab.locator('#recovery-codes li').allInnerTexts()
  await tab.click('#codes-kept')
  await see('Security')

  await begin()
  await see('asks for access')
  await tab.click('#allow')
  await leave()
  await tab.click('#sign-in')
  await typePassword(email)
  await see('Enter the code from your app')
  await tab.fill('#code', nextCode())
  await tab.check('#trust')
  await tab.click('#use-code')
  await see('asks for access')
  await tab.click('#allow')
  await see('Hello')
  t.match(await tab.locator('#id-token-claims').innerText(), 'urn:gatehouse:acr:mfa')

  await leave()
  await tab.click('#sign-in')
  await typePassword(email)
  await see('asks for access')

  const elsewhere = await openWalker(t, world, { name: 'walk-recovery', expected: [422] })
  const recover = async (code: string) => {
    await elsewhere.see('Enter the code from your app')
    await elsewhere.tab.click('#to-recovery-code')
    await elsewhere.see('Enter a recovery code')
    await elsewhere.tab.fill('#code', code)
    await elsewhere.tab.click('#use-recovery-code')
  }
  await elsewhere.tab.goto(`${security}/recovery-codes`)
  await elsewhere.typePassword(email)
  await recover(codes[0] ?? '')
  await elsewhere.see('Make new recovery codes?')
  t.match(await elsewhere.tab.locator('main').innerText(), '9 left')
  await elsewhere.tab.click('#make-codes')
  await elsewhere.see('Keep these recovery codes')
  const [fresh = ''] = await elsewhere.tab.locator('#recovery-codes li').allInnerTexts()
  await elsewhere.tab.click('#codes-kept')
  await elsewhere.see('Security')
  await elsewhere.tab.click('#to-sign-out')
  await elsewhere.see('Sign out?')
  await elsewhere.tab.click('#sign-out')
  await elsewhere.see(/signed out/i)

  await elsewhere.tab.goto(security)
  await elsewhere.typePassword(email)
  await recover(codes[1] ?? '')
  t.match(await elsewhere.tab.locator('#code-fault').innerText(), 'not one of your unused recovery codes')
  await elsewhere.tab.fill('#code', fresh)
  await elsewhere.tab.click('#use-recovery-code')
  await elsewhere.see('Security')
  t.match(await elsewhere.tab.locator('#recovery-codes-state').innerText(), '9 of 10')
  t.strictSame([...walker.faults, ...elsewhere.faults], [])
})

t.test('a sign-in that is too old for a change is renewed, and leads back to the change', async t => {
  const walker = await openWalker(t, world, { name: 'walk-again', screen: 'phone' })
  const { tab, see, typePassword } = walker
  const email = 'again@example.org'
  await createPerson(service, { email })
  await tab.goto(security)
  await typePassword(email)
  await see('Security')
  service.advance(11 * 60)
  await tab.reload()
  await see('Security')
  await tab.click('#add-authenticator')
  await see('Confirm that it is you')
  t.equal(await tab.inputValue('#email'), email)
  await tab.fill('#password', password)
  await tab.click('#sign-in')
  await see('Add an authenticator app')

  service.advance(11 * 60)
  await tab.fill('#code', '000000')
  await tab.click('#add-authenticator')
  await see('Confirm that it is you')
  await tab.fill('#password', password)
  await tab.click('#sign-in')
  await see('Add an authenticator app')
  t.strictSame(walker.faults, [])
})
