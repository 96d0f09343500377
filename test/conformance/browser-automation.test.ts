// docs/conformance.json: what the OpenID Foundation's suite is told of our pages, followed as its browser follows it.
import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  type Answer,
  type Fields,
  registerFor,
  requestUrl,
  startSuite,
  suiteUrl,
  Visitor
} from '../helpers/conformance.ts'
import { pageText } from '../helpers/visitor.ts'

type Command = [name: string, by: string, target: string, ...rest: (string | number)[]]
type Task = { task: string; match: string; optional?: boolean; commands?: Command[] }
type Automation = { match: string; tasks: Task[] }[]
type Settings = { browser: Automation; override: Record<string, { browser: Automation }> }

const settings = JSON.parse(
  readFileSync(new URL('../../docs/conformance.json', import.meta.url), 'utf8')
) as Settings
const password = 'no secret at all'

const matches = (pattern: string, url: string) =>
  new RegExp(`^${pattern.split('*').map(RegExp.escape).join('.*')}$`, 's').test(url)

/** Where the browser is: a redirect to the suite leads to a page of the suite's. */
const urlOf = ({ url, location }: Answer) => location ?? url

type Outcome = { page: Answer; pictures: string[] }

/** Opens a URL and does the tasks that are for it. `pictures`: headings of the pages that the suite would show to a reviewer. */
async function drive(automation: Automation, visitor: Visitor, url: string): Promise<Outcome> {
  let page = await visitor.visit(url)
  const pictures: string[] = []
  const { tasks } = automation.find(({ match }) => matches(match, url)) ?? { tasks: [] }
  for (const { task, match, optional = false, commands = [] } of tasks) {
    if (!matches(match, urlOf(page))) {
      if (!optional) throw new Error(`${task}: at ${urlOf(page)}: ${page.text}`)
      continue
    }
    const typed: Record<string, string> = {}
    // What happens on the suite's own pages is the suite's.
    for (const [name, , target, ...rest] of page.location === null ? commands : []) {
      if (name === 'text') typed[target] = String(rest[0])
      else if (name === 'click') page = await click(visitor, page, { id: target, typed, optional: rest[0] })
      else if (new RegExp(String(rest[1])).test(pageText(page.text))) pictures.push(headingOf(page))
      else throw new Error(`${task}: ${page.text}`)
    }
  }
  return { page, pictures }
}

const headingOf = ({ text }: Answer) => /<h1>([^<]*)</.exec(text)?.[1] ?? ''

type Click = { id: string; typed: Record<string, string>; optional: unknown }

/** Posts the form around a button, whose fields must have been there for typing. */
async function click(visitor: Visitor, page: Answer, { id, typed, optional }: Click): Promise<Answer> {
  const form = [...page.text.matchAll(/<form\b[^>]*\bid="([^"]+)"[^>]*>(.*?)<\/form>/gs)].find(
    ([, , inside = '']) => inside.includes(` id="${id}"`)
  )
  if (form === undefined && optional === 'optional') return page
  const [, formId = '', inside = ''] = form ?? []
  for (const name of Object.keys(typed))
    if (!inside.includes(` name="${name}"`)) throw new Error(`no field ${name} in ${page.text}`)
  const button = new RegExp(`<button[^>]* id="${id}"[^>]*>`).exec(inside)?.[0] ?? ''
  const name = / name="([^"]*)"/.exec(button)?.[1]
  const value = / value="([^"]*)"/.exec(button)?.[1] ?? ''
  return await visitor.submit(page, formId, { ...typed, ...(name === undefined ? {} : { [name]: value }) })
}

t.test('the suite’s browser finds its way', async t => {
  const suite = await startSuite(t, { CONFORMANCE_PASSWORD: password })
  const { discovery } = suite
  const variant = { responseType: 'code' }
  const post_logout_redirect_uri = `${suiteUrl}/post_logout_redirect`
  const client = await registerFor(suite, variant, { post_logout_redirect_uris: [post_logout_redirect_uri] })
  const ask = async (visitor: Visitor, params: Fields = {}, automation = settings.browser) =>
    await drive(automation, visitor, requestUrl(suite, { client, variant, params }))
  const isBack = (outcome: Outcome, expected: RegExp) => {
    t.ok(urlOf(outcome.page).startsWith(`${suiteUrl}/callback?`), urlOf(outcome.page))
    t.match(urlOf(outcome.page), expected)
  }

  await t.test('it signs in, consents, and signs in again where it is asked to', async t => {
    const visitor = new Visitor()
    const first = await ask(visitor)
    isBack(first, /[?&]code=/)
    t.strictSame(first.pictures, ['Sign in'])
    isBack(await ask(visitor, { prompt: 'none' }), /[?&]code=/)
    const again = await ask(visitor, { prompt: 'login' })
    isBack(again, /[?&]code=/)
    t.strictSame(again.pictures, ['Confirm that it is you'])
    isBack(await ask(new Visitor(), { prompt: 'none' }), /error=login_required/)
  })

  await t.test('it photographs the refusal of a redirect URI', async t => {
    const { page, pictures } = await ask(new Visitor(), { redirect_uri: `${suiteUrl}/another` })
    t.equal(page.status, 400)
    t.strictSame(pictures, ['The application sent something that we cannot accept'])
  })

  await t.test('it signs out, to the application or to a page', async t => {
    const end = async (params: Record<string, string>) => {
      const visitor = new Visitor()
      await ask(visitor)
      const url = `${discovery.end_session_endpoint}?${new URLSearchParams(params)}`
      return await drive(settings.browser, visitor, url)
    }
    const back = await end({ client_id: client.client_id, post_logout_redirect_uri, state: 's' })
    t.equal(back.page.location, `${post_logout_redirect_uri}?state=s`)
    const here = await end({})
    t.strictSame(here.pictures, ['You are signed out'])
    const refused = await end({
      client_id: client.client_id,
      post_logout_redirect_uri: `${suiteUrl}/another`
    })
    t.strictSame(refused.pictures, ['The application sent something that we cannot accept'])
  })

  await t.test('single modules have it do something else', async t => {
    for (const [name, { browser }] of Object.entries(settings.override)) {
      const visitor = new Visitor()
      const { page, pictures } = await ask(visitor, {}, browser)
      if (name.endsWith('user-rejects-authentication')) t.match(page.location, /error=access_denied/, name)
      else t.strictSame(pictures, ['Sign in'], name)
      if (name.includes('reused-request-uri')) isBack(await ask(visitor, {}, browser.slice(1)), /[?&]code=/)
    }
  })
})
