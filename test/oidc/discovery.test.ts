// What the service says of itself, and to whose scripts it talks (OpenID Connect Discovery 1.0, RFC 8414, Fetch).
import t from 'tap'
import { get, obtainTokens, post, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const documents = ['/.well-known/openid-configuration', '/.well-known/oauth-authorization-server', '/jwks']

t.test('discovery', async t => {
  const service = await startService(t)
  const { issuer } = service

  await t.test('OID-21: both documents say the same, with the issuer exactly as it is', async t => {
    const [openid, oauth] = await Promise.all(documents.slice(0, 2).map(path => get(service, path)))
    t.strictSame(openid?.body, oauth?.body)
    const { body = {} } = openid ?? {}
    t.equal(body.issuer, issuer)
    t.notMatch(issuer, /\/$/)
    for (const [name, value] of Object.entries(body))
      if (/_(endpoint|uri)$/.test(name)) t.ok(String(value).startsWith(`${issuer}/`), name)
    for (const near of [
      '/.well-known/openid-configuration/',
      '/.well-known/openid-configuration/x',
      '/.well-known/OpenID-Configuration'
    ])
      t.equal((await get(service, near)).status, 404, near)
  })

  await t.test('OID-21: it says what there is and nothing that there is not (RFC 8414 §2)', async t => {
    const { body } = await get(service, documents[0] ?? '')
    t.match(body, {
      response_types_supported: ['code'],
      code_challenge_methods_supported: ['S256'],
      authorization_response_iss_parameter_supported: true,
      subject_types_supported: ['public', 'pairwise'],
      authorization_endpoint: `${issuer}/auth`,
      token_endpoint: `${issuer}/token`,
      userinfo_endpoint: `${issuer}/userinfo`,
      jwks_uri: `${issuer}/jwks`,
      end_session_endpoint: `${issuer}/session/end`,
      introspection_endpoint: `${issuer}/introspect`,
      revocation_endpoint: `${issuer}/revoke`,
      device_authorization_endpoint: `${issuer}/device/auth`
    })
    t.strictSame([...(body.grant_types_supported as string[])].sort(), [
      'authorization_code',
      'client_credentials',
      'refresh_token',
      'urn:ietf:params:oauth:grant-type:device_code',
      'urn:ietf:params:oauth:grant-type:jwt-bearer',
      'urn:ietf:params:oauth:grant-type:token-exchange'
    ])
    t.strictSame([...(body.scopes_supported as string[])].sort(), [
      'address',
      'email',
      'offline_access',
      'openid',
      'phone',
      'profile'
    ])
    for (const name of [
      'id_token_signing_alg_values_supported',
      'token_endpoint_auth_signing_alg_values_supported'
    ])
      t.notOk((body[name] as string[]).includes('none'), name)
    t.notOk('registration_endpoint' in body)
    t.notOk('backchannel_authentication_endpoint' in body)
    t.notOk('id_token_encryption_alg_values_supported' in body)
    t.notOk('client_id_metadata_document_supported' in body)
  })

  await t.test('OID-21: the key set holds public keys only', async t => {
    const { keys } = (await get(service, '/jwks')).body as { keys: Record<string, string>[] }
    t.strictSame(keys.map(({ alg }) => alg).sort(), ['ES256', 'EdDSA', 'RS256'].sort())
    for (const key of keys) {
      t.strictSame(
        Object.keys(key).filter(member => ['d', 'p', 'q', 'dp', 'dq', 'qi', 'k', 'oth'].includes(member)),
        []
      )
      t.match(key, { use: 'sig', kid: /.+/ })
    }
  })

  await t.test('OID-21: it is answered from memory, and not at all when it is known already', async t => {
    for (const path of documents) {
      const first = await get(service, path)
      t.match(first.headers.get('cache-control'), /public, max-age=\d+/)
      const etag = first.headers.get('etag') ?? ''
      service.statements.length = 0
      const again = await get(service, path, { 'if-none-match': etag })
      t.equal(again.status, 304)
      t.equal(again.text, '')
      t.strictSame(service.statements, [])
    }
  })

  await t.test('OID-21: any page’s script may read it; none is sent along with cookies', async t => {
    for (const path of documents)
      for (const origin of ['https://evil.example', 'null']) {
        const { headers } = await get(service, path, { origin })
        t.equal(headers.get('access-control-allow-origin'), '*')
        t.equal(headers.get('access-control-allow-credentials'), null)
        const preflight = await fetch(`${issuer}${path}`, {
          method: 'OPTIONS',
          headers: { origin, 'access-control-request-method': 'GET' }
        })
        t.equal(preflight.status, 204)
        t.equal(preflight.headers.get('access-control-allow-origin'), '*')
      }
  })

  await t.test('OID-21: tokens and claims are for scripts of the application’s own origin', async t => {
    const client = await registerPortal(service, {
      redirect_uris: ['https://portal.example/callback'],
      token_endpoint_auth_method: 'none'
    })
    const native = await registerPortal(service, {
      client_name: 'Native',
      application_type: 'native',
      redirect_uris: ['com.example.app:/callback', 'http://127.0.0.1/callback'],
      token_endpoint_auth_method: 'none'
    })
    const visitor = await signedInVisitor(service, client)
    const { access_token } = await obtainTokens(service, { client, visitor })
    const ofNative = await obtainTokens(service, { client: native, visitor })

    const own = 'https://portal.example'
    const ask = async (origin: string, token = access_token) =>
      await get(service, '/userinfo', { origin, authorization: `Bearer ${token}` })
    const answer = await ask(own)
    t.equal(answer.status, 200)
    t.equal(answer.headers.get('access-control-allow-origin'), own)
    t.equal(answer.headers.get('access-control-allow-credentials'), null)
    t.match(answer.headers.get('vary'), /origin/i)
    const strangers = [
      'https://evil.example',
      'null',
      'http://portal.example',
      'https://portal.example:444',
      'https://portal.example.evil.example'
    ]
    for (const origin of strangers) {
      const refused = await ask(origin)
      t.equal(refused.headers.get('access-control-allow-origin'), null, origin)
      t.notOk('sub' in refused.body)
      const token = await post(
        service,
        '/token',
        { grant_type: 'refresh_token', refresh_token: 'x' },
        { client, headers: { origin } }
      )
      t.equal(token.headers.get('access-control-allow-origin'), null, origin)
    }
    // An app's own scheme has no origin: URL calls it "null", and so does every sandboxed page.
    const sandboxed = await ask('null', ofNative.access_token)
    t.equal(sandboxed.headers.get('access-control-allow-origin'), null)
    t.notOk('sub' in sandboxed.body)
  })

  await t.test(
    'OID-21: a preflight promises no cookies, and pages with a session promise nothing',
    async t => {
      for (const path of ['/token', '/userinfo', '/introspect', '/revoke', '/par']) {
        const { headers } = await fetch(`${issuer}${path}`, {
          method: 'OPTIONS',
          headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' }
        })
        t.equal(headers.get('access-control-allow-credentials'), null, path)
      }
      for (const path of [
        '/auth?client_id=demo-web',
        '/session/end',
        '/interaction/x/sign-in',
        '/dev/mailbox.json'
      ]) {
        const { headers } = await get(service, path, { origin: 'https://evil.example' })
        t.equal(headers.get('access-control-allow-origin'), null, path)
      }
    }
  )
})
