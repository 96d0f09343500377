// Signing out: asked for by an application or a person, done by the person (OpenID Connect RP-Initiated Logout 1.0).
import t from 'tap'
import {
  authorizationUrl,
  callbackOf,
  clientOf,
  type Fields,
  obtainTokens,
  offline,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { password, startService, Visitor } from '../helpers/service.ts'

t.test('signing out', async t => {
  const service = await startService(t, { nodes: 2 })
  const client = await registerPortal(service)
  const email = 'ada@example.org'
  await signedInVisitor(service, client, { email })
  const signIn = async () => {
    const visitor = new Visitor()
    const page = await visitor.visit(authorizationUrl(service, client))
    await visitor.submit(page, 'sign-in-form', { email, password })
    return visitor
  }
  const endSession = (params: Fields) => {
    const url = new URL('/session/end', service.issuer)
    for (const [name, value] of Object.entries(params))
      if (value !== undefined) url.searchParams.set(name, value)
    return url.href
  }
  const isSignedIn = async (visitor: Visitor) => {
    const back = await visitor.visit(authorizationUrl(service, client, { prompt: 'none' }))
    return callbackOf(back).searchParams.has('code')
  }
  const post_logout_redirect_uri = 'https://portal.example/signed-out'

  await t.test('SES-8: is confirmed by the person, also where the application shows an ID token', async t => {
    const visitor = await signIn()
    const { id_token } = await obtainTokens(service, { client, visitor })
    for (const params of [{}, { id_token_hint: id_token }, { client_id: client.client_id }]) {
      const page = await visitor.visit(endSession(params))
      t.equal(page.status, 200)
      t.match(page.text, 'id="sign-out-form"')
      // RP-Initiated Logout §2: the OP SHOULD ask; nobody is signed out by a link or a picture.
      t.ok(await isSignedIn(visitor), 'looking is not signing out')
    }
  })

  await t.test('SES-8: leads back to the application with its state', async t => {
    const visitor = await signIn()
    const { id_token } = await obtainTokens(service, { client, visitor })
    const state = 'a b&c=d"<'
    const page = await visitor.visit(endSession({ id_token_hint: id_token, post_logout_redirect_uri, state }))
    t.match(page.headers.get('content-security-policy'), /form-action 'self' https:\/\/portal\.example/)
    const back = callbackOf(await visitor.submit(page, 'sign-out-form', { logout: 'yes' }))
    t.equal(`${back.origin}${back.pathname}`, post_logout_redirect_uri)
    t.equal(back.searchParams.get('state'), state)
    t.notOk(await isSignedIn(visitor))
  })

  await t.test('SES-8: leads to no address that the application has not registered', async t => {
    const visitor = await signIn()
    const { id_token } = await obtainTokens(service, { client, visitor })
    for (const uri of [
      'https://evil.example/',
      'https://portal.example/',
      `${post_logout_redirect_uri}/`,
      `${post_logout_redirect_uri}?x=1`,
      `${post_logout_redirect_uri}#x`,
      'http://portal.example/signed-out',
      'javascript:alert(1)'
    ])
      for (const named of [{ id_token_hint: id_token }, { client_id: client.client_id }]) {
        const { status, location, text } = await visitor.visit(
          endSession({ ...named, post_logout_redirect_uri: uri })
        )
        t.equal(status, 400, uri)
        t.equal(location, null)
        t.notMatch(text, '<form')
      }
    // Nobody says whose address it is: it is left out, the sign-out goes on without.
    const page = await visitor.visit(endSession({ post_logout_redirect_uri: 'https://evil.example/' }))
    const done = await visitor.submit(page, 'sign-out-form', { logout: 'yes' })
    t.equal(done.location, null)
    t.notMatch(done.text, 'evil.example')
    t.notOk(await isSignedIn(visitor))
  })

  await t.test('SES-8: a hint that was forged or is not this application’s is refused', async t => {
    const visitor = await signIn()
    const { id_token = '' } = await obtainTokens(service, { client, visitor })
    const [header, payload = '', signature] = id_token.split('.')
    const claims = { ...JSON.parse(Buffer.from(payload, 'base64url').toString()), aud: 'demo-web' }
    const forged = `${header}.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.${signature}`
    const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${payload}.`
    for (const hint of [forged, none, 'x', 'x.y.z', `${id_token}x`])
      t.equal((await visitor.visit(endSession({ id_token_hint: hint }))).status, 400)
    const mixed = await visitor.visit(endSession({ id_token_hint: id_token, client_id: 'demo-web' }))
    t.equal(mixed.status, 400)
    t.ok(await isSignedIn(visitor))
    service.advance(7200)
    t.equal(
      (await visitor.visit(endSession({ id_token_hint: id_token }))).status,
      200,
      'an expired one still tells who asks'
    )
  })

  await t.test('SES-8, SES-11: no other site signs anybody out', async t => {
    const visitor = await signIn()
    await visitor.request(endSession({}), {
      headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-dest': 'image' }
    })
    t.ok(await isSignedIn(visitor), 'not by a picture')
    const confirm = `${service.issuer}/session/end/confirm`
    for (const [body, type] of [
      ['logout=yes', 'application/x-www-form-urlencoded'],
      ['xsrf=guess&logout=yes', 'application/x-www-form-urlencoded'],
      ['xsrf=&logout=yes', 'application/x-www-form-urlencoded'],
      ['xsrf[]=x&logout=yes', 'application/x-www-form-urlencoded'],
      ['xsrf=guess&logout=yes', 'text/plain'],
      ['{"xsrf":"guess","logout":"yes"}', 'application/json']
    ] as const) {
      const { status } = await visitor.request(confirm, {
        method: 'POST',
        body,
        headers: { 'content-type': type, origin: 'https://evil.example', 'sec-fetch-site': 'cross-site' }
      })
      t.ok(status >= 400 && status < 500, `${body}: ${status}`)
    }
    t.ok([404, 405].includes((await visitor.request(`${confirm}?logout=yes`)).status), 'nor by GET')
    t.ok(await isSignedIn(visitor))
    const attacker = await signIn()
    const ownForm = await attacker.visit(endSession({}))
    const xsrf = /name="xsrf" value="([^"]+)"/.exec(ownForm.text)?.[1] ?? ''
    await visitor.visit(endSession({}))
    const { status } = await visitor.request(confirm, {
      method: 'POST',
      body: new URLSearchParams({ xsrf, logout: 'yes' })
    })
    t.equal(status, 400, "an attacker's own mark")
    t.ok(await isSignedIn(visitor))
  })

  await t.test('SES-8: a request may also come as POST; it is the same question', async t => {
    const visitor = await signIn()
    const { id_token = '' } = await obtainTokens(service, { client, visitor })
    const page = await visitor.follow(
      await visitor.request(`${service.issuer}/session/end`, {
        method: 'POST',
        body: new URLSearchParams({ id_token_hint: id_token, post_logout_redirect_uri, state: '1\r\n2' }),
        headers: { origin: 'https://portal.example' }
      })
    )
    const back = callbackOf(await visitor.submit(page, 'sign-out-form', { logout: 'yes' }))
    t.equal(`${back.origin}${back.pathname}`, post_logout_redirect_uri)
    t.equal(back.searchParams.get('state'), '1\r\n2')
    const url = new URL(authorizationUrl(service, client, { prompt: 'none' }))
    const asked = await visitor.request(`${url.origin}${url.pathname}`, {
      method: 'POST',
      body: url.searchParams
    })
    t.equal(asked.status, 303)
    t.equal(callbackOf(await visitor.follow(asked)).searchParams.get('error'), 'login_required')
  })

  await t.test('SES-5: the session is over on every node at once: its cookie opens nothing', async t => {
    const visitor = await signIn()
    const stolen = visitor.cookies.get('session|/')?.value ?? ''
    const signature = visitor.cookies.get('session.sig|/')?.value ?? ''
    t.not(stolen, '')
    const cookie = `session=${stolen}; session.sig=${signature}`
    const url = authorizationUrl(service, client, { prompt: 'none' }).slice(service.issuer.length)
    const answers = async () =>
      await Promise.all(
        service.apps.map(async ({ http }) => {
          const { headers } = await http.inject({ url, headers: { cookie } })
          return new URL(String(headers.location)).searchParams.get('error')
        })
      )
    t.strictSame(await answers(), [null, null])
    await visitor.submit(await visitor.visit(endSession({})), 'sign-out-form', { logout: 'yes' })
    t.equal(visitor.cookie('session'), undefined, 'the browser is told to forget it')
    t.strictSame(await answers(), ['login_required', 'login_required'])
    t.equal(
      (await service.pool`select from sessions`).length,
      (await service.pool`select from sessions where account_id is not null`).length
    )
  })

  await t.test('SES-8: what was issued for the session ends with it; access while away stays', async t => {
    const visitor = await signIn()
    const other = await registerPortal(service, { client_name: 'Other' })
    const here = await obtainTokens(service, { client, visitor })
    const away = await obtainTokens(service, { client: other, visitor, params: offline })
    await visitor.submit(await visitor.visit(endSession({})), 'sign-out-form', { logout: 'yes' })
    t.equal((await refresh(service, client, here.refresh_token)).body.error, 'invalid_grant')
    t.equal((await userinfo(service, here.access_token)).status, 401)
    t.equal((await userinfo(service, away.access_token)).status, 200)
    const refreshed = await refresh(service, other, away.refresh_token)
    t.equal(refreshed.status, 200)
    t.equal((await refresh(service, other, refreshed.body.refresh_token)).status, 200)
  })

  await t.test('SES-8: what was agreed to is remembered after signing out', async t => {
    const visitor = await signIn()
    const app = clientOf(service, 'demo-web')
    const first = await visitor.visit(authorizationUrl(service, app, { scope: 'openid email' }))
    await visitor.submit(first, 'consent-form', { decision: 'allow' })
    await visitor.submit(await visitor.visit(endSession({})), 'sign-out-form', { logout: 'yes' })
    const page = await visitor.visit(authorizationUrl(service, app, { scope: 'openid email' }))
    t.match(page.text, 'id="sign-in-form"')
    const next = await visitor.submit(page, 'sign-in-form', { email, password })
    t.match(callbackOf(next).searchParams.get('code'), /.+/, 'straight back to the application')
  })

  await t.test(
    'SES-8: staying signed in leaves the session, and nobody signed in sees that it is done',
    async t => {
      const visitor = await signIn()
      const page = await visitor.visit(endSession({ client_id: client.client_id }))
      await visitor.submit(page, 'sign-out-form')
      t.ok(await isSignedIn(visitor))
      const nobody = await new Visitor().visit(
        endSession({ client_id: client.client_id, post_logout_redirect_uri })
      )
      t.equal(nobody.status, 200)
      t.match(nobody.text, /session\/end\/confirm/)
      t.match(nobody.headers.get('content-security-policy'), /form-action 'self' https:\/\/portal\.example/)
    }
  )
})
