import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { homePage } from '../../src/development/views.ts'
import { sendPage } from '../../src/http/view.ts'
import { createPagesApp, testConfig } from '../helpers/pages.ts'

const home = { issuer: 'http://localhost:3000', demoUrl: 'http://localhost:3001/' }

t.test('everything a page names is served, with its type, to be kept for good', async t => {
  const app = await createPagesApp(t, testConfig(), app => {
    app.get('/', async (_request, reply) => await sendPage(reply, homePage, home))
  })
  const { body } = await app.inject('/')
  const paths = [...body.matchAll(/"(\/assets\/[^"]+)"/g)].map(match => match[1] ?? '')
  t.equal(paths.length, 4)
  for (const path of paths) {
    const answer = await app.inject(path)
    t.equal(answer.statusCode, 200, path)
    t.equal(answer.headers['cache-control'], 'public, max-age=31536000, immutable')
    t.match(answer.headers['content-type'], /^(text\/css|text\/javascript|image\/svg\+xml)/)
    t.equal(answer.headers['x-content-type-options'], 'nosniff')
    t.equal(answer.headers['set-cookie'], undefined)
  }
})

t.test('a name of another release gets what there is, not to be kept', async t => {
  const app = await createPagesApp(t)
  const answer = await app.inject('/assets/gatehouse.0123456789abcdef.css')
  t.equal(answer.statusCode, 200)
  t.equal(answer.headers['cache-control'], 'no-cache')
})

t.test('nothing else can be reached', async t => {
  const app = await createPagesApp(t)
  for (const path of [
    '/assets/layout.eta',
    '/assets/..%2Flayout.eta',
    '/assets/',
    '/assets/%2e%2e%2fpackage.json',
    '/assets/__proto__'
  ])
    t.equal((await app.inject(path)).statusCode, 404, path)
})

t.test("the operator's logo stands above every page, under the brand's name", async t => {
  const logo = join(t.testdir(), 'mark.svg')
  writeFileSync(logo, '<svg xmlns="http://www.w3.org/2000/svg"/>')
  const app = await createPagesApp(t, testConfig({ BRAND_LOGO: logo, BRAND_NAME: 'Ærø & Co' }), app => {
    app.get('/', async (_request, reply) => await sendPage(reply, homePage, home))
  })
  const { body } = await app.inject('/')
  const path =
    /<img class="brand-logo" src="(\/assets\/brand-logo\.[0-9a-f]{16}\.svg)" alt="Ærø &amp; Co">/.exec(
      body
    )?.[1]
  t.equal((await app.inject(path ?? '')).body, '<svg xmlns="http://www.w3.org/2000/svg"/>')
})

t.test("the tab's icon is the operator's logo, else our castle in the accent colour", async t => {
  const iconOf = async (settings: Record<string, string>) => {
    const app = await createPagesApp(t, testConfig(settings), app => {
      app.get('/', async (_request, reply) => await sendPage(reply, homePage, home))
    })
    const { body } = await app.inject('/')
    const [, type, path = ''] = /<link rel="icon" type="([^"]+)" href="([^"]+)">/.exec(body) ?? []
    const { headers, body: icon } = await app.inject(path)
    t.equal(headers['content-type'], type)
    return { path, icon }
  }
  t.match((await iconOf({ BRAND_ACCENT_COLOR: '#7a0019' })).icon, /fill="#7a0019".*fill="#ffffff"/)
  t.match((await iconOf({ BRAND_ACCENT_COLOR: '#ffe14d' })).icon, /fill="#ffe14d".*fill="#000000"/)
  const logo = join(t.testdir(), 'mark.svg')
  writeFileSync(logo, '<svg xmlns="http://www.w3.org/2000/svg"/>')
  t.match((await iconOf({ BRAND_LOGO: logo })).path, /brand-logo/)
})

t.test('the accent colour changes the stylesheet and its name', async t => {
  const stylesheetOf = async (color: string) => {
    const app = await createPagesApp(t, testConfig({ BRAND_ACCENT_COLOR: color }), app => {
      app.get('/', async (_request, reply) => await sendPage(reply, homePage, home))
    })
    const path = /"(\/assets\/brand\.[^"]+\.css)"/.exec((await app.inject('/')).body)?.[1] ?? ''
    return { path, body: (await app.inject(path)).body }
  }
  const [green, red] = [await stylesheetOf('#0a7d3c'), await stylesheetOf('#c01a1a')]
  t.match(green.body, '--accent:#0a7d3c')
  t.match(red.body, '--accent:#c01a1a')
  t.not(green.path, red.path)
})
