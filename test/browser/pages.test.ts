// Every page in a real browser: what axe finds, whether it fits, and with PICTURES=1 a picture of it in
// test/screenshots/.
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Page as Tab } from 'playwright-core'
import t, { type Test } from 'tap'
import { sendPage } from '../../src/http/view.ts'
import { openBrowser } from '../helpers/browser.ts'
import { createPagesApp, listSamples, testConfig } from '../helpers/pages.ts'
import {
  findSeriousViolations,
  openPerson,
  schemes,
  screens,
  sidewaysOverflow,
  takePictures
} from '../helpers/person.ts'

const logoOrigin = 'https://photos.tidewater.example'
const logo =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#0a7d6c"/></svg>'

const samples = await listSamples()
const browser = await openBrowser(t)

/** Serves every sample at `/samples/<number>` and gives the address. */
async function serveSamples(t: Test, settings: Record<string, string> = {}): Promise<string> {
  const app = await createPagesApp(t, testConfig(settings), app => {
    app.get<{ Params: { number: number } }>('/samples/:number', async (request, reply) => {
      const found = samples[request.params.number]
      if (found === undefined) throw new Error('no such sample')
      return await sendPage(reply, found.page, found.sample, { imgSrc: [logoOrigin] })
    })
  })
  return await app.listen({ host: '127.0.0.1', port: 0 })
}

/** A tab on a phone, and what went wrong in it. */
async function openTab(t: Test, options: { script?: boolean } = {}): Promise<{ tab: Tab; faults: string[] }> {
  const { tab, faults } = await openPerson(t, browser, { screen: 'phone', ...options })
  await tab.route(`${logoOrigin}/**`, route => route.fulfill({ contentType: 'image/svg+xml', body: logo }))
  return { tab, faults }
}

t.test('every page is readable by everybody, in both themes', async t => {
  const address = await serveSamples(t)
  const { tab, faults } = await openTab(t)
  for (const [number, { id }] of samples.entries()) {
    await tab.goto(`${address}/samples/${number}`)
    for (const scheme of schemes) {
      await tab.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
      t.strictSame(await findSeriousViolations(tab), [], `${id}, ${scheme}`)
    }
    if (process.env.PICTURES === undefined) continue
    for (const [screen, size] of Object.entries(screens)) {
      await tab.setViewportSize(size)
      await takePictures(tab, `${id.replaceAll('/', '-')}--${screen}`)
    }
    await tab.setViewportSize(screens.phone)
  }
  t.strictSame(faults, [])
})

t.test('no page scrolls sideways on the smallest phone, or with text at twice its size', async t => {
  const address = await serveSamples(t, {
    BRAND_NAME: 'Donaudampfschifffahrtsgesellschaft Linz'
  })
  const { tab, faults } = await openTab(t)
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
  const { tab, faults } = await openTab(t)
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
  const { tab, faults } = await openTab(t)
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
  const { tab, faults } = await openTab(t, { script: false })
  for (const [number, { id }] of samples.entries()) {
    await tab.goto(`${address}/samples/${number}`)
    t.equal(await tab.locator('h1').count(), 1, id)
    t.equal(await tab.locator('button.reveal:visible').count(), 0, id)
    t.equal(await tab.locator('.strength').count(), 0, id)
  }
  t.strictSame(faults, [])
})
