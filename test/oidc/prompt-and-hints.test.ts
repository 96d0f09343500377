// Parameters that steer a sign-in: none of them signs anybody in, or tells who somebody is (OpenID Connect Core 1.0 §3.1.2.1).
import t from 'tap'
import {
  authorizationUrl,
  callbackOf,
  type Fields,
  obtainTokens,
  readJwt,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { password, startService, Visitor } from '../helpers/service.ts'

t.test('prompts and hints', async t => {
  const service = await startService(t)
  const client = await registerPortal(service)
  const ada = await signedInVisitor(service, client, { email: 'ada@example.org' })
  const grace = await signedInVisitor(service, client, { email: 'grace@example.org', name: 'Grace' })
  const tokensOf = async (visitor: Visitor, params: Fields = {}) =>
    await obtainTokens(service, { client, visitor, params })
  const idTokens = { ada: (await tokensOf(ada)).id_token, grace: (await tokensOf(grace)).id_token }
  const subOf = (jwt: string | undefined) => String(readJwt(jwt).payload.sub)

  const silently = async (visitor: Visitor, params: Fields = {}) =>
    callbackOf(await visitor.visit(authorizationUrl(service, client, { prompt: 'none', ...params })))
      .searchParams
  const isSignInPage = ({ text }: { text: string }) => text.includes('id="sign-in-form"')

  await t.test(
    'OID-18: prompt=none answers at once: with a code in a session, else with login_required',
    async t => {
      const inSession = await silently(ada)
      t.match(inSession.get('code'), /.+/)
      const nobody = await silently(new Visitor())
      t.equal(nobody.get('error'), 'login_required')
      t.equal(nobody.get('code'), null)
      t.equal(nobody.get('iss'), service.issuer)
      t.equal(nobody.get('state'), 'state-1')
      const consentMissing = await service.register({
        client_name: 'New here',
        redirect_uris: ['https://new.example/callback']
      })
      const asked = callbackOf(
        await ada.visit(authorizationUrl(service, consentMissing, { prompt: 'none' }))
      ).searchParams
      t.equal(asked.get('error'), 'consent_required')
      t.equal((await silently(ada, { prompt: 'none login' })).get('error'), 'invalid_request')
    }
  )

  await t.test("OID-18: another person's id_token_hint with prompt=none gives neither's code", async t => {
    t.equal((await silently(ada, { id_token_hint: idTokens.grace })).get('error'), 'login_required')
    t.equal((await silently(ada, { id_token_hint: idTokens.grace })).get('code'), null)
    t.match((await silently(ada, { id_token_hint: idTokens.ada })).get('code'), /.+/)
    t.equal((await silently(new Visitor(), { id_token_hint: idTokens.ada })).get('error'), 'login_required')
  })

  await t.test("OID-18: with another person's id_token_hint the page asks who it is", async t => {
    const page = await ada.visit(authorizationUrl(service, client, { id_token_hint: idTokens.grace }))
    t.ok(isSignInPage(page))
    t.notMatch(page.text, 'Grace', 'and tells nothing of whom the hint names')
    t.notMatch(page.text, 'grace@example.org')
  })

  await t.test('OID-18: a hint that was tampered with, or is another application’s, is refused', async t => {
    const [header = '', , signature = ''] = (idTokens.grace ?? '').split('.')
    const claims = { ...readJwt(idTokens.ada).payload, sub: subOf(idTokens.grace), forged: true }
    const forged = Buffer.from(JSON.stringify(claims)).toString('base64url')
    for (const hint of [
      'x',
      'x.y.z',
      `${header}.${forged}.${signature}`,
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${forged}.`
    ])
      t.equal(
        (await silently(ada, { id_token_hint: hint })).get('error'),
        'invalid_request',
        hint.slice(0, 20)
      )
    const other = await registerPortal(service, { client_name: 'Other' })
    const foreign = callbackOf(
      await ada.visit(authorizationUrl(service, other, { prompt: 'none', id_token_hint: idTokens.ada }))
    ).searchParams
    t.equal(foreign.get('code'), null)
  })

  await t.test('OID-18: login_hint fills in a field and signs nobody in', async t => {
    const hint = 'grace@example.org'
    const fresh = await new Visitor().visit(authorizationUrl(service, client, { login_hint: hint }))
    t.ok(isSignInPage(fresh))
    t.match(fresh.text, `value="${hint}"`)
    t.equal((await silently(new Visitor(), { login_hint: hint })).get('error'), 'login_required')
    const markup = await new Visitor().visit(
      authorizationUrl(service, client, { login_hint: '"><script>alert(1)</script>' })
    )
    t.notMatch(markup.text, '<script>alert')
    t.equal(subOf((await tokensOf(ada, { login_hint: hint })).id_token), subOf(idTokens.ada))
  })

  await t.test('OID-18: max_age asks for the password again when the sign-in is older', async t => {
    service.advance(120)
    t.equal((await silently(ada, { max_age: '60' })).get('error'), 'login_required')
    t.match((await silently(ada, { max_age: '600' })).get('code'), /.+/)
    t.equal((await silently(ada, { max_age: '0' })).get('error'), 'login_required')
    for (const nonsense of ['-1', 'x', '1.5'])
      t.equal((await silently(ada, { max_age: nonsense })).get('error'), 'invalid_request', nonsense)
    t.ok(isSignInPage(await ada.visit(authorizationUrl(service, client, { max_age: '0' }))))
    t.ok(isSignInPage(await ada.visit(authorizationUrl(service, client, { prompt: 'login' }))))
  })

  await t.test('OID-18: after max_age=0 the ID token tells the new sign-in, not the old one', async t => {
    const before = Number(readJwt((await tokensOf(ada)).id_token).payload.auth_time ?? 0)
    service.advance(5)
    const url = authorizationUrl(service, client, { max_age: '0' })
    const back = await ada.submit(await ada.visit(url), 'sign-in-form', {
      email: 'ada@example.org',
      password
    })
    t.match(callbackOf(back).searchParams.get('code'), /.+/, 'and does not go round in circles')
    const after = Number(readJwt((await tokensOf(ada, { max_age: '1000' })).id_token).payload.auth_time ?? 0)
    t.ok(after >= before + 5, `${before} → ${after}`)
  })

  await t.test(
    'OID-18: who signs in as somebody else gets their own tokens, and the session before is over',
    async t => {
      const shared = await signedInVisitor(service, client, { email: 'joan@example.org', name: 'Joan' })
      const planted = shared.cookie('session')
      const page = await shared.visit(authorizationUrl(service, client, { prompt: 'login' }))
      const switched = await shared.submit(page, 'sign-in-form', { email: 'grace@example.org', password })
      // Somebody else was signed in here: that session is ended first, by a form that sends itself.
      t.match(switched.text, /<form method="post" action="[^"]+\/session\/end\/confirm"/)
      const policy = switched.headers.get('content-security-policy') ?? ''
      t.match(policy, /form-action 'self' https:\/\/portal\.example/, 'Chrome follows it to the application')
      const fields = Object.fromEntries(
        [...switched.text.matchAll(/name="([^"]+)" value="([^"]*)"/g)].map(([, name, value]) => [name, value])
      )
      const back = await shared.follow(
        await shared.request(`${service.issuer}/session/end/confirm`, {
          method: 'POST',
          body: new URLSearchParams(fields)
        })
      )
      t.match(callbackOf(back).searchParams.get('code'), /.+/)
      t.equal(subOf((await tokensOf(shared)).id_token), subOf(idTokens.grace))
      t.not(shared.cookie('session'), planted)
    }
  )
})
