// What mails lead to: a new password, another address, everybody put out; in a real browser through a running service.
import t from 'tap'
import { openBrowser } from '../helpers/browser.ts'
import { createPerson, lastNotMe, lastReset, newPassword } from '../helpers/resets.ts'
import { password, startService } from '../helpers/service.ts'
import { openWalker } from '../helpers/walk.ts'

const service = await startService(t, { demo: true })
const world = { service, browser: await openBrowser(t) }
const security = `${service.issuer}/account/security`

t.test('a forgotten password is replaced on a phone without script, by link and by code', async t => {
  const walker = await openWalker(t, world, { name: 'walk-reset', screen: 'phone', script: false })
  const { tab, see, begin, leave, typePassword } = walker
  const email = 'forgotten@example.org'
  await createPerson(service, { email })
  const ask = async () => {
    await begin()
    await tab.click('#to-reset-password')
    await see('Forgot your password?')
    await tab.fill('#email', email)
    await tab.click('#send-reset')
    await see('Check your mail')
  }
  await ask()
  await tab.goto((await lastReset(service, email)).link)
  await see('Choose a new password')
  await tab.fill('#password', newPassword)
  await tab.click('#set-password')
  await see('Your password is changed')
  await tab.click('#back')
  await see('Sign in')
  await typePassword(email, newPassword)
  await see('asks for access')
  await tab.click('#allow')
  await leave()

  await ask()
  const { code } = await lastReset(service, email, 2)
  await tab.fill('#code', code)
  await tab.fill('#password', password)
  await tab.click('#set-password')
  await see('Your password is changed')
  await tab.click('#back')
  await typePassword(email)
  await see('asks for access')
  t.strictSame(walker.faults, [])
})

t.test('“This wasn’t me” puts everybody out, and the owner back in', async t => {
  const walker = await openWalker(t, world, { name: 'walk-not-me' })
  const { tab, see, begin, typePassword } = walker
  const email = 'stolen@example.org'
  await createPerson(service, { email })
  const thief = await openWalker(t, world, { name: 'walk-thief', screen: 'phone' })
  await thief.tab.goto(`${security}/password`)
  await thief.typePassword(email)
  await thief.see('Change your password')
  await thief.tab.fill('#current', password)
  await thief.tab.fill('#password', 'a thief has put these words here')
  await thief.tab.click('#save-password')
  await thief.see('Security')
  t.match(await thief.tab.locator('#done').innerText(), 'Your password was changed')

  const link = await lastNotMe(service, email)
  await tab.goto(`${service.issuer}/dev/mailbox`)
  await see('Mailbox')
  await tab.click(`a[href="${link}"]`)
  await see('Was it not you?')
  await tab.click('#not-me')
  await see('Check your mail')
  await thief.tab.reload()
  await thief.see('Sign in')

  await tab.fill('#code', (await lastReset(service, email)).code)
  await tab.fill('#password', newPassword)
  await tab.click('#set-password')
  await see('Your password is changed')
  await tab.goto(security)
  await typePassword(email, newPassword)
  await see('Security')
  t.match(await tab.locator('#frozen').innerText(), 'Nothing here can be changed before')
  t.equal(await tab.locator('#change-password').count(), 0)
  await begin()
  await see('asks for access')
  t.strictSame([...walker.faults, ...thief.faults], [])
})

t.test('an address is changed by a link, and the change taken back by another', async t => {
  const walker = await openWalker(t, world, { name: 'walk-address' })
  const { tab, context, see, typePassword } = walker
  const [before, after] = ['before@example.org', 'after@example.net']
  await createPerson(service, { email: before })
  await tab.goto(security)
  await typePassword(before)
  await see('Security')
  await tab.click('#change-address')
  await see('Change your email address')
  await tab.fill('#email', after)
  await tab.click('#change-address')
  await see('Confirm your new address')
  const [mail] = await service.mailTo(after)
  const second = await context.newPage()
  await second.goto(mail?.links[0] ?? '')
  await see('Confirm your new address', second)
  await second.click('#confirm-address')
  await see('Security', second)
  t.equal(await second.locator('#email-address').innerText(), after)

  const [notice] = await service.mailTo(before)
  await tab.goto(notice?.links.find(link => link.includes('/undo-address/')) ?? '')
  await see('Undo the change?')
  await tab.click('#undo-address')
  await see('Check your mail')
  await tab.fill('#code', (await lastReset(service, before)).code)
  await tab.fill('#password', newPassword)
  await tab.click('#set-password')
  await see('Your password is changed')
  await tab.goto(security)
  await typePassword(before, newPassword)
  await see('Security')
  t.equal(await tab.locator('#email-address').innerText(), before)
  t.strictSame(walker.faults, [])
})
