import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { parseClientMetadata } from '../../src/clients/metadata-model.ts'
import { parseResource } from '../../src/clients/resource-model.ts'

const web = { client_name: 'Shop', redirect_uris: ['https://shop.example/callback'] }
const native = { client_name: 'Shop', application_type: 'native', token_endpoint_auth_method: 'none' }

function faultsOf(input: unknown, options = {}): Record<string, string> {
  const outcome = parseClientMetadata(input, options)
  return outcome.ok ? {} : Object.fromEntries(outcome.faults.map(({ field, message }) => [field, message]))
}

const publicJwk = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })

t.test('what is left out gets the defaults of RFC 7591 §2', async t => {
  t.strictSame(parseClientMetadata(web), {
    ok: true,
    metadata: {
      client_name: 'Shop',
      application_type: 'web',
      redirect_uris: ['https://shop.example/callback'],
      post_logout_redirect_uris: [],
      grant_types: ['authorization_code'],
      response_types: ['code'],
      token_endpoint_auth_method: 'client_secret_basic',
      resources: [],
      first_party: false,
      introspection: false
    }
  })
})

const everywhere = [
  'https://shop.example/callback',
  'https://shop.example',
  'https://shop.example:8443/a/b?tenant=1&x=%2F',
  'https://xn--bcher-kva.example/callback'
]
const onLoopback = ['http://127.0.0.1/callback', 'http://127.0.0.1:7777/', 'http://[::1]/callback']
const privateUse = ['com.example.app:/callback', 'org.example:/', 'com.example-shop.app:/oauth?x=1']
const nowhere = [
  '',
  'callback',
  '/callback',
  '//shop.example/callback',
  'http://shop.example/callback',
  'https://*.shop.example/callback',
  'https://shop.example/*',
  'https://shop.example/callback#',
  'https://shop.example/callback#fragment',
  'https://user@shop.example/callback',
  'https://user:password@shop.example/callback',
  'https://@shop.example/callback',
  'https://shop.example@evil.example/callback',
  'https://evil.example\\@shop.example/callback',
  'https:\\\\shop.example\\callback',
  'https:shop.example/callback',
  'https:///shop.example/callback',
  'https://SHOP.example/callback',
  'HTTPS://shop.example/callback',
  'https://shop.example:443/callback',
  'https://shop.example/a/../callback',
  'https://shop.example/%2e%2e/callback',
  'https://shop.example/call back',
  ' https://shop.example/callback',
  'https://shop.example/callback\n',
  'https://shop.example/call\tback',
  'https://bücher.example/callback',
  'https://shop.example/über',
  'http://127.1/callback',
  'http://2130706433/callback',
  'http://0x7f000001/callback',
  'http://127.0.0.2/callback',
  'http://localhost.evil.example/callback',
  'http://127.0.0.1.evil.example/callback',
  'http://[::ffff:127.0.0.1]/callback',
  'javascript:alert(1)',
  'JavaScript:alert(1)',
  'javascript://shop.example/%0aalert(1)',
  'data:text/html,hello',
  'vbscript:x',
  'file:///etc/passwd',
  'blob:https://shop.example/1',
  'about:blank',
  'ftp://shop.example/callback',
  'myapp:/callback',
  'myapp://callback',
  'intent://callback',
  `https://shop.example/${'a'.repeat(2000)}`,
  42,
  null,
  ['https://shop.example/callback']
]

t.test('redirect URIs: what a web application may register', async t => {
  for (const uri of everywhere) t.strictSame(faultsOf({ ...web, redirect_uris: [uri] }), {}, uri)
  for (const uri of [...onLoopback, ...privateUse, 'http://localhost/callback', ...nowhere])
    t.ok(faultsOf({ ...web, redirect_uris: [uri] })['redirect_uris[0]'], JSON.stringify(uri))
})

t.test('redirect URIs: what a native application may register (RFC 8252 §7)', async t => {
  for (const uri of [...everywhere, ...onLoopback, ...privateUse])
    t.strictSame(faultsOf({ ...native, redirect_uris: [uri] }), {}, uri)
  for (const uri of [
    'http://localhost/callback',
    'https://127.0.0.1/callback',
    'https://localhost/cb',
    ...nowhere
  ])
    t.ok(faultsOf({ ...native, redirect_uris: [uri] })['redirect_uris[0]'], JSON.stringify(uri))
})

t.test('redirect URIs: development adds http on this machine, and nothing else', async t => {
  const development = { development: true }
  for (const uri of [...everywhere, ...onLoopback, 'http://localhost:3001/callback'])
    t.strictSame(faultsOf({ ...web, redirect_uris: [uri] }, development), {}, uri)
  t.strictSame(faultsOf({ ...native, redirect_uris: ['http://localhost/callback'] }, development), {})
  for (const uri of nowhere)
    t.ok(faultsOf({ ...native, redirect_uris: [uri] }, development)['redirect_uris[0]'], JSON.stringify(uri))
})

t.test('redirect URIs: the exact text is kept, and post-logout ones follow the same rules', async t => {
  const uris = [
    'https://shop.example',
    'https://shop.example/callback?a=%2f',
    'https://shop.example/Callback/'
  ]
  const outcome = parseClientMetadata({ ...web, redirect_uris: uris })
  t.strictSame(outcome.ok && outcome.metadata.redirect_uris, uris)
  t.ok(
    faultsOf({ ...web, post_logout_redirect_uris: ['http://shop.example/'] })['post_logout_redirect_uris[0]']
  )
  t.match(faultsOf({ ...web, redirect_uris: [...uris, uris[0]] }), { 'redirect_uris[3]': 'is there twice' })
})

t.test('every fault is told at once, by field', async t => {
  const faults = faultsOf({
    client_name: ' ',
    application_type: 'desktop',
    redirect_uris: ['https://ok.example/', 'http://bad.example/'],
    grant_types: ['password', 'refresh_token'],
    response_types: ['token'],
    token_endpoint_auth_method: 'client_secret_header',
    scope: 'openid  email',
    contacts: ['nobody'],
    logo_uri: 'javascript:alert(1)',
    policy_uri: 'http://shop.example/privacy',
    tos_uri: 'https://user:pw@shop.example/',
    first_party: 'yes',
    default_max_age: -1,
    client_secret: 'mine',
    jwks_uri: 'http://169.254.169.254/',
    skip_consent: true,
    ['__proto__']: { admin: true }
  })
  t.strictSame(Object.keys(faults).sort(), [
    '__proto__',
    'application_type',
    'client_name',
    'client_secret',
    'contacts[0]',
    'default_max_age',
    'first_party',
    'grant_types[0]',
    'jwks_uri',
    'logo_uri',
    'policy_uri',
    'redirect_uris[1]',
    'response_types[0]',
    'scope',
    'skip_consent',
    'token_endpoint_auth_method',
    'tos_uri'
  ])
})

t.test('members that contradict each other are named', async t => {
  const cases: [string, Record<string, unknown>][] = [
    ['redirect_uris', { redirect_uris: [] }],
    ['redirect_uris', { grant_types: ['client_credentials'] }],
    ['response_types', { response_types: [] }],
    ['response_types', { grant_types: ['client_credentials'], redirect_uris: [], response_types: ['code'] }],
    ['grant_types', { grant_types: [], redirect_uris: [] }],
    ['grant_types', { grant_types: ['refresh_token', 'client_credentials'], redirect_uris: [] }],
    [
      'token_endpoint_auth_method',
      { grant_types: ['client_credentials'], redirect_uris: [], token_endpoint_auth_method: 'none' }
    ],
    ['introspection', { introspection: true, token_endpoint_auth_method: 'none' }],
    ['jwks', { token_endpoint_auth_method: 'private_key_jwt' }],
    ['token_endpoint_auth_signing_alg', { token_endpoint_auth_signing_alg: 'ES256' }],
    [
      'token_endpoint_auth_signing_alg',
      { token_endpoint_auth_method: 'client_secret_jwt', token_endpoint_auth_signing_alg: 'ES256' }
    ],
    [
      'token_endpoint_auth_signing_alg',
      {
        token_endpoint_auth_method: 'private_key_jwt',
        jwks: { keys: [publicJwk()] },
        token_endpoint_auth_signing_alg: 'HS256'
      }
    ],
    [
      'id_token_signed_response_alg',
      { id_token_signed_response_alg: 'HS256', token_endpoint_auth_method: 'none' }
    ],
    ['id_token_signed_response_alg', { id_token_signed_response_alg: 'none' }],
    ['scope', { scope: 'email profile' }]
  ]
  for (const [field, change] of cases)
    t.strictSame(Object.keys(faultsOf({ ...web, ...change })), [field], JSON.stringify(change))
})

t.test('settings of tokens that contradict each other are named (RFC 9700 §2.2.2)', async t => {
  const open = { ...web, token_endpoint_auth_method: 'none', refresh_token_rotation: false }
  t.match(faultsOf(open), { refresh_token_rotation: /public client/ })
  t.strictSame(faultsOf({ ...open, dpop_bound_access_tokens: true }), {})
  t.strictSame(faultsOf({ ...open, tls_client_certificate_bound_access_tokens: true }), {})
  t.strictSame(faultsOf({ ...open, refresh_token_rotation: true }), {})
  t.strictSame(faultsOf({ ...web, refresh_token_rotation: false }), {})
  t.match(faultsOf({ ...web, refresh_token_idle_seconds: 601, refresh_token_absolute_seconds: 600 }), {
    refresh_token_idle_seconds: /must not be more/
  })
  t.match(faultsOf({ ...native, redirect_uris: ['https://shop.example/'], client_secret_expires_at: 1 }), {
    client_secret_expires_at: /no secret/
  })
})

t.test('a name that would disguise itself on the consent page is refused', async t => {
  for (const client_name of [
    '',
    'a'.repeat(101),
    'Shop\u202egro.live',
    'Shop\u0000',
    'Sh\u200bop',
    ' Shop',
    7
  ])
    t.ok(faultsOf({ ...web, client_name }).client_name, JSON.stringify(client_name))
  for (const client_name of ['Bücher & Co.', '買い物', "O'Neill <3"])
    t.strictSame(faultsOf({ ...web, client_name }), {}, client_name)
})

t.test('only public keys of safe types and sizes are taken', async t => {
  const method = { ...web, token_endpoint_auth_method: 'private_key_jwt' }
  const rsa = (bits: number) => generateKeyPairSync('rsa', { modulusLength: bits })
  const bad = [
    {},
    { keys: [] },
    { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] },
    { keys: [generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey.export({ format: 'jwk' })] },
    { keys: [rsa(1024).publicKey.export({ format: 'jwk' })] },
    { keys: [{ ...publicJwk(), crv: 'P-384' }] },
    { keys: [{ ...publicJwk(), kid: '' }] },
    { keys: [{ ...publicJwk(), note: '\u0000' }] },
    { keys: [generateKeyPairSync('ec', { namedCurve: 'secp256k1' }).publicKey.export({ format: 'jwk' })] },
    { keys: ['key'] }
  ]
  for (const jwks of bad) t.ok(faultsOf({ ...method, jwks }).jwks, JSON.stringify(jwks).slice(0, 60))
  t.strictSame(
    faultsOf({ ...method, jwks: { keys: [publicJwk(), rsa(2048).publicKey.export({ format: 'jwk' })] } }),
    {}
  )
})

t.test('what is no object at all is refused', async t => {
  for (const input of [null, undefined, 'text', [], 1]) t.equal(parseClientMetadata(input).ok, false)
})

t.test('resources: identifier, scopes, format, algorithm and lifetime are checked at once', async t => {
  const outcome = parseResource({
    identifier: 'not a uri',
    name: '',
    scopes: ['api:read', 'two words', 'openid'],
    accessTokenFormat: 'saml',
    accessTokenSigningAlg: 'none',
    accessTokenLifetimeSeconds: 10 * 86_400
  })
  t.strictSame(outcome.ok || outcome.faults.map(({ field }) => field), [
    'identifier',
    'name',
    'scopes',
    'scopes',
    'access_token_format',
    'access_token_signing_alg',
    'access_token_lifetime_seconds'
  ])
  for (const identifier of ['https://api.example/', 'urn:demo:api', 'https://api.example:8443/v1?x=1'])
    t.ok(parseResource({ identifier }).ok, identifier)
  for (const identifier of ['https://api.example/#x', 'api', '/api', 'https://api example/', 'urn:x:\u0000'])
    t.notOk(parseResource({ identifier }).ok, JSON.stringify(identifier))
})
