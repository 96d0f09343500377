// A sign-in belongs to the browser that began it, and asks for what was asked when it began.
import t from 'tap'
import {
  authorizationUrl,
  callbackOf,
  createVerifier,
  obtainCode,
  redirectUriOf,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { password, startService, Visitor } from '../helpers/service.ts'
import { findForm } from '../helpers/visitor.ts'

t.test('a sign-in under way', async t => {
  const service = await startService(t)
  const client = await registerPortal(service)
  const email = 'ada@example.org'
  await signedInVisitor(service, client, { email })
  const begin = async (params = {}) => {
    const visitor = new Visitor()
    return { visitor, page: await visitor.visit(authorizationUrl(service, client, params)) }
  }
  const uidOf = (url: string) => /\/interaction\/([^/?]+)/.exec(url)?.[1] ?? ''

  await t.test('OID-19, SES-1: its address is of no use in another browser', async t => {
    const { page } = await begin()
    const uid = uidOf(page.url)
    for (const other of [new Visitor(), (await begin()).visitor])
      for (const step of ['', '/sign-in', '/sign-up', '/verify-email', '/consent']) {
        const { status, text } = await other.visit(`${service.issuer}/interaction/${uid}${step}`)
        t.equal(status, 400, step)
        t.match(text, 'This sign-in has ended')
        t.notMatch(text, '<form')
      }
  })

  await t.test('OID-19, SES-1: its form cannot be posted from another browser', async t => {
    const { page } = await begin()
    const { action } = findForm(page, 'sign-in-form')
    const other = await begin()
    const fields = findForm(other.page, 'sign-in-form').fields
    for (const target of [
      action,
      action.replace('sign-in', 'consent'),
      action.replace('sign-in', 'cancel')
    ]) {
      const { status, headers } = await other.visitor.request(target, {
        method: 'POST',
        body: new URLSearchParams({ ...fields, email, password, decision: 'allow' })
      })
      t.equal(status, 400, target)
      t.equal(headers.get('location'), null)
    }
  })

  await t.test('OID-19: it cannot be ended elsewhere either', async t => {
    const { visitor, page } = await begin()
    const signedIn = await visitor.post(page, 'sign-in-form', { email, password })
    const done = await visitor.request(signedIn.location ?? '')
    t.equal(done.status, 303)
    const resume = `${service.issuer}/auth/${uidOf(page.url)}`
    t.equal(done.location, resume)
    const stolen = await new Visitor().request(resume)
    t.equal(stolen.status, 400)
    t.equal(stolen.location, null)
    t.match(callbackOf(await visitor.follow(done)).searchParams.get('code'), /.+/, 'its own browser can')
    t.equal((await visitor.request(resume)).status, 400, 'once')
  })

  await t.test('OID-19: two tabs of one browser do not disturb each other', async t => {
    const visitor = new Visitor()
    const first = await visitor.visit(authorizationUrl(service, client, { state: 'first' }))
    const second = await visitor.visit(authorizationUrl(service, client, { state: 'second' }))
    const back = await visitor.submit(first, 'sign-in-form', { email, password })
    t.equal(callbackOf(back).searchParams.get('state'), 'first')
    // The second tab's page was made before anybody was signed in here, and still leads on.
    const late = await visitor.submit(second, 'sign-in-form', { email, password })
    t.equal(callbackOf(late).searchParams.get('state'), 'second')
    t.match(callbackOf(late).searchParams.get('code'), /.+/)
  })

  await t.test(
    'OID-19: a cookie of the sign-in with another uid, or a changed one, opens nothing',
    async t => {
      const { visitor, page } = await begin()
      const other = await begin()
      for (const [key, cookie] of visitor.cookies)
        if (key.startsWith('interaction|'))
          visitor.cookies.set(key, { ...cookie, value: uidOf(other.page.url) })
      t.equal((await visitor.request(page.url)).status, 400, 'the signature does not fit')
      // A true cookie of the attacker's own sign-in, sent to the address of somebody else's.
      const attacker = await begin()
      for (const name of ['interaction', 'interaction.sig', 'resume', 'resume.sig'])
        attacker.visitor.cookies.set(`${name}|/`, { value: attacker.visitor.cookie(name) ?? '', path: '/' })
      t.equal((await attacker.visitor.request(attacker.page.url)).status, 200)
      t.equal((await attacker.visitor.request(other.page.url)).status, 400, "another sign-in's cookie")
      const planted = new Visitor()
      planted.cookies.set('interaction|x', { value: uidOf(other.page.url), path: '/' })
      t.equal((await planted.request(other.page.url)).status, 400, 'without a signature')
    }
  )

  await t.test('OID-5: what was asked at the beginning cannot be changed on the way', async t => {
    const { visitor, page } = await begin({ state: 'mine' })
    const done = await visitor.post(page, 'sign-in-form', { email, password })
    const url = new URL(done.location ?? '')
    for (const [name, value] of Object.entries({
      response_type: 'id_token token',
      response_mode: 'fragment',
      redirect_uri: 'https://evil.example/',
      scope: 'openid email profile',
      state: 'theirs',
      client_id: 'demo-web',
      code_challenge: createVerifier().challenge
    }))
      url.searchParams.set(name, value)
    const callback = callbackOf(await visitor.visit(url.href))
    t.ok(callback.href.startsWith(redirectUriOf(client)))
    t.equal(callback.hash, '')
    t.equal(callback.searchParams.get('state'), 'mine')
    t.match(callback.searchParams.get('code'), /.+/)
    t.equal(callback.searchParams.get('access_token'), null)
  })

  await t.test('OID-5: only the code flow exists', async t => {
    const visitor = new Visitor()
    for (const response_type of [
      'token',
      'id_token',
      'id_token token',
      'code id_token',
      'code token',
      'none',
      'x'
    ])
      for (const response_mode of [undefined, 'query', 'fragment', 'form_post']) {
        const { location, text } = await visitor.visit(
          authorizationUrl(service, client, { response_type, response_mode, nonce: 'n' })
        )
        t.match(
          location ?? text,
          /unsupported_response_type|invalid_request|unauthorized_client/,
          response_type
        )
        t.notMatch(location ?? '', /(access|id)_token=|[?#&]code=/)
      }
  })

  await t.test('OID-6: every answer names the issuer, good or bad, in each mode', async t => {
    const visitor = await signedInVisitor(service, client, { email: 'grace@example.org' })
    const { issuer } = (await (await fetch(`${service.issuer}/.well-known/openid-configuration`)).json()) as {
      issuer: string
    }
    t.equal(issuer, service.issuer)
    const good = await obtainCode(service, { client, visitor })
    t.equal(good.callback.searchParams.get('iss'), issuer)
    const fragment = callbackOf(
      await visitor.visit(authorizationUrl(service, client, { response_mode: 'fragment' }))
    )
    t.equal(new URLSearchParams(fragment.hash.slice(1)).get('iss'), issuer)
    for (const fault of [
      { scope: 'openid', prompt: 'none', max_age: '0' },
      { response_type: 'token' },
      { prompt: 'none x' }
    ]) {
      const { searchParams, hash } = callbackOf(
        await new Visitor().visit(authorizationUrl(service, client, fault))
      )
      t.equal(searchParams.get('iss') ?? new URLSearchParams(hash.slice(1)).get('iss'), issuer)
    }
    for (const fault of [{}, { prompt: 'none', max_age: '0' }]) {
      service.advance(1)
      const page = await visitor.visit(
        authorizationUrl(service, client, { response_mode: 'form_post', ...fault })
      )
      t.match(page.text, `<input type="hidden" name="iss" value="${issuer}"/>`)
      t.match(page.text, 'name="state" value="state-1"')
      t.match(page.text, `action="${redirectUriOf(client)}"`)
      t.match(page.headers.get('content-security-policy'), /form-action 'self' https:\/\/portal\.example;/)
      t.match(page.text, /<noscript>[\s\S]*<button/, 'also without script')
    }
  })
})
