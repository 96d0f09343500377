// Renders every page with every sample, and once more with hostile values in every text.
import t, { type Test } from 'tap'
import { listPages, type Page, sendPage } from '../src/http/view.ts'
import { createPagesApp, listSamples, testConfig } from './helpers/pages.ts'

const hostile = `<img src=x onerror=alert(1)>"'`
/** Members that choose between texts and are never shown. */
const choices = new Set(['problem', 'notice', 'state', 'faults', 'method', 'others', 'purpose', 'kind'])

function withHostileTexts(value: unknown, key = ''): unknown {
  if (choices.has(key) || value instanceof Date) return value
  if (typeof value === 'string') return `${value}${hostile}`
  if (Array.isArray(value)) return value.map(item => withHostileTexts(item))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(
      Object.entries(value).map(([name, item]) => [name, withHostileTexts(item, name)])
    )
  return value
}

const tagsOf = (html: string, name: string) => html.match(new RegExp(`<${name}\\b[^>]*>`, 'g')) ?? []
const attribute = (tag: string, name: string) => new RegExp(`\\s${name}="([^"]*)"`).exec(tag)?.[1]

const samples = await listSamples()

async function renderer(t: Test, settings: Record<string, string> = {}) {
  const queue: { page: Page<object>; data: object }[] = []
  const app = await createPagesApp(t, testConfig(settings), app => {
    app.get('/sample', async (_request, reply) => {
      const next = queue.shift()
      if (next === undefined) throw new Error('nothing to render')
      return await sendPage(reply, next.page, next.data)
    })
  })
  return async (page: Page<object>, data: object) => {
    queue.push({ page, data })
    return await app.inject({ url: '/sample', headers: { accept: 'text/html' } })
  }
}

/** What must hold of any page whatever it shows. */
function checkMarkup(t: Test, html: string): void {
  t.equal(tagsOf(html, 'h1').length, 1, 'one h1')
  t.match(html, /<html lang="[a-z]{2}/)
  t.match(html, /<title>[^<]+<\/title>/)
  t.notMatch(html, /<style|\sstyle=|\son[a-z]+\s*=\s*"|javascript:/i, 'no inline style or handler')
  for (const script of html.match(/<script\b[^>]*>[^<]*<\/script>/g) ?? [])
    t.match(script, /^<script src="\/assets\/[^"]+" defer><\/script>$/, 'script only from a file')
  t.notMatch(html, /undefined|\[object|>null</, 'no value is missing')

  const labels = tagsOf(html, 'label').map(label => attribute(label, 'for'))
  for (const input of tagsOf(html, 'input').filter(input => attribute(input, 'type') !== 'hidden')) {
    t.ok(labels.includes(attribute(input, 'id')), `a label for ${input}`)
    t.ok(attribute(input, 'autocomplete'), `autocomplete on ${input}`)
    if (attribute(input, 'type') === 'password') t.notMatch(input, /\svalue=/, 'no password is sent back')
    for (const id of attribute(input, 'aria-describedby')?.split(' ') ?? [])
      t.match(html, `id="${id}"`, `${id} is there`)
    if (/aria-invalid/.test(input)) t.ok(attribute(input, 'aria-describedby'), 'a fault is described')
  }
  const ids = [...html.matchAll(/\sid="([^"]*)"/g)].map(match => match[1])
  t.equal(new Set(ids).size, ids.length, 'ids are unique')
  for (const form of html.match(/<form\b[\s\S]*?<\/form>/g) ?? [])
    t.match(form, /name="(_csrf|xsrf)" value="[^"]+"/, 'every form is protected')
}

t.test('every page has samples, and every template of a page is bound to one', async t => {
  t.ok(samples.length > 20)
  for (const page of listPages()) t.ok(Object.keys(page.samples).length > 0, page.template)
})

t.test('every page is well-formed with every sample', async t => {
  const render = await renderer(t)
  for (const { id, page, sample } of samples) {
    await t.test(id, async t => {
      const answer = await render(page, sample)
      t.equal(answer.statusCode, 200)
      t.match(answer.headers['content-type'], /^text\/html; charset=utf-8/)
      t.equal(answer.headers['cache-control'], 'no-store')
      checkMarkup(t, answer.body)
    })
  }
})

t.test('hostile values come out as text on every page', async t => {
  const render = await renderer(t, { BRAND_NAME: `A${hostile}` })
  for (const { id, page, sample } of samples) {
    await t.test(id, async t => {
      const { body, statusCode } = await render(page, withHostileTexts(sample) as object)
      t.equal(statusCode, 200)
      t.notMatch(body, /<img src=x/i)
      t.match(body, /&lt;img src=x onerror=alert\(1\)&gt;/)
      checkMarkup(t, body)
    })
  }
})

t.test('links to anything but the web are left out', async t => {
  const render = await renderer(t)
  for (const { id, page, sample } of samples.filter(({ id }) =>
    /consent--everything|signed-out--with|mailbox--some/.test(id)
  )) {
    const text = JSON.stringify(sample).replace(/https?:[^"\\]*/g, 'javascript:alert(1)')
    const data = JSON.parse(text, (key, value) => (key === 'sentAt' ? new Date(value) : value)) as object
    const { body } = await render(page, data)
    t.notMatch(body, /(href|src)="javascript:/, id)
  }
})

t.test('test tools find what they are promised', async t => {
  const render = await renderer(t)
  const promised: Record<string, string[]> = {
    'interactions/sign-in': [
      'sign-in-form',
      'email',
      'password',
      'sign-in',
      'to-sign-up',
      'to-reset-password'
    ],
    'interactions/sign-up': ['sign-up-form', 'email', 'name', 'password', 'sign-up', 'to-sign-in'],
    'interactions/verify-email': ['verify-form', 'code', 'verify', 'resend-form', 'resend'],
    'interactions/consent': ['consent-form', 'allow', 'deny'],
    'self-service/reset-request': ['reset-request-form', 'email', 'send-reset'],
    'self-service/reset-sent': [
      'reset-code-form',
      'code',
      'password',
      'set-password',
      'resend-form',
      'resend'
    ],
    'oidc/sign-out': ['sign-out-form', 'sign-out'],
    'http/error': ['request-id']
  }
  for (const { page, sample } of samples) {
    const { body } = await render(page, sample)
    for (const id of promised[page.template] ?? []) t.match(body, ` id="${id}"`, `${page.template}: ${id}`)
  }
})

t.test('password managers are told what each field is', async t => {
  const render = await renderer(t)
  const expected: Record<string, Record<string, string>> = {
    'interactions/sign-in': { email: 'username webauthn', password: 'current-password' },
    'interactions/sign-up': { email: 'username', name: 'name', password: 'new-password' },
    'interactions/verify-email': { code: 'one-time-code' },
    'self-service/reset-request': { email: 'username' },
    'self-service/reset-sent': { code: 'one-time-code', password: 'new-password' }
  }
  for (const { page, sample } of samples.filter(({ page }) => page.template in expected)) {
    const inputs = tagsOf((await render(page, sample)).body, 'input')
    for (const [name, autocomplete] of Object.entries(expected[page.template] ?? {})) {
      const input = inputs.find(input => attribute(input, 'name') === name) ?? ''
      t.equal(attribute(input, 'autocomplete'), autocomplete, `${page.template}: ${name}`)
    }
  }
})

t.test('what was typed is kept when it was not right', async t => {
  const render = await renderer(t)
  for (const { page, sample } of samples.filter(({ id }) =>
    /sign-(in|up)--(invalid|wrong|too|busy)/.test(id)
  )) {
    const { body } = await render(page, sample)
    t.match(body, `value="${(sample as { email: string }).email}"`)
  }
})
