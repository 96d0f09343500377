// Every page in a real browser: whether it fits, what colours do to it, and how it is without script.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { openBrowser } from '../helpers/browser.ts'
import { findSeriousViolations, schemes, sidewaysOverflow, takePictures } from '../helpers/person.ts'
import { openTab, samples, serveSamples } from '../helpers/sample-pages.ts'

const browser = await openBrowser(t)

t.test('no page scrolls sideways on the smallest phone, or with text at twice its size', async t => {
  const address = await serveSamples(t, {
    BRAND_NAME: 'Donaudampfschifffahrtsgesellschaft Linz'
  })
  const { tab, faults } = await openTab(t, browser)
  await tab.setViewportSize({ width: 320, height: 640 })
  for (const [number, { id }] of samples.entries()) {
    await tab.goto(`${address}/samples/${number}`)
    t.equal(await sidewaysOverflow(tab), 0, id)
    await tab.evaluate("document.documentElement.style.fontSize = '200%'")
    t.equal(await sidewaysOverflow(tab), 0, `${id} at twice the size`)
  }
  t.strictSame(faults, [])
})

t.test('text stays readable whatever accent colour and logo the operator picks', async t => {
  const chosen = samples.filter(({ id }) => /sign-in--wrong|consent--usual|verify-email--sent/.test(id))
  const wordmark = join(t.testdir(), 'wordmark.svg')
  writeFileSync(
    wordmark,
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 160 32"><rect y="4" width="24" height="24" rx="6" fill="#7a0019"/><rect x="34" y="9" width="126" height="14" rx="3" fill="#20242b"/></svg>'
  )
  const { tab, faults } = await openTab(t, browser)
  for (const accent of ['#ffffff', '#000000', '#ffe14d', '#7a0019', '#7a7a7a', '#00c2a8']) {
    const settings = { BRAND_ACCENT_COLOR: accent, ...(accent === '#7a0019' ? { BRAND_LOGO: wordmark } : {}) }
    const address = await serveSamples(t, settings)
    for (const found of chosen) {
      await tab.goto(`${address}/samples/${samples.indexOf(found)}`)
      for (const scheme of schemes) {
        await tab.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
        t.strictSame(await findSeriousViolations(tab), [], `${found.id}, ${scheme}, ${accent}`)
      }
      if (process.env.PICTURES !== undefined)
        await takePictures(tab, `accent-${accent.slice(1)}-${found.id.replaceAll('/', '-')}`)
    }
  }
  t.strictSame(faults, [])
})

t.test('a password can be looked at, and is hidden again before it is sent', async t => {
  const address = await serveSamples(t)
  const { tab, faults } = await openTab(t, browser)
  const number = samples.findIndex(({ id }) => id === 'interactions/sign-in--fresh')
  await tab.goto(`${address}/samples/${number}`)
  await tab.fill('#password', 'correct horse battery')
  await tab.click('button.reveal')
  t.equal(await tab.getAttribute('#password', 'type'), 'text')
  await tab.evaluate("document.forms[0].addEventListener('submit', event => event.preventDefault())")
  await tab.click('#sign-in')
  t.equal(await tab.getAttribute('#password', 'type'), 'password')
  t.strictSame(faults, [])
})

t.test('without script every page shows the same and its forms can be sent', async t => {
  const address = await serveSamples(t)
  const { tab, faults } = await openTab(t, browser, { script: false })
  for (const [number, { id }] of samples.entries()) {
    await tab.goto(`${address}/samples/${number}`)
    t.equal(await tab.locator('h1').count(), 1, id)
    t.equal(await tab.locator('button.reveal:visible').count(), 0, id)
    t.equal(await tab.locator('.strength').count(), 0, id)
  }
  t.strictSame(faults, [])
})
