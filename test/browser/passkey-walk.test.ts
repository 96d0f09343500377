// People with passkeys, in a real browser with a device of its own, through the pages of a running service.
import t from 'tap'
import { openBrowser } from '../helpers/browser.ts'
import { giveDevice } from '../helpers/person.ts'
import { createPerson } from '../helpers/resets.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'
import { codeFor, openWalker, type WalkOptions } from '../helpers/walk.ts'

const service = await startService(t, { demo: true })
const world = { service, browser: await openBrowser(t) }
const security = `${service.issuer}/account/security`

t.test('a newcomer needs no password: a passkey signs up, and signs in from the address field', async t => {
  const walker = await openWalker(t, world, { name: 'walk-passkey', screen: 'phone' })
  const { tab, see, begin, leave } = walker
  const { held } = await giveDevice(walker)
  const email = 'passkey@example.org'
  await begin()
  await see('Sign in')
  await tab.click('#to-sign-up')
  await tab.fill('#email', email)
  await tab.fill('#name', 'Ada Lovelace')
  await see('Create an account')
  await tab.click('#sign-up-passkey')
  await see('Check your mail')
  await tab.fill('#code', await codeFor(service, email))
  await tab.click('#verify')

  await see('Create your passkey')
  t.notOk(await tab.isVisible('#without-passkeys'), 'who has script is not told to switch it on')
  await tab.click('#create-passkey')
  await see('Keep your recovery codes')
  t.equal(await tab.locator('#recovery-codes li').count(), 10)
  t.equal((await held())[0]?.userName, email)
  await tab.click('#continue')
  await see('asks for access')
  await tab.click('#allow')
  await see('Hello, Ada Lovelace')

  await leave()
  await tab.click('#sign-in')
  await see('asks for access')
  t.match(await tab.locator('main').innerText(), email, 'the passkey told who it is, without a press')
  await tab.click('#allow')
  await see('Hello, Ada Lovelace')
  const claims = await tab.locator('#id-token-claims').innerText()
  t.match(claims, 'urn:gatehouse:acr:phr')
  t.match(claims, 'mfa')
  t.strictSame(walker.faults, [])
})

t.test('a passkey is used by its button, and forgotten by the device once it is unknown here', async t => {
  const options: WalkOptions = { name: 'walk-passkey-button', autofill: false, expected: [422] }
  const walker = await openWalker(t, world, options)
  const { tab, see, begin, leave, typePassword } = walker
  const { held } = await giveDevice(walker)
  const email = 'button@example.org'
  const id = await createPerson(service, { email })
  await tab.goto(`${security}/passkeys/add`)
  await see('Sign in')
  await typePassword(email)
  await see('Add a passkey or security key')
  await tab.click('#add-passkey')
  await see('Keep these recovery codes')
  await tab.click('#codes-kept')
  await see('Security')
  await tab.click('#to-sign-out')
  await see('Sign out?')
  await tab.click('#sign-out')
  await see(/signed out/i)

  await begin()
  await tab.click('#passkey')
  await see('asks for access')
  await tab.click('#allow')
  await see('Hello')

  await leave()
  await service.pool`delete from webauthn_credentials where account_id = ${id}`
  await tab.click('#sign-in')
  await see('Sign in')
  await tab.click('#passkey')
  await tab.locator('[data-signal="unknown-credential"]').waitFor({ state: 'attached' })
  await see('Sign in')
  t.match(await tab.locator('[role=alert]:visible').innerText(), 'This passkey did not sign you in')
  await t.resolves(waitFor(async () => (await held()).length === 0))
  t.strictSame(walker.faults, [])
})

t.test('a passkey beside a password is the second step, until it is removed', async t => {
  const walker = await openWalker(t, world, { name: 'walk-second-passkey', screen: 'phone', autofill: false })
  const { tab, context, see, begin, leave, typePassword } = walker
  const { held } = await giveDevice(walker)
  // What the page tells the device, as well as what becomes of it there.
  await context.addInitScript(`
    window.told = []
    const tell = PublicKeyCredential.signalAllAcceptedCredentials
    PublicKeyCredential.signalAllAcceptedCredentials = details => {
      told.push(details)
      return tell.call(PublicKeyCredential, details)
    }`)
  const email = 'second@example.org'
  await createPerson(service, { email })
  await tab.goto(security)
  await typePassword(email)
  await see('Security')
  t.match(await tab.locator('#protection').innerText(), 'Whoever learns your password is in')
  await tab.click('#add-passkey')
  await see('Add a passkey or security key')
  t.notOk(await tab.isVisible('#without-passkeys'))
  await tab.click('#add-passkey')
  await see('Keep these recovery codes')
  t.match(await tab.locator('#done').innerText(), 'The passkey was added')
  await tab.click('#codes-kept')
  await see('Security')
  t.equal(await tab.locator('#passkeys li').count(), 1)

  await begin()
  await see('asks for access')
  await tab.click('#allow')
  await leave()
  await tab.click('#sign-in')
  await typePassword(email)
  await see('Use your passkey or security key')
  t.notOk(await tab.isVisible('#without-passkeys'), 'who has script is not told to switch it on')
  await tab.click('#use-passkey')
  await see('asks for access')
  await tab.click('#allow')
  await see('Hello')
  t.match(await tab.locator('#id-token-claims').innerText(), 'urn:gatehouse:acr:phr')

  await tab.goto(security)
  t.equal((await held()).length, 1)
  await tab.click('#passkeys a')
  await tab.locator('#remove-form').waitFor()
  await see(/./)
  await tab.click('#remove')
  await see('Security')
  t.match(await tab.locator('#done').innerText(), 'The passkey was removed')
  await t.resolves(waitFor(async () => (await held()).length === 0))
  t.match(await tab.evaluate('told'), [{ rpId: 'localhost', allAcceptedCredentialIds: [] }])

  await tab.goto(service.demoUrl)
  await leave()
  await tab.click('#sign-in')
  await typePassword(email)
  await see('asks for access')
  t.strictSame(walker.faults, [])
})
