// A person's walk through live pages: what holds of each of them, and a picture of it with PICTURES=1.
import type { Browser } from 'playwright-core'
import type { Test } from 'tap'
import {
  findSeriousViolations,
  openPerson,
  type Person,
  type PersonOptions,
  sidewaysOverflow,
  type Tab,
  takePictures
} from './person.ts'
import { password, type Service } from './service.ts'

export type Walker = Person & {
  /** Waits for the page with this heading, and asserts that it is readable by everybody and fits. */
  see: (heading: string | RegExp, tab?: Tab) => Promise<void>
  /** Types address and password at the sign-in page. */
  typePassword: (email: string, typed?: string) => Promise<void>
  /** Opens the demo application, and goes from there to the sign-in. */
  begin: () => Promise<void>
  /** Signs out at the demo application. */
  leave: () => Promise<void>
}

export type WalkOptions = PersonOptions & {
  /** Begins the names of the pictures. */
  name: string
  /** Passkeys are not offered in the address field, as in many browsers of today. */
  autofill?: false
}

/** The pages that were looked at in this file, by their headings and all their ids. */
const lookedAt = new Set<string>()

async function isNewTo(pages: Set<string>, { tab, colorScheme }: { tab: Tab; colorScheme: string }) {
  const parts =
    "[...document.querySelectorAll('h1, [id]')].map(({ id, textContent }) => id || textContent).join()"
  const page = `${colorScheme} ${await tab.evaluate<string>(parts)}`
  const isNew = !pages.has(page)
  pages.add(page)
  return isNew
}

/** On a phone the dark theme is looked at, on a desktop the light one. */
export async function openWalker(
  t: Test,
  { browser, service }: { browser: Browser; service: Service },
  { name, autofill, ...options }: WalkOptions
): Promise<Walker> {
  const person = await openPerson(t, browser, options)
  const { tab: first, context } = person
  if (autofill === false)
    await context.addInitScript('PublicKeyCredential.isConditionalMediationAvailable = async () => false')
  let pages = 0
  const see: Walker['see'] = async (heading, tab = first) => {
    await tab.locator('h1', { hasText: heading }).waitFor()
    const colorScheme = options.screen === 'phone' ? 'dark' : 'light'
    await tab.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
    t.equal(await sidewaysOverflow(tab), 0, `${heading} does not scroll sideways`)
    // Axe is script itself.
    if (options.script !== false && (await isNewTo(lookedAt, { tab, colorScheme })))
      t.strictSame(await findSeriousViolations(tab), [], `${heading} is readable by everybody`)
    pages += 1
    const picture = `${name}-${String(pages).padStart(2, '0')}`
    if (process.env.PICTURES !== undefined) await takePictures(tab, picture)
  }
  return {
    ...person,
    see,
    typePassword: async (email, typed = password) => {
      await first.fill('#email', email)
      await first.fill('#password', typed)
      await first.click('#sign-in')
    },
    begin: async () => {
      await first.goto(service.demoUrl)
      await first.click('#sign-in')
    },
    leave: async () => {
      await first.click('#sign-out')
      await first.locator('h1', { hasText: 'Sign out?' }).waitFor()
      await first.click('#sign-out')
      await first.locator('#sign-in').waitFor()
    }
  }
}

/** The code of the newest mail to an address that has one, once there are `count` mails. */
export async function codeFor(service: Service, email: string, count = 1): Promise<string> {
  const mails = await service.mailTo(email, count)
  return mails.map(({ text }) => /\b\d{6}\b/.exec(text)?.[0]).find(Boolean) ?? ''
}
