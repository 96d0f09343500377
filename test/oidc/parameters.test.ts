// Requests that no honest application sends: refused quickly, without a fault of ours (RFC 6749 §3.1, §3.2).
import t from 'tap'
import {
  atOnce,
  authorizationUrl,
  callbackOf,
  get,
  obtainCode,
  post,
  type Reply,
  redirectUriOf,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import type { Visitor } from '../helpers/visitor.ts'

t.test('odd requests', async t => {
  const service = await startService(t)
  const client = await registerPortal(service)
  const visitor: Visitor = await signedInVisitor(service, client)
  const good = (): URLSearchParams => new URL(authorizationUrl(service, client)).searchParams
  const secretFault = /node_modules|src\/|\bselect \b|\bundefined\b|\n\s+at /

  const refusedQuickly = async (t: Tap, name: string, ask: () => Promise<Reply>) => {
    // Processor time: what else the machine does must not count.
    const before = process.cpuUsage()
    const reply = await ask()
    const { user, system } = process.cpuUsage(before)
    const took = Math.round((user + system) / 1000)
    t.ok(reply.status >= 400 && reply.status < 500, `${name}: ${reply.status}`)
    t.ok(took < 100, `${name}: ${took} ms`)
    t.notMatch(reply.text.slice(0, 20_000), secretFault, name)
    return reply
  }
  /** The error, wherever the authorization endpoint says it: at the application, or on our page. */
  const authorize = async (query: URLSearchParams | string) => {
    const reply = await get(service, `/auth?${query}`)
    const location = reply.headers.get('location')
    const onPage = /\(([a-z_]+)[:)]/.exec(reply.text)?.[1]
    const error = location === null ? onPage : new URL(location, service.issuer).searchParams.get('error')
    return { reply, error }
  }

  await t.test('OID-22: a parameter that is sent twice is refused, whichever', async t => {
    for (const name of [
      'client_id',
      'redirect_uri',
      'scope',
      'state',
      'response_type',
      'nonce',
      'code_challenge',
      'prompt'
    ]) {
      const query = good()
      query.append(name, query.get(name) ?? 'x')
      query.append(name, 'other')
      const { error, reply } = await authorize(query)
      t.match(error, /^invalid_/, name)
      t.ok(reply.status < 500)
      const pushed = await post(service, '/par', query, { client })
      t.equal(pushed.status, 400, `${name}, pushed`)
    }
    for (const name of ['grant_type', 'code', 'redirect_uri', 'code_verifier', 'client_id']) {
      const body = new URLSearchParams({
        grant_type: 'authorization_code',
        code: 'x',
        redirect_uri: 'https://x/',
        code_verifier: 'x'
      })
      body.append(name, 'x')
      body.append(name, 'y')
      t.match((await post(service, '/token', body, { client })).body.error, /^(invalid_|unsupported_)/, name)
    }
  })

  await t.test('OID-22: brackets, prototypes and nonsense names make no objects', async t => {
    for (const name of [
      '__proto__',
      'constructor',
      'prototype',
      'hasOwnProperty',
      'toString',
      'scope[]',
      'scope[a][b]',
      'claims.sub',
      ' ',
      '\u0000'
    ]) {
      const query = good()
      query.append(name, 'x')
      const { reply } = await authorize(query)
      // RFC 6749 §3.1: unrecognised parameters are ignored.
      t.equal(reply.status, 303, name)
      const body = new URLSearchParams({ grant_type: 'authorization_code' })
      body.append(name, 'x')
      await refusedQuickly(t, `token ${name}`, () => post(service, '/token', body, { client }))
      const pushed = await post(service, '/par', query, { client })
      t.equal(pushed.status, 201, name)
    }
    t.equal(({} as Record<string, unknown>).x, undefined)
    for (const claims of [
      '{"__proto__":{"x":1}}',
      '[]',
      '"x"',
      'null',
      '{"userinfo":[]}',
      '{',
      '{"id_token":{"sub":{"value":{}}}}',
      `{"userinfo":${'['.repeat(5000)}`
    ]) {
      const query = good()
      query.set('claims', claims)
      const { error, reply } = await authorize(query)
      t.ok(reply.status < 500, claims.slice(0, 30))
      t.not(error, 'server_error', claims.slice(0, 30))
    }
  })

  await t.test('OID-22: an endless state, nonce or scope is refused, in the URL and in a body', async t => {
    const endless = 'x'.repeat(100_000)
    for (const name of ['state', 'nonce', 'scope', 'login_hint', 'unknown']) {
      const query = good()
      query.set(name, endless)
      await refusedQuickly(t, `${name} in the URL`, () => get(service, `/auth?${query}`))
      await refusedQuickly(t, `${name}, pushed`, () => post(service, '/par', query, { client }))
      await refusedQuickly(t, `${name} at the token endpoint`, () =>
        post(service, '/token', new URLSearchParams({ grant_type: 'refresh_token', [name]: endless }), {
          client
        })
      )
    }
    const before = process.memoryUsage().heapUsed
    await atOnce(50, () => post(service, '/token', { grant_type: endless }, { client }))
    t.ok(process.memoryUsage().heapUsed - before < 100 * 1024 * 1024)
  })

  await t.test('OID-22: a long state comes back as it was sent, odd characters and all', async t => {
    for (const state of [
      'x'.repeat(4000),
      'ä ö & = % + # ? 😀 "<script>',
      '../../',
      '%00',
      '\r\nset-cookie: x=1'
    ]) {
      const { callback } = await obtainCode(service, { client, visitor, params: { state } })
      t.equal(callback.searchParams.get('state'), state)
      t.equal(`${callback.origin}${callback.pathname}`, redirectUriOf(client))
    }
    const none = await obtainCode(service, { client, visitor, params: { state: undefined } })
    t.notOk(none.callback.searchParams.has('state'))
  })

  await t.test('OID-22: the token endpoint takes POST with a form, and nothing else', async t => {
    const query = new URLSearchParams({
      grant_type: 'client_credentials',
      client_id: 'x',
      client_secret: 'y'
    })
    for (const path of ['/token', '/introspect', '/revoke', '/par']) {
      await refusedQuickly(t, `GET ${path}`, () => get(service, `${path}?${query}`))
      for (const type of [
        'application/json',
        'text/plain',
        'multipart/form-data; boundary=x',
        'application/xml',
        ''
      ])
        await refusedQuickly(t, `${path} as ${type}`, () =>
          post(service, path, '{"grant_type":"client_credentials"}', {
            client,
            headers: { 'content-type': type }
          })
        )
      await refusedQuickly(t, `${path} empty`, () => post(service, path, '', { client }))
      await refusedQuickly(t, `${path} cut off`, () =>
        post(service, path, '%E0%A4%A&grant_type=%', { client })
      )
      await refusedQuickly(t, `${path} of separators`, () =>
        post(service, path, '&=&'.repeat(15_000), { client })
      )
    }
    // Parameters of a POST are its body's (RFC 6749 §3.2): those of the URL are not looked at.
    const inUrl = await post(service, '/token?grant_type=authorization_code', {}, { client })
    t.match(inUrl.body.error, /invalid_request|unsupported_grant_type/)
  })

  await t.test('OID-5, OID-22: grants that are not there, or not this client’s, are refused', async t => {
    for (const grant_type of [
      'password',
      'implicit',
      'urn:ietf:params:oauth:grant-type:device_code',
      'urn:ietf:params:oauth:grant-type:token-exchange',
      '__proto__',
      'AUTHORIZATION_CODE',
      ''
    ])
      t.match(
        (await post(service, '/token', { grant_type, username: 'a', password: 'b' }, { client })).body.error,
        /^(unsupported_grant_type|invalid_request|unauthorized_client)$/,
        grant_type
      )
    const notItsOwn = await post(service, '/token', { grant_type: 'client_credentials' }, { client })
    t.match(notItsOwn.body.error, /^unauthorized_client$|^invalid_request$/)
    t.equal(notItsOwn.body.access_token, undefined)
  })

  await t.test(
    'OID-22: a request object or a request_uri from outside is not fetched or believed',
    async t => {
      const none = `${Buffer.from('{"alg":"none"}').toString('base64url')}.${Buffer.from(JSON.stringify({ client_id: client.client_id, redirect_uri: 'https://evil.example/' })).toString('base64url')}.`
      for (const over of [
        { request: none },
        { request: 'x' },
        { request_uri: 'https://evil.example/request' },
        { request_uri: 'urn:ietf:params:oauth:request_uri:unknown' }
      ]) {
        const query = good()
        for (const [name, value] of Object.entries(over)) query.set(name, value)
        const { error, reply } = await authorize(query)
        t.match(
          error,
          /^(request_not_supported|request_uri_not_supported|invalid_request_uri|invalid_request_object|invalid_request)$/,
          JSON.stringify(over).slice(0, 60)
        )
        t.notMatch(reply.headers.get('location') ?? '', 'evil.example/')
      }
    }
  )

  await t.test(
    'OID-22: a resource that is not the client’s is not even looked for, whatever it holds',
    async t => {
      for (const resource of ['urn:a\0b', 'https://api.example/\0', 'urn:made-up:1', 'urn:made-up:2']) {
        const query = good()
        query.set('resource', resource)
        service.statements.length = 0
        const { error, reply } = await authorize(query)
        t.equal(error, 'invalid_target', encodeURIComponent(resource))
        t.ok(reply.status < 500)
        const pushed = await post(service, '/par', query, { client })
        t.match({ status: pushed.status, error: pushed.body.error }, { status: 400, error: 'invalid_target' })
        t.notOk(
          service.statements.some(text => /from resources/.test(text)),
          encodeURIComponent(resource)
        )
      }
    }
  )

  await t.test('OID-22: after all that it still works', async t => {
    t.match(callbackOf(await visitor.visit(authorizationUrl(service, client))).searchParams.get('code'), /.+/)
  })
})

type Tap = {
  ok: (value: unknown, name: string) => unknown
  notMatch: (text: string, pattern: RegExp, name: string) => unknown
}
