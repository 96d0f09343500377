// Every page with every sample, served to a real browser.
import type { Browser, Page as Tab } from 'playwright-core'
import type { Test } from 'tap'
import { sendPage } from '../../src/http/view.ts'
import { openBrowser } from './browser.ts'
import { createPagesApp, listSamples, testConfig } from './pages.ts'
import { findSeriousViolations, openPerson, screens, takePictures } from './person.ts'

const logoOrigin = 'https://photos.tidewater.example'
const logo =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 8 8"><circle cx="4" cy="4" r="4" fill="#0a7d6c"/></svg>'

export const samples = await listSamples()

/** Serves every sample at `/samples/<number>` and gives the address. */
export async function serveSamples(t: Test, settings: Record<string, string> = {}): Promise<string> {
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
export async function openTab(
  t: Test,
  browser: Browser,
  options: { script?: boolean } = {}
): Promise<{ tab: Tab; faults: string[] }> {
  const { tab, faults } = await openPerson(t, browser, { screen: 'phone', ...options })
  await tab.route(`${logoOrigin}/**`, route => route.fulfill({ contentType: 'image/svg+xml', body: logo }))
  // The sign-in page asks for them by itself; behind a sample there is nobody to ask.
  const ceremony = { challenge: 'q0d1', allowCredentials: [], userVerification: 'required' }
  await tab.route('**/passkey/options', route => route.fulfill({ json: ceremony }))
  return { tab, faults }
}

/**
 * The pages whose id fits `part` are readable by everybody, in both themes. With PICTURES=1 a picture of each goes to
 * test/screenshots/.
 */
export async function checkPages(t: Test, part: RegExp): Promise<void> {
  const browser = await openBrowser(t)
  const address = await serveSamples(t)
  const { tab, faults } = await openTab(t, browser)
  const chosen = [...samples.entries()].filter(([, { id }]) => part.test(id))
  t.ok(chosen.length > 0)
  const templates = new Set<string>()
  for (const [number, { id, page }] of chosen) {
    await tab.goto(`${address}/samples/${number}`)
    await tab.emulateMedia({ colorScheme: 'light', reducedMotion: 'reduce' })
    t.strictSame(await findSeriousViolations(tab), [], id)
    // What the themes differ in is colours, and a page's states differ little in those: its first, and each with a problem.
    if (!templates.has(page.template) || (await tab.locator('.notice, .fault').count()) > 0) {
      await tab.emulateMedia({ colorScheme: 'dark', reducedMotion: 'reduce' })
      t.strictSame(await findSeriousViolations(tab, { coloursAlone: true }), [], `${id}, dark`)
    }
    templates.add(page.template)
    if (process.env.PICTURES === undefined) continue
    for (const [screen, size] of Object.entries(screens)) {
      await tab.setViewportSize(size)
      await takePictures(tab, `${id.replaceAll('/', '-')}--${screen}`)
    }
    await tab.setViewportSize(screens.phone)
  }
  t.strictSame(faults, [])
}
