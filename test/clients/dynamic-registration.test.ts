// Applications that register themselves (RFC 7591, OpenID Connect Dynamic Client Registration 1.0), over the wire.
import t, { type Test } from 'tap'
import { narrowed } from '../../src/clients/registration-model.ts'
import { findClient } from '../../src/clients/repository.ts'
import { createApplication, newcomer, openid } from '../helpers/application.ts'
import { atOnce, countStatuses, get } from '../helpers/protocol.ts'
import { sendRegistration, webApplication } from '../helpers/registrations.ts'
import { startService } from '../helpers/service.ts'

const open = { DYNAMIC_REGISTRATION: 'open' }
const service = await startService(t, { environment: open, nodes: 2 })
const production = await startService(t, {
  environment: {
    ...open,
    ISSUER: 'https://id.example.org',
    SMTP_URL: 'smtp://127.0.0.1:1',
    DATABASE_URL: 'postgres://not-used.example/db',
    REQUESTS_PER_ADDRESS_PER_MINUTE: '100'
  }
})

/** As the application sends it to the installation that is no development one. */
async function register(metadata: unknown, network = next++) {
  const { statusCode, headers, body } = await production.app.http.inject({
    method: 'POST',
    url: '/register',
    // Each from a network of its own, but for those whose number is counted below.
    remoteAddress: `2001:db8:${network.toString(16)}::${1 + Math.floor(Math.random() * 9999)}`,
    headers: { 'content-type': 'application/json' },
    payload: JSON.stringify(metadata)
  })
  return { status: statusCode, headers, body: JSON.parse(body) as Record<string, unknown> }
}
let next = 1
const requestsPerMinute = 100

t.test('RFC 7591 §3.2.1: what registered itself signs people in at once, at any node', async t => {
  const answer = await sendRegistration(service, '/register', { ...webApplication, unknown_member: 1 })
  t.equal(answer.status, 201)
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.match(answer.headers.get('content-type'), /^application\/json/)
  const { body } = answer
  t.match(body, {
    ...webApplication,
    client_id: /^[0-9a-f-]{36}$/,
    client_secret: /^[\w-]{43}$/,
    client_secret_expires_at: 0,
    registration_access_token: /^[\w-]{43}$/,
    registration_client_uri: `${service.issuer}/register/${body.client_id}`,
    application_type: 'web',
    response_types: ['code'],
    token_endpoint_auth_method: 'client_secret_basic',
    id_token_signed_response_alg: 'RS256',
    scope: 'openid profile email address phone offline_access'
  })
  t.ok(Math.abs(Number(body.client_id_issued_at) - Date.now() / 1000) < 5)
  t.notOk('unknown_member' in body)
  for (const own of ['first_party', 'introspection', 'resources']) t.notOk(own in body, own)

  const { tokens } = await newcomer(service, await createApplication(service, body as never))
  t.match(tokens, { access_token: /./, refresh_token: /./ })
  t.equal(tokens.claims()?.aud, body.client_id)
})

t.test('RFC 8414 §2: both documents of discovery name the endpoint, and only where there is one', async t => {
  const closed = await startService(t)
  for (const path of ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server']) {
    t.equal((await get(service, path)).body.registration_endpoint, `${service.issuer}/register`)
    const { body } = await get(closed, path)
    t.notOk('registration_endpoint' in body)
    t.notOk('client_id_metadata_document_supported' in body)
  }
  t.equal((await sendRegistration(closed, '/register', webApplication)).status, 404, 'OID-20: off')
  t.equal(
    (await sendRegistration(closed, '/register/x', undefined, { method: 'GET', token: 'x' })).status,
    404
  )
})

t.test('openid-client registers by itself', async t => {
  const config = await openid.dynamicClientRegistration(new URL(service.issuer), webApplication, undefined, {
    execute: [openid.allowInsecureRequests]
  })
  t.match(config.clientMetadata(), { client_id: /./, client_secret: /./ })
})

const bad: Record<string, [metadata: Record<string, unknown>, field: string]> = {
  'no redirect URI': [{ redirect_uris: [] }, 'redirect_uris'],
  'redirect URIs that are no list': [{ redirect_uris: 'https://a.example/' }, 'redirect_uris'],
  http: [{ redirect_uris: ['http://a.example/cb'] }, 'redirect_uris[0]'],
  'a fragment': [{ redirect_uris: ['https://a.example/cb#x'] }, 'redirect_uris[0]'],
  'an empty fragment': [{ redirect_uris: ['https://a.example/cb#'] }, 'redirect_uris[0]'],
  'a wildcard host': [{ redirect_uris: ['https://*.a.example/cb'] }, 'redirect_uris[0]'],
  'a wildcard path': [{ redirect_uris: ['https://a.example/*'] }, 'redirect_uris[0]'],
  javascript: [{ redirect_uris: ['javascript:alert(1)'] }, 'redirect_uris[0]'],
  data: [{ redirect_uris: ['data:text/html,x'] }, 'redirect_uris[0]'],
  'a user name': [{ redirect_uris: ['https://good.example@evil.example/cb'] }, 'redirect_uris[0]'],
  'dots that climb': [{ redirect_uris: ['https://a.example/x/../cb'] }, 'redirect_uris[0]'],
  'a scheme of one word': [{ redirect_uris: ['myapp://cb'] }, 'redirect_uris[0]'],
  'localhost for a website': [
    { redirect_uris: ['http://localhost/cb'], application_type: 'web' },
    'redirect_uris[0]'
  ],
  'a loopback with TLS for a program': [
    { redirect_uris: ['https://127.0.0.1/cb'], application_type: 'native' },
    'redirect_uris[0]'
  ],
  'a bad landing page': [
    { post_logout_redirect_uris: ['http://a.example/'] },
    'post_logout_redirect_uris[0]'
  ],
  'a logo without TLS': [{ logo_uri: 'http://a.example/logo.png' }, 'logo_uri'],
  'a logo of script': [{ logo_uri: 'javascript:alert(1)' }, 'logo_uri'],
  'a logo in a private network': [{ logo_uri: 'https://192.168.1.1/logo.png' }, 'logo_uri'],
  'a policy on this machine': [{ policy_uri: 'https://localhost/x' }, 'policy_uri'],
  'terms on this machine': [{ tos_uri: 'https://[::1]/x' }, 'tos_uri'],
  'a home in a private network': [{ client_uri: 'https://10.1.2.3/' }, 'client_uri'],
  'keys in a private network': [{ jwks_uri: 'https://10.1.2.3/jwks' }, 'jwks_uri'],
  'keys at a cloud’s metadata': [{ jwks_uri: 'https://169.254.169.254/latest' }, 'jwks_uri'],
  'keys at an address in disguise': [{ jwks_uri: 'https://2130706433/jwks' }, 'jwks_uri'],
  'keys at a mapped address': [{ jwks_uri: 'https://[::ffff:127.0.0.1]/jwks' }, 'jwks_uri'],
  'keys at a name of localhost': [{ jwks_uri: 'https://a.localhost/jwks' }, 'jwks_uri'],
  'keys in two places': [{ jwks_uri: 'https://a.example/jwks', jwks: { keys: [] } }, 'jwks'],
  'a private key': [{ jwks: { keys: [{ kty: 'EC', crv: 'P-256', x: 'x', y: 'y', d: 'd' }] } }, 'jwks'],
  'a symmetric key': [{ jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }, 'jwks'],
  'a sector in a private network': [
    { sector_identifier_uri: 'https://10.1.2.3/sector' },
    'sector_identifier_uri'
  ],
  'a sector without TLS': [{ sector_identifier_uri: 'http://a.example/sector' }, 'sector_identifier_uri'],
  'a logout notice inside': [
    { backchannel_logout_uri: 'https://127.0.0.1/logout' },
    'backchannel_logout_uri'
  ],
  'a login address without TLS': [{ initiate_login_uri: 'http://a.example/' }, 'initiate_login_uri'],
  'private_key_jwt without keys': [{ token_endpoint_auth_method: 'private_key_jwt' }, 'jwks'],
  'an unknown method': [{ token_endpoint_auth_method: 'telepathy' }, 'token_endpoint_auth_method'],
  'an unsigned ID token': [{ id_token_signed_response_alg: 'none' }, 'id_token_signed_response_alg'],
  'an unsigned request object': [{ request_object_signing_alg: 'none' }, 'request_object_signing_alg'],
  'a method without signature': [
    { token_endpoint_auth_method: 'private_key_jwt', token_endpoint_auth_signing_alg: 'none' },
    'token_endpoint_auth_signing_alg'
  ],
  'an implicit flow': [{ response_types: ['id_token token'] }, 'grant_types'],
  'a hybrid flow': [{ response_types: ['code id_token'] }, 'response_types[0]'],
  'no grant that is allowed': [{ grant_types: ['client_credentials'] }, 'grant_types'],
  'grants that are no list': [{ grant_types: 'authorization_code' }, 'grant_types'],
  'a scope that is no text': [{ scope: ['openid'] }, 'scope'],
  'a name with a direction mark': [{ client_name: 'Bank\u202egnihsihp' }, 'client_name'],
  'a name of two lines': [{ client_name: 'Bank\nYour bank' }, 'client_name'],
  'a name without end': [{ client_name: 'x'.repeat(101) }, 'client_name'],
  'a name with NUL': [{ client_name: 'x\0' }, 'client_name'],
  'a contact that is none': [{ contacts: ['me'] }, 'contacts[0]'],
  'an age that is none': [{ default_max_age: -1 }, 'default_max_age']
}

t.test('OID-20: wrong metadata are refused, with the field named (RFC 7591 §3.2.2)', async t => {
  const { redirect_uris } = webApplication
  for (const [what, [metadata, field]] of Object.entries(bad)) {
    const { status, body } = await register({ redirect_uris, ...metadata })
    t.equal(status, 400, what)
    const error = field.startsWith('redirect_uris') ? 'invalid_redirect_uri' : 'invalid_client_metadata'
    t.equal(body.error, error, what)
    const description = String(body.error_description)
    t.ok(
      description.split('; ').some(part => part.startsWith(`${field} `)),
      `${what}: ${description}`
    )
    t.match(description, /^[\x20-\x21\x23-\x5b\x5d-\x7e]+$/, 'RFC 6749 §5.2: its characters')
  }
  const [clients] = await production.pool<{ count: number }[]>`select count(*)::int as count from clients`
  t.equal(clients?.count, 0, 'nothing of it is kept')
})

t.test('OID-20: an application cannot grant itself what only the operator grants', async t => {
  const { status, body } = await register({
    ...webApplication,
    client_id: 'admin-console',
    client_secret: 'chosen',
    client_secret_expires_at: 1,
    client_id_issued_at: 1,
    registration_access_token: 'chosen',
    first_party: true,
    skip_consent: true,
    introspection: true,
    resources: ['urn:gatehouse:admin'],
    required_acr: 'urn:gatehouse:acr:1fa',
    token_exchange: { audiences: ['*'] },
    access_token_lifetime_seconds: 86_400,
    refresh_token_rotation: false,
    refresh_token_absolute_seconds: 31_536_000,
    registered_by: 'operator',
    registered_scope: 'admin',
    scope: 'openid admin profile',
    grant_types: [
      'authorization_code',
      'client_credentials',
      'urn:ietf:params:oauth:grant-type:token-exchange',
      'password'
    ]
  })
  t.equal(status, 201)
  t.match(body, { scope: 'openid profile', grant_types: ['authorization_code'] })
  t.not(body.client_id, 'admin-console')
  t.not(body.client_secret, 'chosen')
  t.equal(body.client_secret_expires_at, 0)
  for (const name of ['first_party', 'skip_consent', 'resources', 'token_exchange', 'introspection'])
    t.notOk(name in body, name)
  t.match(await findClient(production.pool, String(body.client_id)), {
    firstParty: false,
    introspection: false,
    resources: [],
    requiredAcr: null,
    accessTokenLifetimeSeconds: null,
    refreshTokenRotation: null,
    refreshTokenAbsoluteSeconds: null,
    registeredBy: 'registration',
    scope: 'openid profile'
  })
})

t.test('RFC 7591 §2: what is left out, null or not understood is no fault', async t => {
  const { redirect_uris } = webApplication
  const least = await register({ redirect_uris })
  t.equal(least.status, 201)
  t.match(least.body, { client_name: 'album.example', grant_types: ['authorization_code'] })
  const nothing = {
    logo_uri: null,
    contacts: null,
    request_uris: ['https://a.example/#x'],
    'client_name#de': 'Album'
  }
  const { status, body } = await register({ redirect_uris, ...nothing })
  t.equal(status, 201)
  for (const name of Object.keys(nothing)) t.notOk(name in body, name)
  t.match((await register({ redirect_uris, scope: 'mcp:read' })).body, { scope: 'openid' })
})

t.test('RFC 8252 §7.3: programs on a device need not say that they are, and may write localhost', async t => {
  for (const uri of [
    'http://127.0.0.1/callback',
    'http://[::1]:8080/callback',
    'http://localhost:6274/oauth/callback',
    'com.example.app:/callback'
  ]) {
    const { status, body } = await register({ redirect_uris: [uri], token_endpoint_auth_method: 'none' })
    t.equal(status, 201, uri)
    t.match(body, { application_type: 'native', redirect_uris: [uri] })
    t.notOk('client_secret' in body)
  }
  const both = ['http://127.0.0.1:33418/', 'https://editor.example/redirect']
  t.match((await register({ redirect_uris: both })).body, { application_type: 'native' })
})

t.test('INP-5: bodies that are no registration', async t => {
  const send = async (body: string, contentType = 'application/json') =>
    await sendRegistration(service, '/register', body, { contentType })
  const cases: [body: string, contentType: string | undefined, status: number][] = [
    ['', undefined, 400],
    ['[]', undefined, 400],
    ['"x"', undefined, 400],
    ['null', undefined, 400],
    ['{', undefined, 400],
    ['{"__proto__":{"first_party":true}}', undefined, 400],
    ['{"constructor":{"prototype":{"first_party":true}}}', undefined, 400],
    ['redirect_uris=x', 'application/x-www-form-urlencoded', 415],
    ['{}', 'text/plain', 415],
    ['{}', 'application/xml', 415],
    [JSON.stringify({ client_name: 'x'.repeat(70_000) }), undefined, 413],
    [`${'['.repeat(30_000)}${']'.repeat(30_000)}`, undefined, 400],
    [
      `{"redirect_uris":["https://a.example/"],"jwks":{"keys":[{"kty":"EC","x":${'['.repeat(30_000)}${']'.repeat(30_000)}}]}}`,
      undefined,
      400
    ],
    [JSON.stringify({ redirect_uris: Array(5000).fill('https://a/') }), undefined, 400]
  ]
  for (const [body, contentType, status] of cases) {
    const started = process.cpuUsage().user
    const answer = await send(body, contentType)
    t.equal(answer.status, status, body.slice(0, 60))
    t.match(answer.body, { error: /^invalid_(client_metadata|redirect_uri)$/, error_description: /./ })
    t.ok(process.cpuUsage().user - started < 100_000, 'OID-22: < 100 ms')
  }
})

t.test('OID-20: changes of registrations are counted too: each may have us fetch something', async t => {
  const send = () =>
    production.app.http.inject({
      method: 'PUT',
      url: '/register/01a1ffde-95f8-7ebe-8574-3468560c68cb',
      remoteAddress: '2001:db8:fffe::1',
      payload: {}
    })
  const answers = []
  // One by one: what comes at once is counted before any of it is answered.
  while (answers.length < requestsPerMinute + 5) answers.push(await send())
  t.strictSame(countStatuses(answers.map(({ statusCode: status }) => ({ status }))), {
    401: requestsPerMinute,
    429: 5
  })
})

t.test('what registered under former rules may do what today’s allow', async t => {
  const { body } = await register(webApplication)
  const client = await findClient(production.pool, String(body.client_id))
  if (client === null) throw new Error('it was not registered')
  const { config } = production.app.ctx
  const under = (grantTypes: string[]) => {
    const registration = {
      ...config.registration,
      grantTypes: grantTypes as typeof config.registration.grantTypes
    }
    const { grantTypes: left, responseTypes } = narrowed(client, { ...config, registration })
    return { left, responseTypes }
  }
  t.strictSame(under(['authorization_code', 'refresh_token']), {
    left: ['authorization_code', 'refresh_token'],
    responseTypes: ['code']
  })
  t.strictSame(under(['authorization_code']), { left: ['authorization_code'], responseTypes: ['code'] })
  t.strictSame(under(['refresh_token']), { left: ['refresh_token'], responseTypes: [] })
})

t.test('OID-20: of 1000 registrations from one network a few are taken, then it has to wait', async t => {
  const before = await countClients()
  const replies = []
  for (let turn = 0; turn < 20; turn++)
    replies.push(...(await atOnce(50, () => register(webApplication, 0xffff))))
  t.strictSame(countStatuses(replies), { 201: 50, 429: 950 })
  t.equal((await countClients()) - before, 50)
  const last = replies.at(-1)
  t.match(last?.body, { error: 'temporarily_unavailable' })
  t.match(last?.headers['retry-after'], /^[1-9]\d*$/)
  t.equal((await register(webApplication)).status, 201, 'another network goes on')
})

const countClients = async () => {
  const [row] = await production.pool<{ count: number }[]>`select count(*)::int as count from clients`
  return row?.count ?? 0
}

t.test('OID-20: however many networks, only so many that were never used find room', async t => {
  await production.pool`
    insert into clients (client_id, client_name, application_type, redirect_uris, post_logout_redirect_uris, grant_types,
      response_types, token_endpoint_auth_method, resources, other_metadata, registered_by, created_at, updated_at)
    select 'flood-' || n, 'Flood', 'web', '{}', '{}', '{}', '{}', 'none', '{}', '{}', 'registration', now(), now()
    from generate_series(1, 10000) n`
  const { status, body } = await register(webApplication)
  t.equal(status, 429)
  t.match(body, { error: 'temporarily_unavailable' })
  await production.pool`update clients set last_used_at = now() where client_id like 'flood-%'`
  t.equal((await register(webApplication)).status, 201)
})

t.test('OID-21: scripts of any page may register their application, never with cookies', async (t: Test) => {
  const origin = 'https://inspector.example'
  const preflight = await fetch(`${service.issuer}/register`, {
    method: 'OPTIONS',
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'content-type'
    }
  })
  t.equal(preflight.status, 204)
  t.match(preflight.headers.get('access-control-allow-headers'), /content-type/)
  const answer = await sendRegistration(service, '/register', webApplication, { headers: { origin } })
  t.equal(answer.status, 201)
  for (const { headers } of [preflight, answer]) {
    t.equal(headers.get('access-control-allow-origin'), '*')
    t.equal(headers.get('access-control-allow-credentials'), null)
  }
  t.equal(answer.headers.get('set-cookie'), null)
})
