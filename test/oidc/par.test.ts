// Pushed authorization requests (RFC 9126), with openid-client and in the raw; fapi.test.ts has those of FAPI's clients.
import t from 'tap'
import { protocolRetention } from '../../src/oidc/retention-service.ts'
import { agree, createApplication, openid } from '../helpers/application.ts'
import {
  authorizationUrl,
  callbackOf,
  clientOf,
  type Fields,
  get,
  post,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { password, startService, Visitor } from '../helpers/service.ts'
import type { Answer } from '../helpers/visitor.ts'

t.test('pushed authorization requests', async t => {
  const service = await startService(t, { nodes: 2 })
  const portal = await registerPortal(service)
  const other = await registerPortal(service, { client_name: 'Other' })
  const strict = await registerPortal(service, {
    client_name: 'Strict',
    require_pushed_authorization_requests: true
  })
  const visitor = await signedInVisitor(service, portal)
  const paramsOf = (client = portal, over: Fields = {}) =>
    new URL(authorizationUrl(service, client, over)).searchParams
  const push = async (client = portal, over: Fields = {}) =>
    await post(service, '/par', paramsOf(client, over), { client })
  const use = async (requestUri: unknown, client = portal, extra = '') =>
    await visitor.request(
      `${service.issuer}/auth?client_id=${client.client_id}&request_uri=${requestUri}${extra}`
    )
  const codeOf = ({ location }: { location: string | null }) =>
    location === null ? null : new URL(location).searchParams.get('code')

  await t.test('§2: openid-client pushes, and the browser carries the reference alone', async t => {
    const { config, redirectUri } = await createApplication(service, portal)
    t.equal(config.serverMetadata().pushed_authorization_request_endpoint, `${service.issuer}/par`)
    const pkceCodeVerifier = openid.randomPKCECodeVerifier()
    const url = await openid.buildAuthorizationUrlWithPAR(config, {
      redirect_uri: redirectUri,
      scope: 'openid',
      code_challenge: await openid.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256'
    })
    t.strictSame([...url.searchParams.keys()].sort(), ['client_id', 'request_uri'])
    const { location } = await agree(visitor, await visitor.visit(url.href))
    const tokens = await openid.authorizationCodeGrant(config, new URL(location ?? ''), { pkceCodeVerifier })
    t.ok(tokens.access_token)
  })

  await t.test('§2.1: only the client itself pushes, with everything right at once', async t => {
    const pushed = await push()
    t.match(pushed, {
      status: 201,
      body: { expires_in: Number, request_uri: /^urn:ietf:params:oauth:request_uri:/ }
    })
    t.ok((pushed.body.expires_in as number) <= 90)
    t.match(pushed.headers.get('cache-control'), 'no-store')
    const anonymous = await post(service, '/par', paramsOf())
    t.match(anonymous, { status: 401, body: { error: 'invalid_client' } })
    const wrong = { ...portal, client_secret: `${portal.client_secret}x` }
    t.equal((await push(wrong)).status, 401)
    t.equal(
      (await post(service, '/par', paramsOf(other), { client: portal })).status,
      400,
      'for another client'
    )
    for (const over of [
      { redirect_uri: 'https://evil.example/' },
      { response_type: 'token' },
      { code_challenge_method: 'plain' },
      { request_uri: String(pushed.body.request_uri) },
      { scope: 'openid x"y' },
      { prompt: 'none login' }
    ])
      t.equal((await push(portal, over)).status, 400, JSON.stringify(over))
    t.equal((await get(service, '/par')).status, 404)
  })

  await t.test('OID-12: a reference is good once', async t => {
    const { request_uri } = (await push()).body
    t.not(codeOf(await use(request_uri)), null)
    t.match(await use(request_uri), { status: 400, text: /invalid_request_uri/ })
  })

  await t.test('OID-12: it is its client’s, and nobody guesses one', async t => {
    const { request_uri = '' } = (await push()).body
    t.equal((await use(request_uri, other)).status, 400)
    t.equal((await use(`${request_uri.slice(0, -1)}${request_uri.endsWith('A') ? 'B' : 'A'}`)).status, 400)
    t.equal((await use('urn:ietf:params:oauth:request_uri:')).status, 400)
    t.equal((await use('urn:example:other')).status, 400)
    t.not(codeOf(await use(request_uri)), null, 'none of that used it up')
  })

  await t.test('OID-12: it ends after a minute, at the sign-in page as well', async t => {
    const { request_uri } = (await push()).body
    service.advance(61)
    t.match(await use(request_uri), { status: 400, text: /invalid_request/ })
  })

  await t.test('OID-12: of two tabs that began with it, however slowly, one ends with a code', async t => {
    const { request_uri } = (await push()).body
    const url = `${service.issuer}/auth?client_id=${portal.client_id}&request_uri=${request_uri}`
    const tabs = [new Visitor(), new Visitor()]
    const pages = await Promise.all(tabs.map(tab => tab.visit(url)))
    service.advance(300)
    for (const { deleteExpired } of protocolRetention) await deleteExpired(service.pool, new Date(), 1000)
    const answers = []
    for (const [index, tab] of tabs.entries())
      answers.push(
        await tab.submit(pages[index] as Answer, 'sign-in-form', { email: 'ada@example.org', password })
      )
    t.strictSame(
      answers.map(answer => codeOf(answer) !== null),
      [true, false]
    )
    t.match(answers[1]?.text, 'invalid_request_uri')
  })

  await t.test('§4: what stands in the address beside it changes nothing', async t => {
    const { request_uri } = (await push(portal, { state: 'pushed', scope: 'openid' })).body
    const extra =
      '&state=other&scope=openid%20email&redirect_uri=https://evil.example/&response_mode=fragment&prompt=login'
    const callback = callbackOf(await use(request_uri, portal, extra))
    t.equal(callback.origin, 'https://portal.example')
    t.equal(callback.searchParams.get('state'), 'pushed')
    t.ok(callback.searchParams.has('code'))
  })

  await t.test('§6: a client that must push cannot do without', async t => {
    t.match(
      callbackOf(await visitor.request(authorizationUrl(service, strict))).searchParams.get('error'),
      'invalid_request'
    )
    t.not(codeOf(await use((await push(strict)).body.request_uri, strict)), null)
  })

  await t.test(
    'a public client pushes too, and a person who is not signed in signs in on the way',
    async t => {
      const native = clientOf(service, 'demo-native')
      const pushed = await push(native)
      t.equal(pushed.status, 201)
      const page = await new Visitor().visit(
        `${service.issuer}/auth?client_id=${native.client_id}&request_uri=${pushed.body.request_uri}`
      )
      t.match(page.text, 'id="sign-in-form"')
    }
  )
})
