import t from 'tap'
import { homePage } from '../../src/development/views.ts'
import { pageContentSecurityPolicy, securityHeaders, sourceOf } from '../../src/http/security-headers.ts'
import { sendPage } from '../../src/http/view.ts'
import { createPagesApp, testConfig } from '../helpers/pages.ts'

const production = {
  ISSUER: 'https://id.example.org',
  DATABASE_URL: 'postgres://u:p@db/g',
  SMTP_URL: 'smtp://mail:587'
}

function directivesOf(policy: unknown): Map<string, string> {
  return new Map(
    String(policy)
      .split(';')
      .map(directive => directive.trim().split(/ (.*)/) as [string, string])
  )
}

t.test('every answer, errors and assets included, tells the browser to allow little', async t => {
  const app = await createPagesApp(t, testConfig(production), app => {
    app.get(
      '/',
      async (_request, reply) => await sendPage(reply, homePage, { issuer: production.ISSUER, demoUrl: null })
    )
    app.get('/json', async () => ({ fine: true }))
    app.get('/broken', async () => {
      throw new Error('broken')
    })
  })
  for (const accept of ['text/html', 'application/json']) {
    for (const url of [
      '/',
      '/json',
      '/broken',
      '/nowhere',
      '/%zz',
      '/assets/gatehouse.0123456789abcdef.css'
    ]) {
      const { headers } = await app.inject({ url, headers: { accept } })
      const policy = directivesOf(headers['content-security-policy'])
      t.equal(policy.get('default-src'), "'none'", url)
      t.equal(policy.get('script-src'), "'self'", url)
      t.equal(policy.get('style-src'), "'self'", url)
      t.equal(policy.get('form-action'), "'self'", url)
      for (const name of ['frame-ancestors', 'base-uri', 'object-src'])
        t.equal(policy.get(name), "'none'", url)
      t.notMatch(headers['content-security-policy'], /unsafe|\*/)
      t.match(headers['strict-transport-security'], /max-age=31536000/, url)
      t.equal(headers['x-content-type-options'], 'nosniff', url)
      t.equal(headers['referrer-policy'], 'no-referrer', url)
      t.equal(headers['cross-origin-opener-policy'], 'same-origin', url)
      t.equal(headers['cache-control'], url.startsWith('/assets') ? 'no-cache' : 'no-store', url)
      t.equal(headers['x-powered-by'], undefined, url)
    }
  }
})

t.test('over plain http on this machine nothing is promised about TLS', async t => {
  const headers = await securityHeaders(testConfig())
  t.equal(headers['strict-transport-security'], undefined)
})

t.test('a page may post on to the application, and show its logo', async t => {
  const policy = directivesOf(
    pageContentSecurityPolicy({
      formAction: ['https://app.example', 'com.app:'],
      imgSrc: ['https://cdn.example']
    })
  )
  t.equal(policy.get('form-action'), "'self' https://app.example com.app:")
  t.equal(policy.get('img-src'), "'self' data: https://cdn.example")
})

t.test('a source cannot smuggle in a directive', async t => {
  for (const source of [
    "https://a.example; script-src 'unsafe-inline'",
    'https://a.example,b',
    "'unsafe-inline'",
    '*',
    ''
  ])
    t.throws(() => pageContentSecurityPolicy({ formAction: [source] }), { message: /not a source/ }, source)
})

t.test('a redirect URI is named by origin, or by scheme where the policy has no word for it', async t => {
  t.equal(sourceOf('https://app.example/callback?x=1'), 'https://app.example')
  t.equal(sourceOf('http://127.0.0.1:4711/callback'), 'http://127.0.0.1:4711')
  t.equal(sourceOf('http://[::1]:4711/callback'), 'http:')
  t.equal(sourceOf('com.example.app:/callback'), 'com.example.app:')
  t.equal(sourceOf('nonsense'), null)
})
