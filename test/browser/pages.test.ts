// Every page in a real browser: what axe finds, whether it fits, and a picture of it in test/screenshots/.
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import type axe from 'axe-core'
import type { Browser, Page as Tab } from 'playwright-core'
import t, { type Test } from 'tap'
import { sendPage } from '../../src/http/view.ts'
import { openBrowser } from '../helpers/browser.ts'
import { createPagesApp, listSamples, testConfig } from '../helpers/pages.ts'

const screenshots = resolve(import.meta.dirname, '../screenshots')
const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')
const logoOrigin = 'https://photos.tidewater.example'
const logo =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#0a7d6c"/></svg>'
const phone = { width: 360, height: 740 }
const desktop = { width: 1280, height: 860 }

t.setTimeout(300_000)
const samples = await listSamples()
mkdirSync(screenshots, { recursive: true })

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

type View = { scheme: 'light' | 'dark'; size: { width: number; height: number } }

async function openTab(t: Test, browser: Browser, { scheme, size }: View): Promise<Tab> {
  const tab = await browser.newPage({ colorScheme: scheme, viewport: size })
  await tab.route(`${logoOrigin}/**`, route => route.fulfill({ contentType: 'image/svg+xml', body: logo }))
  tab.on('console', message => t.not(message.type(), 'error', message.text()))
  tab.on('pageerror', error => t.fail(error.message))
  return tab
}

/** The dark theme changes colours alone, so there only the rule about them is run: a quarter of the time. */
async function findSeriousViolations(tab: Tab, scheme: View['scheme']): Promise<string[]> {
  await tab.evaluate(`window.axe ?? ${axeSource}`)
  const options: axe.RunOptions = { resultTypes: ['violations'], elementRef: false, preload: false }
  if (scheme === 'dark') options.runOnly = ['color-contrast']
  const { violations } = (await tab.evaluate(`axe.run(${JSON.stringify(options)})`)) as axe.AxeResults
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(node => `${node.html} ${node.failureSummary}`).join(' | ')}`)
}

const overflow = (tab: Tab) =>
  tab.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth')

t.test('every page is readable by everybody, in both themes, on phone and desktop', async t => {
  const browser = await openBrowser(t)
  const address = await serveSamples(t)
  const tab = await openTab(t, browser, { scheme: 'light', size: phone })
  for (const [number, { id }] of samples.entries()) {
    await tab.goto(`${address}/samples/${number}`)
    for (const scheme of ['light', 'dark'] as const) {
      for (const [device, size] of Object.entries({ phone, desktop })) {
        await tab.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
        await tab.setViewportSize(size)
        t.strictSame(await findSeriousViolations(tab, scheme), [], `${id}, ${scheme}, ${device}`)
        const name = `${id.replaceAll('/', '-')}--${device}-${scheme}.png`
        await tab.screenshot({ path: resolve(screenshots, name), fullPage: true })
      }
    }
  }
})

t.test('no page scrolls sideways on the smallest phone, or with text at twice its size', async t => {
  const browser = await openBrowser(t)
  const address = await serveSamples(t, {
    BRAND_NAME: 'Donaudampfschifffahrtsgesellschaft Linz'
  })
  const tab = await openTab(t, browser, { scheme: 'light', size: { width: 320, height: 640 } })
  for (const [number, { id }] of samples.entries()) {
    await tab.goto(`${address}/samples/${number}`)
    t.equal(await overflow(tab), 0, id)
    await tab.evaluate("document.documentElement.style.fontSize = '200%'")
    t.equal(await overflow(tab), 0, `${id} at twice the size`)
  }
})

t.test('text stays readable whatever accent colour the operator picks', async t => {
  const browser = await openBrowser(t)
  const chosen = samples.filter(({ id }) => /sign-in--wrong|consent--usual|home--dev/.test(id))
  for (const accent of ['#ffffff', '#000000', '#ffe600', '#ff5c00', '#00c2a8', '#7a7a7a', '#e5007d']) {
    const address = await serveSamples(t, { BRAND_ACCENT_COLOR: accent })
    for (const scheme of ['light', 'dark'] as const) {
      const tab = await openTab(t, browser, { scheme, size: phone })
      for (const found of chosen) {
        await tab.goto(`${address}/samples/${samples.indexOf(found)}`)
        t.strictSame(await findSeriousViolations(tab, scheme), [], `${found.id}, ${scheme}, ${accent}`)
      }
      await tab.screenshot({ path: resolve(screenshots, `accent-${accent.slice(1)}--phone-${scheme}.png`) })
      await tab.close()
    }
  }
})

t.test('a password can be looked at, and is hidden again before it is sent', async t => {
  const browser = await openBrowser(t)
  const address = await serveSamples(t)
  const tab = await openTab(t, browser, { scheme: 'light', size: phone })
  const number = samples.findIndex(({ id }) => id === 'interactions/sign-in--fresh')
  await tab.goto(`${address}/samples/${number}`)
  await tab.fill('#password', 'correct horse battery')
  await tab.click('button.reveal')
  t.equal(await tab.getAttribute('#password', 'type'), 'text')
  await tab.evaluate("document.forms[0].addEventListener('submit', event => event.preventDefault())")
  await tab.click('#sign-in')
  t.equal(await tab.getAttribute('#password', 'type'), 'password')
})

t.test('without script every page shows the same and its forms can be sent', async t => {
  const browser = await openBrowser(t)
  const address = await serveSamples(t)
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: phone })
  const tab = await context.newPage()
  for (const [number, { id }] of samples.entries()) {
    await tab.goto(`${address}/samples/${number}`)
    t.equal(await tab.locator('h1').count(), 1, id)
    t.equal(await tab.locator('button.reveal:visible').count(), 0, id)
  }
})
