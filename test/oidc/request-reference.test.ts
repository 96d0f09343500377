// Request objects by reference and without a signature, which the conformance profile alone takes, and every way to have
// Gatehouse ask where it should not or believe what it should not.
import t from 'tap'
import { startSite } from '../helpers/https-site.ts'
import { signJws } from '../helpers/jws.ts'
import { createKey, jwksOf, type Key, seconds } from '../helpers/keyed-client.ts'
import {
  callbackOf,
  createVerifier,
  type Fields,
  get,
  redirectUriOf,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('request objects of the conformance profile', async t => {
  const service = await startService(t, { environment: { PROFILE: 'conformance' } })
  const site = await startSite(t)
  const [key, stranger] = [createKey('ES256'), createKey('ES256')]
  const request_uris = ['good', 'other', 'moved'].map(name => `${site.origin}/${name}`)
  const [good = '', , moved = ''] = request_uris
  const portal = await registerPortal(service, { jwks: jwksOf(key), request_uris })
  const signer = await registerPortal(service, {
    jwks: jwksOf(key),
    request_uris,
    request_object_signing_alg: 'ES256'
  })
  const strict = await registerPortal(service, {
    jwks: jwksOf(key),
    request_uris,
    require_signed_request_object: true
  })
  const visitor = await signedInVisitor(service, portal)
  const challenge = createVerifier().challenge
  const asked = {
    response_type: 'code',
    redirect_uri: redirectUriOf(portal),
    scope: 'openid',
    state: 'inside',
    code_challenge: challenge,
    code_challenge_method: 'S256'
  }
  const unsigned = (claims: object = {}) => signJws({ alg: 'none' }, { ...asked, ...claims }, null)
  const signed = (client = portal, claims: object = {}, { alg, kid, privateKey }: Key = key) => {
    const own = { iss: client.client_id, client_id: client.client_id, aud: service.issuer }
    return signJws({ alg, kid }, { ...own, ...asked, ...claims }, privateKey)
  }
  const ask = async (fields: Fields, client = portal) => {
    const url = new URL('/auth', service.issuer)
    const { redirect_uri, response_type } = asked
    const all = { client_id: client.client_id, redirect_uri, response_type, state: 'outside', ...fields }
    for (const [name, value] of Object.entries(all))
      if (value !== undefined) url.searchParams.set(name, value)
    return await visitor.request(url.href)
  }
  const answered = async (...request: Parameters<typeof ask>) =>
    callbackOf(await ask(...request)).searchParams
  const serve = (body: unknown, over: { status?: number; headers?: Record<string, string> } = {}) => {
    site.pages.set('/good', { body, ...over })
    return { request_uri: good }
  }

  await t.test('OpenID Connect Core 1.0 §6.2: signed and unsigned ones are fetched at each use', async t => {
    site.asked.length = 0
    for (const body of [signed(), unsigned(), `${signed()}\n`]) {
      const answer = await answered(serve(body))
      t.ok(answer.has('code'), String(answer))
      t.equal(answer.get('state'), 'inside')
    }
    t.strictSame(site.asked, ['/good', '/good', '/good'])
  })

  await t.test(
    'OpenID Connect Core 1.0 §6.1: an unsigned one in the request, whatever its claims are',
    async t => {
      const claims = { id_token: { email: null } }
      const over = {
        iss: portal.client_id,
        aud: [service.issuer, 'x'],
        exp: seconds() + 60,
        max_age: 10_000,
        claims
      }
      t.match(await answered({ request: unsigned(over) }), { size: 3 })
    }
  )

  await t.test('OID-12: what stands beside an unsigned one counts for nothing', async t => {
    const answer = await answered({ request: unsigned({ state: undefined }), prompt: 'none' })
    t.ok(answer.has('code'))
    t.notOk(answer.has('state'))
    const elsewhere = await ask({ request: unsigned({ redirect_uri: 'https://evil.example/' }) })
    t.match(elsewhere, { status: 400, text: /redirect_uri did not match/ })
  })

  await t.test('INP-1: nobody but the application says where we ask', async t => {
    site.asked.length = 0
    const others = [
      `${good}?x`,
      `${good}#x`,
      good.slice(0, -1),
      good.toUpperCase(),
      'http://169.254.169.254/latest/meta-data',
      'https://evil.example/request.jwt',
      'file:///etc/passwd',
      ''
    ]
    serve(unsigned())
    for (const request_uri of others) {
      const answer = await ask({ request_uri })
      t.match(answer.location ?? answer.text, /invalid_request_uri/, request_uri)
    }
    const foreign = await registerPortal(service, { jwks: jwksOf(key) })
    t.match((await ask({ request_uri: good }, foreign)).location, 'invalid_request_uri')
    t.equal((await ask({ request_uri: good }, { ...portal, client_id: 'nobody' })).status, 400)
    t.strictSame(site.asked, [])
  })

  await t.test('INP-1: what is not served as it should be is no request', async t => {
    site.pages.set('/moved', { status: 302, headers: { location: good } })
    serve(unsigned())
    t.equal((await answered({ request_uri: moved })).get('error'), 'invalid_request_uri', 'redirects')
    const cases: [unknown, { status?: number }?][] = [
      [unsigned(), { status: 404 }],
      [unsigned(), { status: 500 }],
      [' '.repeat(70_000)],
      ['']
    ]
    for (const [body, over] of cases)
      t.equal((await answered(serve(body, over))).get('error'), 'invalid_request_uri')
    site.pages.delete('/good')
    t.equal((await answered({ request_uri: good })).get('error'), 'invalid_request_uri', 'broken off')
    for (const body of ['<html>', 'a.b.c', '{"scope":"openid"}', 'a'.repeat(1000)])
      t.match((await ask(serve(body))).location, 'error=invalid_request', body.slice(0, 20))
  })

  await t.test(
    'OID-12, TOK-1: no object is believed that is another application’s, old or forged',
    async t => {
      const spoilt: Record<string, string> = {
        'a wrong signature': signed(portal, {}, { ...stranger, kid: key.kid }),
        'one character off': signed().replace(/.$/, last => (last === 'A' ? 'Q' : 'A')),
        'an unsigned one with a signature': `${unsigned()}AAAA`,
        'another application': unsigned({ client_id: signer.client_id }),
        'another issuer': unsigned({ iss: signer.client_id }),
        'another audience': unsigned({ aud: 'https://other.example' }),
        'another response type': unsigned({ response_type: 'code id_token' }),
        'an old one': unsigned({ exp: seconds() - 60 }),
        'one of tomorrow': unsigned({ nbf: seconds() + 600 }),
        'a request in the request': unsigned({ request: unsigned() }),
        'a reference in the request': unsigned({ request_uri: good })
      }
      for (const [name, object] of Object.entries(spoilt)) {
        for (const fields of [{ request: object }, serve(object)]) {
          const { location, text } = await ask(fields)
          t.match(location ?? text, /invalid_request_object|mismatch/, name)
          t.notMatch(location, /code=/, name)
        }
      }
    }
  )

  await t.test('OpenID Connect Dynamic Client Registration 1.0 §2: who signs does always', async t => {
    for (const client of [signer, strict])
      for (const fields of [{ request: unsigned() }, serve(unsigned())]) {
        const answer = await answered(fields, client)
        t.notOk(answer.has('code'))
        t.match(answer.get('error'), /^invalid_request/)
      }
    t.ok((await answered(serve(signed(signer)), signer)).has('code'))
    const fapi = await registerPortal(service, {
      jwks: jwksOf(key),
      token_endpoint_auth_method: 'private_key_jwt',
      security_profile: 'fapi2',
      request_uris
    })
    for (const fields of [{ request: unsigned() }, serve(unsigned())])
      t.match((await ask(fields, fapi)).location ?? '', /error=invalid_request/)
  })

  await t.test('OpenID Connect Core 1.0 §6.2.2: not both, and none twice', async t => {
    serve(unsigned())
    t.match((await ask({ request: unsigned(), request_uri: good })).location, 'error=invalid_request')
    const { client_id } = portal
    for (const name of ['request', 'request_uri']) {
      const value = name === 'request' ? unsigned() : good
      const twice = new URLSearchParams([
        ...Object.entries({ ...asked, client_id }),
        [name, value],
        [name, value]
      ])
      const { location } = await visitor.request(`${service.issuer}/auth?${twice}`)
      t.match(location, 'error=invalid_request', name)
    }
  })
})

t.test('RFC 9101 §5.2: other profiles fetch nothing, and say so', async t => {
  const service = await startService(t, { environment: { DYNAMIC_REGISTRATION: 'open' } })
  const { body } = await get(service, '/.well-known/openid-configuration')
  t.equal(body.request_uri_parameter_supported, false)
  t.notOk((body.request_object_signing_alg_values_supported as string[]).includes('none'))
  await t.rejects(registerPortal(service, { request_uris: ['https://portal.example/request'] }), {
    message: /request_uris/
  })
})
