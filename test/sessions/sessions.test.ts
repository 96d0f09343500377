// Browser sessions: who is signed in where, and for how long.
import t from 'tap'
import { endAllTokens } from '../../src/accounts/service.ts'
import {
  authorizationUrl,
  callbackOf,
  introspect,
  obtainCode,
  obtainTokens,
  offline,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { password, type Service, startService, Visitor } from '../helpers/service.ts'

const hour = 3600
const day = 24 * hour

/** A copy of a browser's cookies: what a thief, or a request sent a moment ago, has. */
function copyOf(visitor: Visitor): Visitor {
  const copy = new Visitor()
  for (const [key, cookie] of visitor.cookies) copy.cookies.set(key, cookie)
  return copy
}

async function open(t: Parameters<typeof startService>[0], nodes: 1 | 2 = 1) {
  const service = await startService(t, { nodes })
  const client = await registerPortal(service)
  const email = 'ada@example.org'
  const visitor = await signedInVisitor(service, client, { email })
  const silently = async (who: Visitor) =>
    callbackOf(await who.visit(authorizationUrl(service, client, { prompt: 'none' }))).searchParams
  return {
    service,
    client,
    visitor,
    isSignedIn: async (who: Visitor) => (await silently(who)).has('code'),
    signIn: async (who = new Visitor(), params = {}) => {
      const page = await who.visit(authorizationUrl(service, client, params))
      await who.submit(page, 'sign-in-form', { email, password })
      return who
    }
  }
}

t.test('a session begins', async t => {
  const { service, client, visitor, isSignedIn, signIn } = await open(t)

  await t.test('SES-1: with a new id: one that was planted before is worth nothing', async t => {
    // Somebody who is nobody yet gets a session too when they ask to sign out: an id that an attacker can have.
    const attacker = new Visitor()
    await attacker.request(`${service.issuer}/session/end`)
    const planted = attacker.cookie('session')
    t.ok(planted)
    const victim = copyOf(attacker)
    await signIn(victim)
    t.ok(await isSignedIn(victim))
    t.not(victim.cookie('session'), planted)
    t.notOk(await isSignedIn(attacker), 'the planted cookie')
  })

  await t.test('SES-1: with a new id at each proof; the one before ends at that moment', async t => {
    const before = copyOf(visitor)
    t.ok(await isSignedIn(before))
    await signIn(visitor, { prompt: 'login' })
    t.ok(await isSignedIn(visitor))
    t.not(visitor.cookie('session'), before.cookie('session'))
    t.notOk(await isSignedIn(before))
  })

  await t.test('SES-2: and is stored under a hash', async t => {
    const rows = await service.pool<{ idHash: Buffer }[]>`select id_hash from session_ids`
    t.ok(rows.length > 0)
    for (const { idHash } of rows) t.equal(idHash.length, 32)
  })

  await t.test(
    'SES-5, SES-1: a rotated cookie stays good for seconds, for requests already under way',
    async t => {
      const asking = await service.register({
        client_name: 'Photos',
        redirect_uris: ['https://photos.example/callback']
      })
      const before = copyOf(visitor)
      // Agreeing rotates the cookie, though nobody proved anything new.
      await obtainCode(service, { client: asking, visitor })
      t.not(visitor.cookie('session'), before.cookie('session'))
      t.ok(await isSignedIn(copyOf(before)))
      service.advance(31)
      t.notOk(await isSignedIn(before))
      t.ok(await isSignedIn(visitor))
    }
  )

  await t.test('three authorizations at once in one browser: each application keeps its tokens', async t => {
    const clients = await Promise.all(
      ['One', 'Two', 'Three'].map(client_name => registerPortal(service, { client_name }))
    )
    const codes = await Promise.all(
      clients.map(client => obtainCode(service, { client, visitor: copyOf(visitor) }))
    )
    for (const [index, code] of codes.entries()) {
      const client = clients[index] ?? { client_id: '' }
      const { status, body } = await redeem(service, client, code)
      t.equal(status, 200, `application ${index}`)
      t.equal((await userinfo(service, body.access_token)).status, 200)
      t.equal((await refresh(service, client, body.refresh_token)).status, 200)
    }
  })

  await t.test('so do three tabs of one application', async t => {
    const fresh = await registerPortal(service, { client_name: 'Tabs' })
    const codes = await Promise.all(
      [1, 2, 3].map(() => obtainCode(service, { client: fresh, visitor: copyOf(visitor) }))
    )
    for (const code of codes) t.equal((await redeem(service, fresh, code)).status, 200)
  })

  await t.test('SES-3: its cookies are out of reach for scripts and other sites', async t => {
    const answer = await new Visitor().request(authorizationUrl(service, client))
    for (const line of answer.headers.getSetCookie()) {
      t.match(line, /; httponly/i, line)
      t.match(line, /; samesite=lax/i, line)
      t.ok(line.length < 4096)
    }
  })
})

t.test('a session ends', async t => {
  const { service, client, visitor, isSignedIn, signIn } = await open(t)

  await t.test('SES-4: after a day without use, and not before', async t => {
    service.advance(23 * hour)
    t.ok(await isSignedIn(visitor))
    service.advance(23 * hour)
    t.ok(await isSignedIn(visitor), 'each use counts')
    const tokens = await obtainTokens(service, { client, visitor })
    service.advance(25 * hour)
    t.notOk(await isSignedIn(visitor))
    t.equal(
      (await refresh(service, client, tokens.refresh_token)).body.error,
      'invalid_grant',
      'and so do its tokens'
    )
  })

  await t.test('SES-4: fourteen days after the sign-in, however much it is used', async t => {
    const busy = await signIn()
    for (let past = 0; past < 13 * day + 12 * hour; past += 12 * hour) {
      service.advance(12 * hour)
      if (!(await isSignedIn(busy))) t.fail(`signed out after ${past / day} days`)
    }
    const tokens = await obtainTokens(service, { client, visitor: busy })
    service.advance(12 * hour + 1)
    t.notOk(await isSignedIn(busy))
    t.equal((await refresh(service, client, tokens.refresh_token)).body.error, 'invalid_grant')
  })

  await t.test('SES-4: the cookie says no more than the server', async t => {
    const kept = await signIn()
    await service.pool`update sessions set expires_at = ${new Date(Date.now() - 1000)}`
    t.notOk(await isSignedIn(kept))
  })
})

t.test('SES-5, SES-6: the cut-off ends everything of an account on two nodes within a second', async t => {
  const { service, client, visitor, isSignedIn, signIn } = await open(t, 2)
  const elsewhere = await signIn()
  const tokens = await obtainTokens(service, { client, visitor })
  const away = await obtainTokens(service, { client, visitor, params: offline })
  const code = await obtainCode(service, { client, visitor })
  const underWay = new Visitor()
  const page = await underWay.visit(authorizationUrl(service, client))
  const done = await underWay.post(page, 'sign-in-form', { email: 'ada@example.org', password })
  const other = await signedInVisitor(service, client, { email: 'grace@example.org' })
  t.equal((await userinfo(service, tokens.access_token)).status, 200)

  const sub = String((await userinfo(service, tokens.access_token)).body.sub)
  service.advance(1)
  await endAllTokens(service.app.ctx, sub)
  const started = performance.now()
  // Twice each: the round-robin asks the other node the second time.
  for (const _ of [1, 2]) {
    t.equal((await userinfo(service, tokens.access_token)).status, 401)
    t.equal((await userinfo(service, away.access_token)).status, 401)
    t.strictSame((await introspect(service, client, away.access_token)).body, { active: false })
    t.equal((await refresh(service, client, tokens.refresh_token)).body.error, 'invalid_grant')
    t.equal((await refresh(service, client, away.refresh_token)).body.error, 'invalid_grant')
    t.equal((await redeem(service, client, code)).body.error, 'invalid_grant')
    for (const who of [visitor, elsewhere]) t.notOk(await isSignedIn(copyOf(who)))
  }
  t.equal((await underWay.follow(done)).location, null, 'a sign-in under way is over as well')
  t.ok(performance.now() - started < 1000, `${Math.round(performance.now() - started)} ms`)
  t.ok(await isSignedIn(other), 'nobody else notices')
  service.advance(1)
  t.ok(await isSignedIn(await signIn()), 'and who knows the password signs in again')
})

t.test('SES-10: a cookie that is not ours is as good as none', async t => {
  const { service, client, visitor, isSignedIn } = await open(t)
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
  t.ok(await isSignedIn(visitor), 'and the true one is good')

  async function foreignSession(t: Parameters<typeof startService>[0]): Promise<string> {
    const elsewhere = await open(t)
    const jar = elsewhere.visitor
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
