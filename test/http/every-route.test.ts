// Every address there is, with every method and as every kind of caller: headers (WEB-1), disguised paths (INP-3),
// wrong content types (INP-4), dangerous bodies (INP-5), silence about ourselves (LOG-4).
import t, { type Test } from 'tap'
import { createApplication } from '../helpers/application.ts'
import { lastConfirmation, openSignIn, signUpAndWait } from '../helpers/forms.ts'
import { listRoutes } from '../helpers/routes.ts'
import { type Service, startService } from '../helpers/service.ts'
import type { Answer } from '../helpers/visitor.ts'

const service = await startService(t, { environment: { DYNAMIC_REGISTRATION: 'open' } })
const production = await startService(t, {
  environment: {
    ISSUER: 'https://id.example.org',
    DYNAMIC_REGISTRATION: 'token',
    SMTP_URL: 'smtp://127.0.0.1:1',
    DATABASE_URL: 'postgres://not-used.example/db'
  }
})

const example = (url: string) => url.replace(/:\w+/g, 'aN-unknown_1')

async function ask(
  service: Service,
  method: string,
  url: string,
  { headers = {}, payload }: { headers?: Record<string, string>; payload?: string } = {}
) {
  return await service.app.http.inject({
    method: method as 'GET',
    url,
    headers: { host: new URL(service.issuer).host, ...headers },
    ...(payload === undefined ? {} : { payload })
  })
}

type Response = Awaited<ReturnType<typeof ask>>

function checkHeaders(
  t: Test,
  { headers }: Response,
  { what, https }: { what: string; https: boolean }
): void {
  const policy = new Map(
    String(headers['content-security-policy'])
      .split(';')
      .map(directive => directive.split(/ (.*)/) as [string, string])
  )
  for (const name of ['default-src', 'object-src', 'base-uri', 'frame-ancestors'])
    t.equal(policy.get(name), "'none'", `${what}: ${name}`)
  t.notMatch(String(headers['content-security-policy']), /unsafe-|\*|https?:(?!\/\/)/, what)
  t.ok(policy.get('form-action')?.startsWith("'self'"), `${what}: form-action`)
  t.match(headers, {
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'cache-control': /\S/
  })
  t.equal(headers['strict-transport-security'], https ? 'max-age=31536000' : undefined, what)
  for (const name of ['server', 'x-powered-by', 'via']) t.equal(headers[name], undefined, `${what}: ${name}`)
  for (const name of Object.keys(headers)) t.notMatch(name, /^x-ratelimit/, what)
  for (const cookie of [headers['set-cookie'] ?? []].flat()) {
    t.match(cookie, /; ?httponly/i, `${what}: ${cookie}`)
    t.match(cookie, /; ?samesite=lax/i, `${what}: ${cookie}`)
    if (https) t.match(cookie, /; ?secure/i, `${what}: ${cookie}`)
  }
}

/** What only somebody with our source or our machine would know. */
function checkSilence(t: Test, { body, headers }: Response, what: string): void {
  const text = `${body}${JSON.stringify(headers)}`
  t.notMatch(
    text,
    /node_modules|\/src\/|\.ts\b|at [\w.]+ \(|postgres|PostgresError|select |insert into|FST_ERR|fastify|oidc-provider|\bkoa\b/i,
    what
  )
}

const kept = /^\/(assets\/|jwks$|\.well-known\/)/
const accepts = { page: 'text/html,*/*;q=0.8', program: 'application/json', anything: '*/*' }

for (const [name, node] of Object.entries({ development: service, production })) {
  t.test(`WEB-1: in ${name} every answer of every route carries every header`, async t => {
    const routes = listRoutes(node)
    for (const url of [
      '/',
      '/session/end/success',
      '/interaction/:uid/verify-email/resend',
      '/auth/:uid',
      '/jwks'
    ])
      t.ok(
        routes.some(route => route.url === url),
        `${url} is among the ${routes.length} routes`
      )
    const https = name === 'production'
    for (const { url, methods } of [
      ...routes,
      { url: '/nowhere', methods: ['GET', 'POST'] },
      { url: '/%zz', methods: ['GET'] },
      { url: `/verify-email/${'x'.repeat(300)}`, methods: ['GET'] }
    ]) {
      for (const method of [...new Set([...methods, 'GET', 'POST', 'PUT', 'DELETE', 'PATCH'])])
        for (const [who, accept] of Object.entries(accepts)) {
          const what = `${method} ${url} as ${who}`
          const headers = {
            accept,
            ...(method === 'POST' ? { 'content-type': 'application/x-www-form-urlencoded' } : {})
          }
          const answer = await ask(node, method, example(url), {
            headers,
            ...(method === 'POST' ? { payload: 'a=1' } : {})
          })
          t.ok(answer.statusCode < 500 || url === '/readyz', `${what}: ${answer.statusCode}`)
          checkHeaders(t, answer, { what, https })
          checkSilence(t, answer, what)
          if (!kept.test(url)) t.equal(answer.headers['cache-control'], 'no-store', what)
        }
    }
    for (const asset of ['gatehouse.css', 'gatehouse.js', 'brand.css', 'favicon.svg'])
      checkHeaders(t, await ask(node, 'GET', `/assets/${asset}`), { what: asset, https })
  })
}

t.test(
  'WEB-1: so does every page of a sign-in, and its form leads to us and the application alone',
  async t => {
    const application = await createApplication(service)
    const seen: Answer[] = []
    const { visitor, page } = await openSignIn(service, { application })
    const request = visitor.request.bind(visitor)
    visitor.request = async (...parts) => {
      const answer = await request(...parts)
      seen.push(answer)
      return answer
    }
    const waiting = await signUpAndWait(service, { email: 'walk@example.org' }, { application, visitor })
    const { link, code } = await lastConfirmation(service, 'walk@example.org')
    await visitor.visit(link)
    await visitor.submit(waiting.page, 'verify-form', { code: 'x' })
    await visitor.submit(waiting.page, 'resend-form')
    await visitor.submit(page, 'sign-in-form', {})
    const consent = await visitor.submit(waiting.page, 'verify-form', {
      code: (await lastConfirmation(service, 'walk@example.org', 2)).code
    })
    t.ok(code)
    const end = await visitor.submit(consent, 'consent-form', { decision: 'allow' })
    const tokens = await waiting.finish(end.location)
    const hint = new URLSearchParams({ id_token_hint: tokens.id_token ?? '' })
    const signOut = await visitor.visit(`${service.issuer}/session/end?${hint}`)
    await visitor.submit(signOut, 'sign-out-form', { logout: 'yes' })
    t.ok(seen.length > 12, `${seen.length} answers`)
    for (const answer of seen) {
      const headers = { ...Object.fromEntries(answer.headers), 'set-cookie': answer.headers.getSetCookie() }
      const what = `${answer.status} ${new URL(answer.url).pathname}`
      checkHeaders(t, { headers, body: answer.text } as unknown as Response, { what, https: false })
      const [formAction = ''] =
        /form-action [^;]*/.exec(answer.headers.get('content-security-policy') ?? '') ?? []
      t.match(formAction, /^form-action 'self'( http:\/\/localhost:\d+)?$/, what)
      t.equal(answer.headers.get('cache-control'), 'no-store', what)
    }
  }
)

t.test(
  'OPS-3: nothing but the service is served: no sources, settings, maps, metrics, debug pages',
  async t => {
    for (const path of [
      '/.git/config',
      '/.env',
      '/package.json',
      '/src/main.ts',
      '/node_modules/fastify/package.json',
      '/metrics',
      '/debug',
      '/docs',
      '/documentation',
      '/server-status',
      '/data/encryption-key',
      '/demo-clients.json',
      '/assets/../package.json',
      '/assets/..%2f..%2fpackage.json',
      '/assets/%2e%2e/layout.eta',
      '/assets/gatehouse.css.map',
      '/views/layout.eta',
      '/.well-known/security.txt',
      '/wp-login.php',
      '/actuator/env',
      '/interaction',
      '/verify-email',
      '/assets/'
    ])
      t.equal((await ask(service, 'GET', path)).statusCode, 404, path)
    for (const path of ['/dev/mailbox', '/dev/mailbox.json']) {
      t.equal((await ask(service, 'GET', path)).statusCode, 200)
      t.equal((await ask(production, 'GET', path)).statusCode, 404, `${path} in production`)
    }
  }
)

/** Other ways to write a path, some of which some server somewhere takes for the same. */
const disguises = (path: string): string[] => [
  `/${path}`,
  `//${path.slice(1)}`,
  `${path}/`,
  `${path}//`,
  `${path}/.`,
  `${path}/..;/`,
  `/.${path}`,
  `/x/..${path}`,
  `/%2e%2e${path}`,
  path.replace('/', '%2f'),
  path.replace(/(?<=.)\//g, '%2f'),
  path.replace(/(?<=.)\//g, '%252f'),
  path.replace(/(?<=.)\//g, '\\'),
  path.replace(/(?<=.)\//g, '//'),
  path.toUpperCase(),
  path.replace(/^\/./, found => found.toUpperCase()),
  `${path};`,
  `${path};x=y`,
  `${path}%00`,
  `${path}%20`,
  `${path}%0a`,
  `${path}.json`,
  `${path}%23`,
  `${path}%3f`
]

t.test('INP-3: a disguised path is another path: no form is taken there without its protection', async t => {
  // A POST to these two is the same request as GET, and takes no form.
  const turnedToGets = ['/auth', '/session/end']
  for (const { url, methods } of listRoutes(service).filter(({ methods }) => methods.includes('POST'))) {
    if (turnedToGets.includes(url)) continue
    const path = example(url)
    const payload = 'email=a%40example.org&password=x&decision=allow'
    const headers = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }
    const plain = await ask(service, 'POST', path, { headers, payload })
    if (/interaction|verify-email/.test(path)) t.equal(plain.statusCode, 403, `${path}: CSRF`)
    for (const disguise of disguises(path)) {
      const answer = await ask(service, 'POST', disguise, { headers, payload })
      t.match(String(answer.statusCode), /^4\d\d$/, `${methods} ${disguise}: ${answer.statusCode}`)
      checkSilence(t, answer, disguise)
    }
  }
  for (const disguise of ['/dev/mailbox', '/dev/mailbox.json'].flatMap(disguises))
    t.match(String((await ask(production, 'GET', disguise)).statusCode), /^4\d\d$/, disguise)
})

const forms = [
  '/interaction/abc/sign-in',
  '/interaction/abc/sign-up',
  '/interaction/abc/consent',
  '/verify-email/abc'
]

t.test('INP-4: forms are read as forms only, however the content type is written', async t => {
  const payload = JSON.stringify({ email: ['a@example.org'], password: 'x' })
  for (const url of forms) {
    for (const type of [
      'application/json',
      'application/json; charset=utf-8',
      'APPLICATION/JSON',
      'application/json\t',
      ' application/json',
      'application/json;',
      'application/jsonx',
      'text/plain',
      'text/html',
      'text/xml',
      'multipart/form-data; boundary=x',
      'multipart/form-data',
      'application/octet-stream',
      'application/x-www-form-urlencodedx',
      'application/x-www-form-urlencoded, application/json',
      'x',
      '*/*',
      'application/xml',
      'application/csp-report'
    ]) {
      const answer = await ask(service, 'POST', url, {
        headers: { 'content-type': type, accept: 'application/json' },
        payload
      })
      t.equal(answer.statusCode, 415, `${url} ${JSON.stringify(type)}`)
      t.match(answer.json(), { error: { code: 'unsupported_media_type' } })
    }
    for (const type of [
      'application/x-www-form-urlencoded',
      'application/x-www-form-urlencoded; charset=UTF-8',
      'application/x-www-form-urlencoded\t;x=y'
    ])
      t.equal(
        (await ask(service, 'POST', url, { headers: { 'content-type': type }, payload: 'a=1' })).statusCode,
        403,
        type
      )
    t.equal((await ask(service, 'POST', url, { payload: 'a=1' })).statusCode, 415, 'without a type')
  }
  for (const url of ['/token', '/introspect', '/revoke', '/par'])
    for (const type of [
      'application/json',
      'text/plain',
      'multipart/form-data; boundary=x',
      'application/x-www-form-urlencodedx'
    ]) {
      const answer = await ask(service, 'POST', url, { headers: { 'content-type': type }, payload })
      t.match(String(answer.statusCode), /^4(00|01|15)$/, `${url} ${type}`)
    }
})

t.test('INP-5: bodies with dangerous names or without measure change nothing and are refused', async t => {
  const urlencoded = { 'content-type': 'application/x-www-form-urlencoded', accept: 'application/json' }
  const bodies: Record<string, string> = {
    proto: '__proto__[polluted]=1&__proto__.polluted=1&__proto__=1',
    constructor: 'constructor[prototype][polluted]=1&constructor.prototype.polluted=1&constructor=1',
    'a thousand names': Array.from({ length: 5000 }, (_, i) => `a${i}=1`).join('&'),
    'one name often': 'email=a&'.repeat(8000),
    'deep brackets': `a${'[b]'.repeat(20_000)}=1`,
    ampersands: '&'.repeat(60_000),
    'percent signs': '%'.repeat(60_000),
    'broken escapes': 'email=%E0%A4%A&_csrf=%ZZ',
    'not UTF-8': 'email=%FF%FE%00'
  }
  for (const url of [...forms, '/token', '/introspect', '/revoke', '/par', '/session/end/confirm'])
    for (const [what, payload] of Object.entries(bodies)) {
      const startedAt = performance.now()
      const answer = await ask(service, 'POST', url, { headers: urlencoded, payload })
      t.match(String(answer.statusCode), /^4\d\d$/, `${url}: ${what}`)
      t.ok(
        performance.now() - startedAt < 500,
        `${url}: ${what} in ${Math.round(performance.now() - startedAt)} ms`
      )
    }
  const deep = '['.repeat(100_000)
  for (const url of forms) {
    const json = { ...urlencoded, 'content-type': 'application/json' }
    t.match(
      String((await ask(service, 'POST', url, { headers: json, payload: deep })).statusCode),
      /^4(13|15)$/
    )
    t.equal(
      (await ask(service, 'POST', url, { headers: urlencoded, payload: 'a='.repeat(40_000) })).statusCode,
      413
    )
  }
  t.equal(({} as { polluted?: unknown }).polluted, undefined)
})
