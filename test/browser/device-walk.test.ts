// A television of the demo application, and the phone of the person who lets it in: both without script. PICTURES=1 takes
// pictures of every page.
import t from 'tap'
import { createApplication, newcomer } from '../helpers/application.ts'
import { openBrowser } from '../helpers/browser.ts'
import { openPerson, takePictures } from '../helpers/person.ts'
import { startService } from '../helpers/service.ts'
import { openWalker } from '../helpers/walk.ts'

t.test('a phone lets a television in by its QR code', async t => {
  const service = await startService(t, { demo: true })
  const browser = await openBrowser(t)
  const { email } = await newcomer(service, await createApplication(service))

  const television = await openPerson(t, browser, { screen: 'desktop', script: false })
  await television.tab.goto(service.demoUrl)
  await television.tab.click('#to-device')
  await television.tab.click('#show-code')
  await television.tab.locator('#qr-code').waitFor()
  const userCode = await television.tab.locator('#user-code').innerText()
  if (process.env.PICTURES !== undefined) await takePictures(television.tab, 'device-television')
  const scanned = await television.tab.locator('#verification-uri').getAttribute('href')
  t.equal(scanned, `${service.issuer}/device?user_code=${userCode}`)

  const walk = await openWalker(
    t,
    { browser, service },
    { name: 'device-walk', screen: 'phone', script: false }
  )
  const { tab: phone, see } = walk
  await phone.goto(scanned ?? '')
  await see('Connect a device')
  t.equal(await phone.inputValue('#user_code'), userCode, 'filled in, and no more than that')
  await phone.click('#go-on')
  await see('Connect Demo native application?')
  t.equal(await phone.locator('#device-code').innerText(), userCode)
  t.match(await phone.locator('#warning').innerText(), 'Go on only if you began this yourself')
  await phone.click('#approve')
  await see('Sign in')
  await walk.typePassword(email)
  await see('Demo native application asks for access')
  await phone.click('#allow')
  await see('Your device is connected')

  await television.tab.locator('#on-air').waitFor({ timeout: 20_000 })
  t.match(await television.tab.locator('#device-claims').innerText(), /sub/)
  t.strictSame([...walk.faults, ...television.faults], [])
})

t.test('a code is typed by hand, wrong at first, and then denied', async t => {
  const service = await startService(t, { demo: true })
  const browser = await openBrowser(t)
  const television = await openPerson(t, browser, { script: false })
  await television.tab.goto(`${service.demoUrl}/device`)
  await television.tab.click('#show-code')
  const userCode = await television.tab.locator('#user-code').innerText()

  const options = { name: 'device-denied', screen: 'phone' as const, expected: [422] }
  const walk = await openWalker(t, { browser, service }, options)
  await walk.tab.goto(`${service.issuer}/device`)
  await walk.tab.fill('#user_code', 'BCDF-GHJK')
  await walk.tab.click('#go-on')
  await walk.tab.locator('#user_code-fault').waitFor()
  await walk.see('Connect a device')
  await walk.tab.fill('#user_code', userCode.toLowerCase())
  await walk.tab.keyboard.press('Enter')
  await walk.see('Connect Demo native application?')
  await walk.tab.click('#deny')
  await walk.see('The device was not let in')
  await television.tab.locator('#problem').waitFor({ timeout: 20_000 })
  t.match(await television.tab.locator('h1').innerText(), 'You are not signed in')
  t.strictSame([...walk.faults, ...television.faults], [])
})
