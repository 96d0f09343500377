// Where people may be sent back to: exactly the registered places (RFC 9700 §2.1, RFC 8252 §7.3).
import t from 'tap'
import { authorizationUrl, get, post } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const registered = 'https://app.example/cb/Path?tenant=one&x=a%2Fb'

// OID-1: every part of the URI counts, and so does its spelling.
const mutations = [
  'http://app.example/cb/Path?tenant=one&x=a%2Fb',
  'HTTPS://app.example/cb/Path?tenant=one&x=a%2Fb',
  'https://APP.example/cb/Path?tenant=one&x=a%2Fb',
  'https://app.example:443/cb/Path?tenant=one&x=a%2Fb',
  'https://app.example:8443/cb/Path?tenant=one&x=a%2Fb',
  'https://app.example./cb/Path?tenant=one&x=a%2Fb',
  'https://app.example.evil.example/cb/Path?tenant=one&x=a%2Fb',
  'https://evil.example/cb/Path?tenant=one&x=a%2Fb',
  'https://sub.app.example/cb/Path?tenant=one&x=a%2Fb',
  'https://app.example@evil.example/cb/Path?tenant=one&x=a%2Fb',
  'https://user@app.example/cb/Path?tenant=one&x=a%2Fb',
  'https://user:pass@app.example/cb/Path?tenant=one&x=a%2Fb',
  'https://app.example%2eevil.example/cb/Path?tenant=one&x=a%2Fb',
  'https://app.example\\@evil.example/cb/Path?tenant=one&x=a%2Fb',
  'https://app.example/cb/path?tenant=one&x=a%2Fb',
  'https://app.example/cb/Path/?tenant=one&x=a%2Fb',
  'https://app.example//cb/Path?tenant=one&x=a%2Fb',
  'https://app.example/cb//Path?tenant=one&x=a%2Fb',
  'https://app.example/cb/./Path?tenant=one&x=a%2Fb',
  'https://app.example/cb/x/../Path?tenant=one&x=a%2Fb',
  'https://app.example/cb/%2e%2e/cb/Path?tenant=one&x=a%2Fb',
  'https://app.example/cb/Path/more?tenant=one&x=a%2Fb',
  'https://app.example/cb/Pat?tenant=one&x=a%2Fb',
  'https://app.example/cb/%50ath?tenant=one&x=a%2Fb',
  'https://app.example/cb/Path;x?tenant=one&x=a%2Fb',
  'https://app.example/cb/Path?tenant=one&x=a%2fb',
  'https://app.example/cb/Path?tenant=one&x=a/b',
  'https://app.example/cb/Path?tenant=two&x=a%2Fb',
  'https://app.example/cb/Path?x=a%2Fb&tenant=one',
  'https://app.example/cb/Path?tenant=one&x=a%2Fb&more=1',
  'https://app.example/cb/Path?tenant=one&x=a%2Fb&',
  'https://app.example/cb/Path?tenant=one',
  'https://app.example/cb/Path',
  'https://app.example/cb/Path?',
  'https://app.example/cb/Path?tenant=one&x=a%2Fb#',
  'https://app.example/cb/Path?tenant=one&x=a%2Fb#fragment',
  ' https://app.example/cb/Path?tenant=one&x=a%2Fb',
  'https://app.example/cb/Path?tenant=one&x=a%2Fb ',
  'https://app.example/cb/Path?tenant=one&x=a%2Fb\t',
  'https://app.example/cb/Path?tenant=one&x=a%2Fb\u0000',
  '//app.example/cb/Path?tenant=one&x=a%2Fb',
  '/cb/Path?tenant=one&x=a%2Fb',
  'javascript:alert(1)//https://app.example/cb/Path',
  'data:text/html,hello',
  'https://app.example/*',
  ''
]

t.test('OID-1: an application is answered at its registered redirect URI and nowhere else', async t => {
  const service = await startService(t)
  const client = await service.register({ client_name: 'Exact', redirect_uris: [registered] })
  const ask = async (redirectUri: string | undefined) =>
    await get(service, authorizationUrl(service, client, { redirect_uri: redirectUri }), {
      accept: 'text/html'
    })

  t.equal((await ask(registered)).status, 303, 'the registered one goes on')
  t.ok(mutations.length >= 40)
  for (const mutation of mutations) {
    const { status, headers, text } = await ask(mutation)
    t.equal(status, 400, `${JSON.stringify(mutation)} is refused`)
    t.equal(headers.get('location'), null, 'on our own page')
    t.match(text, /<h1/)
  }

  await t.test('also without one, since leaving it out is for OAuth without OpenID Connect', async t => {
    const { status, headers } = await ask(undefined)
    t.equal(status, 400)
    t.equal(headers.get('location'), null)
  })

  await t.test('also when it is pushed', async t => {
    const push = async (redirectUri: string) =>
      await post(
        service,
        '/par',
        Object.fromEntries(
          new URL(authorizationUrl(service, client, { redirect_uri: redirectUri })).searchParams
        ),
        { client }
      )
    t.equal((await push(registered)).status, 201)
    for (const mutation of mutations.slice(0, 12)) t.equal((await push(mutation)).status, 400, mutation)
  })

  await t.test('also with other faults in the request, and with an unknown client', async t => {
    const faulty = await get(
      service,
      authorizationUrl(service, client, { redirect_uri: mutations[8], scope: 'nonsense', response_type: 'x' })
    )
    t.equal(faulty.status, 400)
    t.equal(faulty.headers.get('location'), null)
    const unknown = await get(
      service,
      authorizationUrl(service, { client_id: 'nobody', redirect_uris: ['https://evil.example/'] })
    )
    t.equal(unknown.status, 400)
    t.equal(unknown.headers.get('location'), null)
  })
})

t.test('OID-1: the port of a loopback address is free for native applications only', async t => {
  const service = await startService(t)
  const native = service.clients['demo-native'] ?? { client_id: '' }
  const web = await service.register({ client_name: 'Web', redirect_uris: ['http://127.0.0.1/callback'] })
  const ask = async (client: typeof native, redirectUri: string) =>
    (await get(service, authorizationUrl(service, client, { redirect_uri: redirectUri }))).status

  for (const port of ['', ':1', ':49152', ':65535'])
    t.equal(await ask(native, `http://127.0.0.1${port}/callback`), 303, `port "${port}"`)
  for (const other of [
    'http://localhost:49152/callback',
    'http://127.0.0.2:49152/callback',
    'http://[::1]:49152/callback',
    'https://127.0.0.1:49152/callback',
    'http://127.0.0.1:49152/callback/',
    'http://127.0.0.1:49152/other',
    'http://127.0.0.1:49152/callback?x=1',
    'http://127.0.0.1:49152/callback#x',
    'http://127.0.0.1:49152@evil.example/callback',
    'http://user@127.0.0.1:49152/callback',
    'http://127.1:49152/callback',
    'http://2130706433:49152/callback',
    'http://127.0.0.1:99999/callback'
  ])
    t.equal(await ask(native, other), 400, other)

  t.equal(await ask(web, 'http://127.0.0.1/callback'), 303)
  t.equal(await ask(web, 'http://127.0.0.1:49152/callback'), 400, 'not for a web application')
})
