// What a browser says of a new password while it is typed.
import t, { type Test } from 'tap'
import { sendPage } from '../../src/http/view.ts'
import { signUpPage } from '../../src/interactions/views.ts'
import { openBrowser } from '../helpers/browser.ts'
import { createPagesApp, testConfig } from '../helpers/pages.ts'
import { findSeriousViolations, openPerson, schemes, takePictures } from '../helpers/person.ts'

async function serveSignUp(t: Test): Promise<string> {
  const app = await createPagesApp(t, testConfig(), app => {
    app.get('/sign-up', async (_, reply) => await sendPage(reply, signUpPage, signUpPage.samples.fresh ?? {}))
  })
  return await app.listen({ host: '127.0.0.1', port: 0 })
}

t.test('whoever types a new password is told what is plain to see of it, and nothing is sent', async t => {
  const { tab, faults } = await openPerson(t, await openBrowser(t), { screen: 'phone' })
  await tab.goto(`${await serveSignUp(t)}/sign-up`)
  const requests: string[] = []
  tab.on('request', request => requests.push(request.url()))
  const hint = tab.locator('.strength')
  t.equal(await hint.getAttribute('aria-live'), 'polite')
  t.equal(await hint.textContent(), '')
  await tab.fill('#email', 'ada.lovelace@example.org')
  await tab.fill('#name', 'Ada Lovelace')
  const told = async (text: string) =>
    await tab
      .locator(text === '' ? '.strength:empty' : `.strength:text-is('${text}')`)
      .waitFor({ state: 'attached' })
  const typed: [string, string][] = [
    ['correct hor', 'Too short: 4 more characters'],
    ['correct horse ', 'Too short: 1 more character'],
    ['correct horse battery', 'Looks good'],
    ['qwertyuiopasdfgh', 'Easy to guess: it repeats itself or follows a row'],
    ['abcabcabcabcabcabc', 'Easy to guess: it repeats itself or follows a row'],
    ['passwordpassword', 'Easy to guess: it repeats itself or follows a row'],
    ['Ada Lovelace 1815', 'Easy to guess: it is mostly your name or address'],
    ['845102976338201', 'Looks good'],
    ['x'.repeat(257), 'Too long: use at most 256 characters']
  ]
  for (const [password, text] of typed) {
    await tab.fill('#password', '')
    await told('')
    await tab.fill('#password', password)
    await told(text)
    if (text !== 'Looks good' && !text.startsWith('Easy to guess: it is')) continue
    for (const scheme of schemes) {
      await tab.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      t.strictSame(await findSeriousViolations(tab), [], `${text}, ${scheme}`)
    }
    if (process.env.PICTURES !== undefined)
      await takePictures(tab, `strength-${text.startsWith('Looks') ? 'good' : 'weak'}`)
  }
  await tab.fill('#password', 'correct horse battery')
  await tab.click('button.reveal')
  await told('Looks good')
  t.strictSame(requests, [])
  t.strictSame(faults, [])
})
