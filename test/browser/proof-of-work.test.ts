// A network that tried too often, in a real browser: with script the work is done while the person types, without it they
// wait. PICTURES=1 also writes pictures of the page.
import t, { type Test } from 'tap'
import { createApplication, newcomer } from '../helpers/application.ts'
import { openBrowser } from '../helpers/browser.ts'
import { openSignIn } from '../helpers/forms.ts'
import { forgetGuesses } from '../helpers/guessing.ts'
import { findSeriousViolations, openPerson, sidewaysOverflow, takePictures } from '../helpers/person.ts'
import { password, startService } from '../helpers/service.ts'

const service = await startService(t, {
  environment: { FAILURES_PER_NETWORK_PER_HOUR: '3', SIGN_UPS_PER_NETWORK_PER_HOUR: '1' }
})
const browser = await openBrowser(t)
const application = await createApplication(service)
await newcomer(service, application, { email: 'ada@example.org' })

/** Somebody else in the same network tries one password at many addresses. */
async function spray(): Promise<void> {
  const { visitor, page } = await openSignIn(service, { application })
  for (let count = 0; count < 4; count++)
    await visitor.post(page, 'sign-in-form', { email: `somebody${count}@example.org`, password: 'wrong' })
}

async function openPage(t: Test, options: Parameters<typeof openPerson>[2]) {
  await forgetGuesses(service.pool)
  await spray()
  const person = await openPerson(t, browser, { ...options, expected: [422, 429] })
  await person.tab.goto((await application.begin()).url)
  return person
}

for (const screen of ['phone', 'desktop'] as const)
  t.test(`with script a press on the button is enough, however early: ${screen}`, async t => {
    const { tab, faults } = await openPage(t, { screen })
    await tab.fill('#email', 'ada@example.org')
    await tab.fill('#password', password)
    await tab.click('#sign-in')
    await tab.waitForSelector('#work-status')
    t.match(await tab.locator('[role=alert]:visible').innerText(), /Many tries came from your network/)
    t.equal(await tab.inputValue('#email'), 'ada@example.org')
    t.equal(await tab.inputValue('#password'), '', 'a password is never sent back')
    t.equal(await sidewaysOverflow(tab), 0)
    t.strictSame(await findSeriousViolations(tab), [])
    if (process.env.PICTURES !== undefined) await takePictures(tab, `proof-of-work-${screen}`)

    await tab.fill('#password', password)
    await tab.click('#sign-in')
    await tab.waitForSelector('#consent-form')
    t.strictSame(faults, [])
  })

t.test('the page says when the work is done, and the form is sent as it is then', async t => {
  const { tab, faults } = await openPage(t, {})
  await tab.fill('#email', 'ada@example.org')
  await tab.fill('#password', password)
  await tab.click('#sign-in')
  await tab.getByText('Your browser has done its computation').waitFor()
  await tab.fill('#password', `${password}!`)
  await tab.click('#sign-in')
  await tab.getByText('do not go together').waitFor()
  await tab.fill('#password', password)
  await tab.press('#password', 'Enter')
  await tab.waitForSelector('#consent-form')
  t.strictSame(faults, [], 'and the next page brings the next work along')
})

t.test('without script they wait, and are told for how long', async t => {
  const { tab, faults } = await openPage(t, { script: false })
  const signIn = async () => {
    await tab.fill('#email', 'ada@example.org')
    await tab.fill('#password', password)
    await tab.click('#sign-in')
  }
  await signIn()
  t.match(await tab.locator('[role=alert]:visible').innerText(), /wait (\d+|a) seconds? first/)
  service.advance(61)
  await signIn()
  t.ok(await tab.locator('#consent-form').isVisible())
  t.strictSame(faults, [])
})

t.test('signing up costs work in the same way', async t => {
  const { tab, faults } = await openPage(t, {})
  const signUp = async (email: string) => {
    await tab.fill('#email', email)
    await tab.fill('#name', 'Grace')
    await tab.fill('#password', password)
    await tab.click('#sign-up')
  }
  await tab.click('#to-sign-up')
  await signUp('first@example.org')
  await tab.waitForSelector('#verify-form')
  await tab.click('#start-over')
  await signUp('second@example.org')
  await tab.waitForSelector('#work-status')
  t.equal(await tab.inputValue('#name'), 'Grace')
  await signUp('second@example.org')
  await tab.waitForSelector('#verify-form')
  t.strictSame(faults, [])
})
