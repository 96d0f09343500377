// Nobody is sent from here to an address that was not registered (WEB-3).
import t from 'tap'
import { agree, createApplication, newcomer } from '../helpers/application.ts'
import { openSignIn, signUpAndWait } from '../helpers/forms.ts'
import { startService } from '../helpers/service.ts'
import { type Answer, Visitor } from '../helpers/visitor.ts'

const service = await startService(t)
const application = await createApplication(service)
const own = new URL(service.issuer).origin
const registered = application.redirectUri
const { origin: app, port } = new URL(registered)

const payloads = [
  'https://evil.example',
  'https://evil.example/callback',
  '//evil.example',
  '///evil.example',
  '////evil.example',
  '/\\evil.example',
  '\\\\evil.example',
  '\\/evil.example',
  '/\t/evil.example',
  '/\n/evil.example',
  '/\r\n/evil.example',
  '\t//evil.example',
  ' //evil.example',
  '%2f%2fevil.example',
  '/%2f/evil.example',
  '/%5cevil.example',
  'https:evil.example',
  'https:/evil.example',
  'https:///evil.example',
  'javascript:alert(1)',
  'JavaScript:alert(1)',
  'java\tscript:alert(1)',
  ' javascript:alert(1)',
  'javascript://localhost/%0aalert(1)',
  'data:text/html,<script>alert(1)</script>',
  'vbscript:x',
  'file:///etc/passwd',
  'ftp://evil.example',
  `${registered}@evil.example`,
  `http://localhost:${port}@evil.example/callback`,
  `http://localhost:${port}.evil.example/callback`,
  `http://evil.example#${registered}`,
  `http://evil.example?${registered}`,
  `http://evil.example\\@localhost:${port}/callback`,
  `${registered}/../../evil`,
  `${registered}/..%2fevil`,
  `${registered}?x=https://evil.example`,
  `${registered}#evil`,
  `${registered}%0d%0aLocation:%20https://evil.example`,
  `${registered}\r\nLocation: https://evil.example`,
  `${registered}/`,
  registered.toUpperCase(),
  `${registered}%00`,
  `${registered}\u0000.evil.example`,
  registered.replace('localhost', '127.0.0.1'),
  registered.replace('localhost', 'localhost.'),
  registered.replace('localhost', 'LOCALHOST'),
  registered.replace('http:', 'https:'),
  registered.replace(`:${port}`, `:${Number(port) + 1}`),
  'http://[::1]/callback',
  'http://evil。example/callback',
  `http://localhost:${port}/callback/%2e%2e/`,
  '',
  'null',
  '*',
  'x',
  './callback',
  'about:blank',
  'blob:https://evil.example/x'
]

/** Where an answer would take a browser: its Location, and where its page's forms and links lead. */
function targetsOf(answer: Answer, raw: string | null): string[] {
  const links = [...answer.text.matchAll(/(?:href|action|src)="([^"]*)"/g)].map(([, url = '']) => url)
  const refresh = answer.headers.get('refresh')
  return [...(raw === null ? [] : [raw]), ...(refresh === null ? [] : [refresh]), ...links]
}

const allowed = (target: string) => {
  const url = URL.parse(target.replaceAll('&amp;', '&'), `${own}/x`)
  if (url === null) return false
  return url.origin === own || (url.origin === app && url.pathname.startsWith('/')) || target === ''
}

function elsewhere(answer: Answer): string[] {
  return targetsOf(answer, answer.location).filter(target => !allowed(target))
}

t.test('WEB-3: fifty ways to write another address, in every parameter that leads somewhere', async t => {
  t.ok(payloads.length >= 50, `${payloads.length} payloads`)
  const { visitor: signedIn, tokens } = await newcomer(service, application)
  const { page } = await openSignIn(service, { application })
  const base = page.url.replace('/sign-in', '')
  const hint = tokens.id_token ?? ''
  const places: Record<string, (payload: string) => string> = {
    redirect_uri: payload =>
      `${own}/auth?${new URLSearchParams({ client_id: 'demo-web', response_type: 'code', scope: 'openid', redirect_uri: payload })}`,
    'two redirect_uris': payload =>
      `${own}/auth?${new URLSearchParams([
        ['client_id', 'demo-web'],
        ['response_type', 'code'],
        ['scope', 'openid'],
        ['redirect_uri', registered],
        ['redirect_uri', payload]
      ])}`,
    post_logout_redirect_uri: payload =>
      `${own}/session/end?${new URLSearchParams({ client_id: 'demo-web', post_logout_redirect_uri: payload })}`,
    'post_logout_redirect_uri with a hint': payload =>
      `${own}/session/end?${new URLSearchParams({ id_token_hint: hint, post_logout_redirect_uri: payload })}`,
    'state at sign-out': payload =>
      `${own}/session/end?${new URLSearchParams({ id_token_hint: hint, state: payload })}`,
    'signed-out page': payload =>
      `${own}/session/end/success?${new URLSearchParams({ client_id: payload, redirect: payload })}`,
    'interaction of a link': payload =>
      `${own}/verify-email/x?${new URLSearchParams({ interaction: payload })}`,
    'path of an interaction': payload => `${own}/interaction/${encodeURIComponent(payload)}?start`,
    'raw path of an interaction': payload => `${own}/interaction/${payload.replace(/[\s?#\\]/g, '')}?start`,
    'path of a resumption': payload => `${own}/auth/${encodeURIComponent(payload)}`,
    'invented parameters': payload =>
      `${base}/sign-in?${new URLSearchParams({ return_to: payload, next: payload, redirect: payload, continue: payload, RelayState: payload, url: payload })}`,
    'start page': payload => `${own}/?${new URLSearchParams({ return_to: payload, next: payload })}`,
    'the path itself': payload => `${own}/${payload.replace(/[\s?#]/g, '')}`,
    'the path itself, twice the slash': payload => `${own}//${encodeURIComponent(payload)}/..`
  }
  for (const [place, urlOf] of Object.entries(places))
    for (const payload of payloads) {
      const what = `${place}: ${JSON.stringify(payload)}`
      const answer = await signedIn.request(urlOf(payload))
      t.strictSame(elsewhere(answer), [], what)
      t.ok(answer.status < 500, `${what}: ${answer.status}`)
      if (place === 'redirect_uri' && payload !== registered)
        t.notMatch(
          answer.location ?? '',
          /^https?:\/\/localhost:\d+\/callback/,
          `${what}: errors stay here, too`
        )
    }
})

t.test('WEB-3: posted parameters and headers lead nowhere else either', async t => {
  for (const payload of payloads) {
    const { visitor, page } = await signUpAndWait(service, { email: 'posted@example.org' }, { application })
    const extra = { return_to: payload, redirect_uri: payload, next: payload, action: payload }
    for (const [form, fields] of [
      ['resend-form', extra],
      ['verify-form', { code: '000000', ...extra }]
    ] as const)
      t.strictSame(
        elsewhere(await visitor.post(page, form, fields)),
        [],
        `${form} ${JSON.stringify(payload)}`
      )
    if (/[\r\n\0\u3002]/.test(payload)) continue
    const headers = {
      referer: payload,
      'x-forwarded-host': payload,
      'x-original-url': payload,
      'x-forwarded-prefix': payload
    }
    const answer = await visitor.request(page.url.replace('/verify-email', ''), { headers })
    t.strictSame(elsewhere(answer), [], `headers ${JSON.stringify(payload)}`)
  }
})

t.test(
  'WEB-3: a native application’s loopback address may have any port, and nothing else may differ',
  async t => {
    const native = await createApplication(service, service.clients['demo-native'])
    const good = await native.begin({ redirect_uri: 'http://127.0.0.1:51004/callback' })
    t.match((await new Visitor().visit(good.url)).text, 'sign-in-form')
    for (const redirect_uri of [
      'http://127.0.0.1:51004/other',
      'http://127.0.0.1:51004/callback?x',
      'http://127.0.0.2:51004/callback',
      'http://localhost:51004/callback',
      'http://127.0.0.1.evil.example/callback',
      'http://127.0.0.1@evil.example/callback',
      'https://127.0.0.1:51004/callback',
      'http://127.0.0.1:51004/callback#x',
      'http://2130706433/callback',
      'http://0x7f.1/callback'
    ]) {
      const answer = await new Visitor().request((await native.begin({ redirect_uri })).url)
      t.equal(answer.status, 400, redirect_uri)
      t.equal(answer.location, null)
    }
  }
)

t.test(
  'WEB-4: no URL of a whole sign-in, and none in a page of it, holds a password, code or token of ours',
  async t => {
    const urls: string[] = []
    const visitor = new Visitor()
    const request = visitor.request.bind(visitor)
    visitor.request = async (url, options) => {
      urls.push(url)
      return await request(url, options)
    }
    const waiting = await signUpAndWait(service, { email: 'quiet@example.org' }, { application, visitor })
    const [mail] = await service.mailTo('quiet@example.org')
    const code = /\b\d{6}\b/.exec(mail?.text ?? '')?.[0] ?? ''
    const end = await agree(visitor, await visitor.submit(waiting.page, 'verify-form', { code }))
    const tokens = await waiting.finish(end.location)
    t.ok(urls.length > 5)
    const secrets = [
      'battery',
      'quiet%40',
      'quiet@',
      `=${code}`,
      tokens.access_token,
      tokens.id_token ?? '?',
      visitor.cookie('session') ?? '?',
      visitor.cookie('csrf') ?? '?'
    ]
    for (const url of urls) for (const secret of secrets) t.notOk(url.includes(secret), new URL(url).pathname)
  }
)
