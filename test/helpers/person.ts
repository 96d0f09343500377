// A person at a browser: a context of their own, whose tabs are watched for everything that a page must not do.
import { mkdirSync, readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import type axe from 'axe-core'
import type { Browser, BrowserContext, Page as Tab } from 'playwright-core'
import type { Test } from 'tap'

export type { Tab }

export const screens = { phone: { width: 360, height: 740 }, desktop: { width: 1280, height: 800 } }
export const schemes = ['light', 'dark'] as const
export const screenshots = resolve(import.meta.dirname, '../screenshots')

const axeSource = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

export type PersonOptions = {
  screen?: keyof typeof screens
  script?: boolean
  /** Statuses that are part of what is tried: a browser writes every one from 400 up to its console. */
  expected?: number[]
}

export type Person = {
  context: BrowserContext
  /** The first tab. */
  tab: Tab
  /** What went wrong so far: messages on the console (broken content policies too), failed requests and answers. */
  faults: string[]
}

/** Opens a browser without cookies, as somebody's who comes for the first time. Closed at teardown. */
export async function openPerson(
  t: Test,
  browser: Browser,
  { screen = 'desktop', script = true, expected = [] }: PersonOptions = {}
): Promise<Person> {
  const context = await browser.newContext({ viewport: screens[screen], javaScriptEnabled: script })
  t.teardown(() => context.close())
  context.setDefaultTimeout(10_000)
  const faults: string[] = []
  const statusMessage = new RegExp(`responded with a status of (${expected.join('|')}) `)
  context.on('console', message => {
    if (!['error', 'warning'].includes(message.type())) return
    if (expected.length > 0 && statusMessage.test(message.text())) return
    faults.push(`console: ${message.text()}`)
  })
  context.on('weberror', error => faults.push(`script: ${error.error().message}`))
  context.on('requestfailed', request => {
    const error = request.failure()?.errorText
    // Whoever goes on before a page is whole lets go of the rest of it. What a policy blocks has another error.
    if (error !== 'net::ERR_ABORTED') faults.push(`failed: ${request.url()} ${error}`)
  })
  context.on('response', answer => {
    if (answer.status() >= 400 && !expected.includes(answer.status()))
      faults.push(`${answer.status()}: ${answer.url()}`)
  })
  return { context, tab: await context.newPage(), faults }
}

/** Gives the person's device a place for passkeys, which says yes at once; `held` is what is in it. */
export async function giveDevice({ context, tab }: Person) {
  const device = await context.newCDPSession(tab)
  await device.send('WebAuthn.enable')
  const { authenticatorId } = await device.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true
    }
  })
  const held = async () => (await device.send('WebAuthn.getCredentials', { authenticatorId })).credentials
  return { device, authenticatorId, held }
}

/**
 * Serious and critical findings of axe on the page as it is now. `coloursAlone`: where the same page was looked at whole
 * in the other theme.
 */
export async function findSeriousViolations(
  tab: Tab,
  { coloursAlone = false }: { coloursAlone?: boolean } = {}
): Promise<string[]> {
  await tab.evaluate(`window.axe ?? ${axeSource}`)
  const rules = coloursAlone ? ", runOnly: ['color-contrast', 'link-in-text-block']" : ''
  const { violations } = (await tab.evaluate(
    `axe.run({ resultTypes: ['violations'], elementRef: false, preload: false${rules} })`
  )) as axe.AxeResults
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(node => `${node.html} ${node.failureSummary}`).join(' | ')}`)
}

/** How far the page can be scrolled sideways, in pixels. */
export async function sidewaysOverflow(tab: Tab): Promise<number> {
  // A click may have led to a page that is not there yet.
  await tab.waitForFunction('document.body !== null')
  return await tab.evaluate<number>(
    'document.documentElement.scrollWidth - document.documentElement.clientWidth'
  )
}

/** A picture of the whole page in both themes: test/screenshots/`name`--light.png and --dark.png. */
export async function takePictures(tab: Tab, name: string): Promise<void> {
  mkdirSync(screenshots, { recursive: true })
  for (const scheme of schemes) {
    await tab.emulateMedia({ colorScheme: scheme, reducedMotion: 'reduce' })
    const path = resolve(screenshots, `${name}--${scheme}.png`)
    await tab.screenshot({ path, fullPage: true, animations: 'disabled' })
  }
}
