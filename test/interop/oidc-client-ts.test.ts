// A single-page application on oidc-client-ts in a real browser, at an origin of its own: signs in, renews in silence by
// refresh token and by a frame, in three tabs at once, and signs out.
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { resolve } from 'node:path'
import t, { type Test } from 'tap'
import { createApplication, newcomer } from '../helpers/application.ts'
import { openBrowser } from '../helpers/browser.ts'
import { openPerson, type Person, type Tab } from '../helpers/person.ts'
import { get, post } from '../helpers/protocol.ts'
import { password, type Service, startService } from '../helpers/service.ts'

const read = (path: string) => readFileSync(resolve(import.meta.dirname, path), 'utf8')
const files: Record<string, { type: string; text: string }> = {
  '/oidc-client-ts.js': {
    type: 'text/javascript',
    text: read('../../node_modules/oidc-client-ts/dist/browser/oidc-client-ts.js')
  },
  '/app.js': { type: 'text/javascript', text: read('single-page/app.js') }
}
const page = { type: 'text/html', text: read('single-page/index.html') }

type Options = {
  /** 127.0.0.1 is another site than the issuer's localhost; another port of localhost is the same site. */
  host: 'localhost' | '127.0.0.1'
  refreshTokens: boolean
}

/** Serves the application and registers it. */
async function startSinglePage(t: Test, service: Service, { host, refreshTokens }: Options) {
  let settings = {}
  const server = createServer(({ url = '/' }, answer) => {
    const { pathname } = new URL(url, 'http://localhost')
    const { type, text } =
      pathname === '/settings.json'
        ? { type: 'application/json', text: JSON.stringify(settings) }
        : (files[pathname] ?? page)
    answer.writeHead(200, { 'content-type': `${type}; charset=utf-8` }).end(text)
  })
  await new Promise<void>(listening => server.listen(0, '127.0.0.1', listening))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  const origin = `http://${host}:${(server.address() as AddressInfo).port}`
  const client = await service.register({
    client_name: 'Single page',
    token_endpoint_auth_method: 'none',
    redirect_uris: [`${origin}/callback`, `${origin}/silent`],
    post_logout_redirect_uris: [`${origin}/`],
    grant_types: ['authorization_code', ...(refreshTokens ? ['refresh_token'] : [])]
  })
  settings = { authority: service.issuer, client_id: client.client_id, scope: 'openid profile email' }
  return { origin, client }
}

type User = {
  access_token: string
  refresh_token?: string
  id_token: string
  profile: Record<string, unknown>
}
type Renewed = User | { error: string }

const call = async <Result>(tab: Tab, what: 'renew' | 'user' | 'userinfo' | 'revoke'): Promise<Result> =>
  await tab.evaluate<Result>(`application.${what}()`)
const renew = async (tab: Tab): Promise<User> => {
  const renewed = await call<Renewed>(tab, 'renew')
  if ('error' in renewed) throw new Error(renewed.error)
  return renewed
}
const who = async (tab: Tab, name: string) =>
  await tab.locator('#who', { hasText: new RegExp(`^${name}$`) }).waitFor()

t.test('oidc-client-ts in a single-page application', async t => {
  const service = await startService(t)
  const browser = await openBrowser(t)
  await newcomer(service, await createApplication(service), { email: 'ada@example.org' })

  const signIn = async ({ tab }: Person, origin: string): Promise<void> => {
    await tab.goto(origin)
    await who(tab, 'nobody')
    await tab.click('#sign-in')
    await tab.fill('#email', 'ada@example.org')
    await tab.fill('#password', password)
    await tab.click('#sign-in')
    await tab.click('#allow')
    await who(tab, 'Ada Lovelace')
  }
  const open = async (t: Test, options: Options) => {
    const { origin, client } = await startSinglePage(t, service, options)
    const person = await openPerson(t, browser, { expected: [400] })
    await signIn(person, origin)
    return { origin, client, person, tab: person.tab }
  }

  await t.test(
    'signs in, asks userinfo across origins, renews by refresh token, revokes, signs out',
    async t => {
      const { origin, person, tab } = await open(t, { host: 'localhost', refreshTokens: true })
      const before = await call<User>(tab, 'user')
      t.match(before.profile, { iss: service.issuer, email: 'ada@example.org' })
      t.match(await call(tab, 'userinfo'), { status: 200, body: { sub: before.profile.sub } })

      const after = await renew(tab)
      t.not(after.access_token, before.access_token)
      t.not(after.refresh_token, before.refresh_token)
      t.match(await call(tab, 'userinfo'), { status: 200 })

      await call(tab, 'revoke')
      t.equal(
        (await get(service, '/userinfo', { authorization: `Bearer ${after.access_token}` })).status,
        401
      )
      await tab.click('#sign-out')
      await tab.locator('h1', { hasText: 'Sign out?' }).waitFor()
      await tab.click('#sign-out')
      await tab.waitForURL(`${origin}/`)
      await who(tab, 'nobody')
      t.strictSame(person.faults, [])
    }
  )

  await t.test('renews by a frame with prompt=none for as long as the person is signed in', async t => {
    const { person, tab } = await open(t, { host: 'localhost', refreshTokens: false })
    const before = await call<User>(tab, 'user')
    t.equal(before.refresh_token, undefined)
    const after = await renew(tab)
    t.not(after.access_token, before.access_token)
    t.equal(after.profile.sub, before.profile.sub)
    t.match(await call(tab, 'userinfo'), { status: 200 })

    await person.context.clearCookies()
    t.strictSame(await call(tab, 'renew'), { error: 'login_required' })
    t.strictSame(person.faults, [])
  })

  await t.test('at another site the frame has no session, and refresh tokens are the way', async t => {
    const framed = await open(t, { host: '127.0.0.1', refreshTokens: false })
    t.strictSame(await call(framed.tab, 'renew'), { error: 'login_required' })
    const { tab } = await open(t, { host: '127.0.0.1', refreshTokens: true })
    await renew(tab)
    t.match(await call(tab, 'userinfo'), { status: 200 })
  })

  await t.test('OID-7: three tabs refresh at the same moment, and nobody is signed out', async t => {
    const { origin, client, person } = await open(t, { host: 'localhost', refreshTokens: true })
    const { context } = person
    const tabs = [person.tab, await context.newPage(), await context.newPage()]
    for (const tab of tabs.slice(1)) {
      await tab.goto(origin)
      await who(tab, 'Ada Lovelace')
    }
    const before = await call<User>(person.tab, 'user')
    const sent = await whileHeld(person, tabs.length, async () => {
      const renewed = await Promise.all(tabs.map(renew))
      t.equal(new Set(renewed.map(({ refresh_token }) => refresh_token)).size, 1, 'one successor')
    })
    t.strictSame(sent, Array(3).fill(before.refresh_token), 'all three sent the same')
    for (const tab of tabs) {
      t.match(await call(tab, 'userinfo'), { status: 200 })
      t.not((await renew(tab)).refresh_token, before.refresh_token, 'and each can go on')
    }

    const { refresh_token } = await call<User>(person.tab, 'user')
    t.equal((await post(service, '/revoke', { token: refresh_token }, { client })).status, 200)
    for (const tab of tabs)
      t.strictSame(await call(tab, 'renew'), { error: 'invalid_grant' }, 'revoked for every tab')
    await person.tab.click('#sign-in')
    await person.tab.waitForURL(`${origin}/`)
    for (const tab of tabs) t.ok((await renew(tab)).access_token, 'one of them signs in anew, for all')
    t.strictSame(person.faults, [])
  })
})

/** Lets nothing through to the token endpoint before `count` requests have come; answers with their refresh tokens. */
async function whileHeld({ context }: Person, count: number, work: () => Promise<void>) {
  const sent: (string | null)[] = []
  let release = () => {}
  const all = new Promise<void>(resolve => {
    release = resolve
  })
  await context.route('**/token', async route => {
    sent.push(new URLSearchParams(route.request().postData() ?? '').get('refresh_token'))
    if (sent.length === count) release()
    await all
    await route.continue()
  })
  await work()
  await context.unroute('**/token')
  return sent
}
