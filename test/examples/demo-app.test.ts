// The demo application against the bare protocol library: whatever provider it talks to is outside of it.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import Provider from 'oidc-provider'
import t, { type Test } from 'tap'
import { startDemoApp } from '../../examples/demo-app/app.ts'
import { createPrivateJwk } from '../../src/keys/model.ts'

const client = { client_id: 'demo-web', client_secret: 'a-secret-of-the-demo-application' }

/** A provider that signs everybody in as one person without a page; `refuse` makes it answer access_denied. */
async function startProvider(t: Test) {
  // What the library says about its defaults is no news here.
  t.capture(console, 'info')
  t.capture(console, 'warn')
  const behaviour = { refuse: false }
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, 'localhost', resolve))
  const issuer = `http://localhost:${(server.address() as AddressInfo).port}`
  t.teardown(() => void server.close().closeAllConnections())
  const start = async (appUrl: string) => {
    const provider = new Provider(issuer, {
      clients: [
        {
          ...client,
          redirect_uris: [`${appUrl}/callback`],
          post_logout_redirect_uris: [`${appUrl}/`],
          grant_types: ['authorization_code', 'refresh_token']
        }
      ],
      clientDefaults: { id_token_signed_response_alg: 'ES256' },
      jwks: { keys: [(await createPrivateJwk('ES256')) as never] },
      cookies: { keys: ['test'] },
      claims: { openid: ['sub'], profile: ['name'], email: ['email'] },
      features: { devInteractions: { enabled: false } },
      findAccount: (_, sub) => ({
        accountId: sub,
        claims: () => ({ sub, name: '<b>Ada</b> & "Co"', email: 'ada@example.org' })
      })
    })
    const callback = provider.callback()
    server.on('request', async (request, response) => {
      if (!request.url?.startsWith('/interaction/')) return void callback(request, response)
      const { params, prompt } = await provider.interactionDetails(request, response)
      const grant = new provider.Grant({ accountId: 'ada', clientId: String(params.client_id) })
      grant.addOIDCScope('openid profile email offline_access')
      const result = behaviour.refuse
        ? { error: 'access_denied', error_description: 'End-User said no' }
        : prompt.name === 'login'
          ? { login: { accountId: 'ada' } }
          : { consent: { grantId: await grant.save() } }
      await provider.interactionFinished(request, response, result)
    })
  }
  return { issuer, behaviour, start, server }
}

/** Follows redirects as a browser does, with cookies by port (a test's servers share the host's name). */
function createBrowser() {
  const jars = new Map<string, Map<string, string>>()
  const step = async (url: URL, init: RequestInit) => {
    const jar = jars.get(url.origin) ?? new Map<string, string>()
    jars.set(url.origin, jar)
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join('; ')
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } })
    for (const line of response.headers.getSetCookie()) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') jar.delete(name)
      else jar.set(name, value)
    }
    return response
  }
  const visit = async (from: string, init: RequestInit = {}) => {
    let url = new URL(from)
    let response = await step(url, init)
    const visited = [url.href]
    for (let hops = 0; hops < 15; hops += 1) {
      const location = response.headers.get('location')
      if (location === null) break
      url = new URL(location, url)
      visited.push(url.href)
      response = await step(url, {})
    }
    return {
      status: response.status,
      headers: response.headers,
      text: await response.text(),
      url: url.href,
      visited
    }
  }
  return { visit, jars }
}

async function start(t: Test) {
  const provider = await startProvider(t)
  const app = await startDemoApp({ issuer: provider.issuer, client, port: 0 })
  t.teardown(() => app.close())
  await provider.start(app.url)
  return { app, provider, browser: createBrowser() }
}

t.test('a person signs in, sees the claims, refreshes, and signs out', async t => {
  const { app, browser } = await start(t)
  const before = await browser.visit(app.url)
  t.match(before.text, /href="\/sign-in"/)

  const signedIn = await browser.visit(`${app.url}/sign-in`)
  t.equal(signedIn.url, `${app.url}/`)
  t.match(signedIn.text, 'Hello, &lt;b&gt;Ada&lt;/b&gt; &amp; &quot;Co&quot;')
  t.match(signedIn.text, /<th scope="row">sub<\/th><td>ada<\/td>/)
  t.match(signedIn.text, 'ada@example.org')
  const withoutNonce = signedIn.text.replace(/nonce<\/th><td>[\w-]+/, '')
  t.notMatch(withoutNonce, /[A-Za-z0-9_-]{40}/, 'no whole token')
  t.notMatch(signedIn.text, client.client_secret)

  const authorization = new URL(signedIn.visited.find(url => url.includes('code_challenge')) ?? '')
  t.equal(authorization.searchParams.get('code_challenge_method'), 'S256')
  t.ok(authorization.searchParams.get('state'))
  t.ok(authorization.searchParams.get('nonce'))

  const refreshed = await browser.visit(`${app.url}/refresh`, { method: 'POST' })
  t.match(refreshed.text, /id="refreshed"/)

  const out = await browser.visit(`${app.url}/sign-out`, { method: 'POST' })
  t.match(out.visited[1], /id_token_hint=ey/)
  t.equal(browser.jars.get(app.url)?.size, 0, 'the cookie is gone')
  t.match((await browser.visit(app.url)).text, /href="\/sign-in"/)
})

t.test('the session cookie is HttpOnly and SameSite=Lax, and changes at the sign-in', async t => {
  const { app, browser } = await start(t)
  const first = await fetch(`${app.url}/sign-in`, { redirect: 'manual' })
  t.match(first.headers.get('set-cookie'), /^demo_session=[\w-]{43}; Path=\/; HttpOnly; SameSite=Lax$/)

  const jar = new Map([['demo_session', /=([^;]+)/.exec(first.headers.get('set-cookie') ?? '')?.[1] ?? '']])
  browser.jars.set(app.url, jar)
  const planted = jar.get('demo_session')
  await browser.visit(`${app.url}/sign-in`)
  t.not(jar.get('demo_session'), planted)
  const stolen = await fetch(app.url, { headers: { cookie: `demo_session=${planted}` } })
  t.match(await stolen.text(), /href="\/sign-in"/, 'the id from before is worth nothing')
})

t.test('what the provider refuses is said in words, with a way on', async t => {
  const { app, provider, browser } = await start(t)
  provider.behaviour.refuse = true
  const { status, text } = await browser.visit(`${app.url}/sign-in`)
  t.equal(status, 400)
  t.match(text, 'You are not signed in')
  t.match(text, 'End-User said no')
  t.match(text, /id="try-again" href="\/sign-in"/)
  t.match(text, /id="start" href="\/"/)
})

t.test(
  'a callback that this browser did not begin is refused; a repeated one lands on the start page',
  async t => {
    const { app, browser } = await start(t)
    const stranger = await browser.visit(`${app.url}/callback?code=x&state=y`)
    t.match(stranger, { status: 400, text: /was not begun here/ })

    const { visited } = await browser.visit(`${app.url}/sign-in`)
    const callback = visited.find(url => url.includes('/callback?')) ?? ''
    t.match(await browser.visit(callback), { status: 200, text: /Hello/ }, 'a reload')
    t.match(await createBrowser().visit(callback), { status: 400 }, 'another browser')
  }
)

t.test('a code that came with another state, or was changed, signs nobody in', async t => {
  const { app, browser } = await start(t)
  const begin = await fetch(`${app.url}/sign-in`, { redirect: 'manual' })
  const cookie = /^[^;]+/.exec(begin.headers.get('set-cookie') ?? '')?.[0] ?? ''
  const state = new URL(begin.headers.get('location') ?? '').searchParams.get('state')
  const changed = await fetch(`${app.url}/callback?code=guess&state=${state}`, { headers: { cookie } })
  t.equal(changed.status, 502, 'no iss: the response may be of another provider (RFC 9207)')
  t.match((await browser.visit(app.url)).text, /href="\/sign-in"/)
})

t.test('a provider that does not answer is named, and found once it is up', async t => {
  const { issuer, server, start } = await startProvider(t)
  const { port } = server.address() as AddressInfo
  const app = await startDemoApp({ issuer, client, port: 0 })
  t.teardown(() => app.close())
  await start(app.url)
  await new Promise(resolve => server.close(resolve).closeAllConnections())

  const response = await fetch(`${app.url}/sign-in`)
  t.equal(response.status, 502)
  t.match(await response.text(), `Nothing answers at ${issuer}`)

  await new Promise<void>(resolve => server.listen(port, 'localhost', resolve))
  t.match(await createBrowser().visit(`${app.url}/sign-in`), { status: 200, text: /Hello/ })
})

t.test('pages carry a policy, and odd requests are answered', async t => {
  const { app, provider } = await start(t)
  const home = await fetch(app.url)
  t.match(home.headers.get('content-security-policy'), `form-action 'self' ${provider.issuer};`)
  t.equal((await fetch(`${app.url}/demo.css`)).headers.get('content-type'), 'text/css; charset=utf-8')
  t.equal((await fetch(`${app.url}//elsewhere`)).status, 404)
  t.equal((await fetch(`${app.url}/refresh`)).status, 404)
  t.equal(
    (await fetch(`${app.url}/sign-out`, { method: 'POST', headers: { origin: provider.issuer } })).status,
    403
  )
})
