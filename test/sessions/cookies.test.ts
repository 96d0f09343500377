// The session's cookies: what they look like, and what comes of ones that we never made.
import t from 'tap'
import { authorizationUrl, isSignedIn, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { password, type Service, startService, Visitor } from '../helpers/service.ts'

t.test('SES-3: cookies are out of reach for scripts and other sites', async t => {
  const service = await startService(t)
  const client = await registerPortal(service)
  const answer = await new Visitor().request(authorizationUrl(service, client))
  for (const line of answer.headers.getSetCookie()) {
    t.match(line, /; httponly/i, line)
    t.match(line, /; samesite=lax/i, line)
    t.ok(line.length < 4096)
  }
})

t.test('SES-10: a cookie that is not ours is as good as none', async t => {
  const service = await startService(t)
  const client = await registerPortal(service)
  const visitor = await signedInVisitor(service, client)
  const value = visitor.cookie('session') ?? ''
  const signature = visitor.cookie('session.sig') ?? ''
  const flipped = `${signature.slice(0, -2)}${signature.endsWith('AA') ? 'BB' : 'AA'}`
  const foreign = await foreignSession(t)
  const cookies: [string, string][] = [
    ['no signature', `session=${value}`],
    ['a wrong signature', `session=${value}; session.sig=${flipped}`],
    ['a short signature', `session=${value}; session.sig=${signature.slice(0, 5)}`],
    ['another value under the signature', `session=${value.slice(0, -1)}x; session.sig=${signature}`],
    ['signed by another installation', foreign],
    ['an unknown id', `session=${'x'.repeat(43)}; session.sig=${signature}`],
    ['8 KB', `session=${'x'.repeat(8192)}; session.sig=${'y'.repeat(27)}`],
    ['8 KB of cookies', Array.from({ length: 400 }, (_, index) => `c${index}=${'x'.repeat(15)}`).join('; ')],
    ['JSON', 'session={"accountId":"x"}; session.sig=x'],
    ['separators', ';;;===;;session;=x;session==;'],
    ['percent signs', 'session=%E0%A4%A; session.sig=%; csrf=%ZZ; application=%'],
    ['control characters', 'session=\x01\x02; session.sig=\x7f'],
    ['quotes and markup', 'session="><script>; application="<script>"; csrf=\'; --'],
    ['prototypes', '__proto__=x; constructor=y; session=__proto__'],
    ['twice', `session=x; session=${value}; session.sig=y`]
  ]
  const paths = [
    authorizationUrl(service, client).slice(service.issuer.length),
    '/session/end',
    '/interaction/x/sign-in',
    '/auth/x',
    '/',
    '/dev/mailbox'
  ]
  for (const [what, cookie] of cookies)
    for (const path of paths) {
      const { statusCode, headers } = await service.app.http.inject({
        url: path,
        headers: { cookie, accept: 'text/html' }
      })
      t.ok(statusCode < 500, `${what}: ${path.slice(0, 20)} ${statusCode}`)
      if (path.startsWith('/auth?')) {
        t.equal(statusCode, 303, what)
        t.match(
          String(headers.location),
          /^\/interaction\/[\w-]+\?start$/,
          `${what}: a page for somebody unknown`
        )
      }
    }
  const long = await service.app.http.inject({
    url: paths[0] ?? '',
    headers: { cookie: `session=${'x'.repeat(8192)}` }
  })
  t.equal(long.statusCode, 303)
  t.ok(await isSignedIn(service, client, visitor), 'and the true one is good')

  async function foreignSession(t: Parameters<typeof startService>[0]): Promise<string> {
    const elsewhere = await startService(t)
    const jar = await signedInVisitor(elsewhere, await registerPortal(elsewhere))
    return `session=${jar.cookie('session')}; session.sig=${jar.cookie('session.sig')}`
  }
})

t.test(
  'SES-3: in production every cookie is Secure, bound to the host where it can be, HttpOnly and Lax',
  async t => {
    const service = await startService(t, {
      environment: { ISSUER: 'https://id.example.org', SMTP_URL: 'smtp://127.0.0.1:9' }
    })
    const client = await registerPortal(service)
    const lines = await signUpByInject(service, authorizationUrl(service, client))
    const names = new Set(lines.map(line => line.slice(0, line.indexOf('='))))
    t.ok(names.has('__Host-session'), [...names].join())
    t.ok(names.has('__Host-csrf'))
    for (const line of lines) {
      t.match(line, /^__(Host|Secure)-/, line)
      t.match(line, /; secure/i, line)
      t.match(line, /; httponly/i, line)
      t.match(line, /; samesite=lax/i, line)
      t.notMatch(line, /; domain=/i, line)
      t.ok(line.length < 4096)
      if (line.startsWith('__Host-')) t.match(line, /; path=\/(;|$)/i, line)
      // The two of a sign-in go to its own addresses only, which __Host- does not allow.
      else
        t.match(
          line,
          /^__Secure-(interaction|resume)(\.sig)?=.*; path=\/(interaction|auth)\/[\w-]+(;|$)/i,
          line
        )
    }
  }
)

/** Signs up over HTTP as a proxy would hand it on, and answers with every Set-Cookie that came. */
async function signUpByInject(service: Service, url: string): Promise<string[]> {
  const { http } = service.app
  const jar = new Map<string, string>()
  const lines: string[] = []
  const send = async (to: string, form?: Record<string, string>) => {
    const { pathname, search } = new URL(to, service.issuer)
    const answer = await http.inject({
      method: form === undefined ? 'GET' : 'POST',
      url: `${pathname}${search}`,
      headers: {
        accept: 'text/html',
        cookie: [...jar].map(([name, value]) => `${name}=${value}`).join('; '),
        ...(form === undefined
          ? {}
          : { 'content-type': 'application/x-www-form-urlencoded', origin: service.issuer })
      },
      ...(form === undefined ? {} : { payload: new URLSearchParams(form).toString() })
    })
    for (const line of [answer.headers['set-cookie'] ?? []].flat()) {
      lines.push(line)
      const [pair = ''] = line.split(';')
      const name = pair.slice(0, pair.indexOf('='))
      if (/expires=Thu, 01 Jan 1970/i.test(line)) jar.delete(name)
      else jar.set(name, pair.slice(pair.indexOf('=') + 1))
    }
    return answer
  }
  const follow = async (to: string) => {
    let answer = await send(to)
    let at = to
    while (
      answer.statusCode === 303 &&
      !String(answer.headers.location).startsWith('https://portal.example')
    ) {
      at = String(answer.headers.location)
      answer = await send(at)
    }
    return { answer, at: new URL(at, service.issuer).href }
  }
  const csrf = (html: string) => /name="_csrf" value="([^"]+)"/.exec(html)?.[1] ?? ''
  const email = 'ada@example.org'
  const start = await follow(url)
  const form = await send(start.at.replace(/sign-in$/, 'sign-up'))
  await send(start.at.replace(/sign-in$/, 'sign-up'), {
    _csrf: csrf(form.body),
    email,
    name: 'Ada',
    password
  })
  // No mail server here: the address is confirmed behind the scenes, and the person signs in.
  const [token] = await service.pool<{ passwordHash: string; accountId: string }[]>`
    select password_hash, account_id from account_email_tokens`
  await service.pool`update accounts set email_verified_at = ${new Date()}`
  await service.pool`insert into password_credentials (account_id, password_hash, updated_at)
    values (${token?.accountId ?? ''}, ${token?.passwordHash ?? ''}, ${new Date()})
    on conflict (account_id) do update set password_hash = excluded.password_hash`
  const again = await follow(url)
  const done = await send(again.at, { _csrf: csrf(again.answer.body), email, password })
  await follow(String(done.headers.location))
  return lines
}
