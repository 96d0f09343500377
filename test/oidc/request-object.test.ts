// Authorization requests that the application signed (RFC 9101), and every way to have another one believed.
import { generateKeyPairSync } from 'node:crypto'
import { CompactEncrypt } from 'jose'
import t from 'tap'
import { openid } from '../helpers/application.ts'
import { signJws } from '../helpers/jws.ts'
import {
  configureKeyed,
  createKey,
  jwksOf,
  type Key,
  type Spoilt,
  seconds,
  signAs,
  toCryptoKey
} from '../helpers/keyed-client.ts'
import {
  callbackOf,
  createVerifier,
  type Fields,
  get,
  post,
  redirectUriOf,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const base64url = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

t.test('request objects', async t => {
  const service = await startService(t, { environment: { JWT_ENCRYPTION: 'on' } })
  const [key, stranger] = [createKey('ES256'), createKey('ES256')]
  const signer = await registerPortal(service, {
    client_name: 'Signer',
    jwks: jwksOf(key, createKey('RS256')),
    require_signed_request_object: true,
    request_object_signing_alg: 'ES256'
  })
  const portal = await registerPortal(service, { jwks: jwksOf(key) })
  const visitor = await signedInVisitor(service, portal)
  const { challenge } = createVerifier()
  const asked = {
    response_type: 'code',
    redirect_uri: redirectUriOf(portal),
    scope: 'openid',
    state: 'inside',
    code_challenge: challenge,
    code_challenge_method: 'S256'
  }
  const requestOf = (client = signer, { claims = {}, header = {}, by = key }: Spoilt & { by?: Key } = {}) =>
    signAs(client, by, {
      header,
      claims: { client_id: client.client_id, ...asked, aud: service.issuer, ...claims }
    })
  const ask = async (fields: Fields, client = signer) => {
    const url = new URL('/auth', service.issuer)
    for (const [name, value] of Object.entries({ client_id: client.client_id, ...fields }))
      if (value !== undefined) url.searchParams.set(name, value)
    return await visitor.request(url.href)
  }

  await t.test('RFC 9101 §5: openid-client’s is taken, directly and pushed', async t => {
    const config = await configureKeyed(service, signer, key)
    const client = await openid.buildAuthorizationUrlWithJAR(config, asked, {
      key: await toCryptoKey(key),
      kid: key.kid
    })
    t.ok(callbackOf(await visitor.request(client.href)).searchParams.has('code'))
    const pushed = await post(
      service,
      '/par',
      { request: client.searchParams.get('request') ?? '' },
      { client: signer }
    )
    t.equal(pushed.status, 201)
    t.ok(callbackOf(await ask({ request_uri: pushed.body.request_uri })).searchParams.has('code'))
  })

  await t.test('OID-12: what stands outside of the signature counts for nothing', async t => {
    const outside = {
      redirect_uri: 'https://evil.example/',
      scope: 'openid email',
      state: 'outside',
      response_mode: 'fragment',
      prompt: 'login',
      code_challenge: createVerifier().challenge,
      resource: 'urn:demo:api'
    }
    const callback = callbackOf(await ask({ request: requestOf(), ...outside }))
    t.ok(callback.href.startsWith(`${redirectUriOf(signer)}?`))
    t.equal(callback.searchParams.get('state'), 'inside')
    t.ok(callback.searchParams.has('code'))
    const bare = callbackOf(
      await ask({ request: requestOf(signer, { claims: { state: undefined } }), ...outside })
    )
    t.notOk(bare.searchParams.has('state'), 'nor does it fill gaps')
    const other = await ask({ request: requestOf(), response_type: 'code id_token' })
    t.equal(other.status, 400, 'a response_type that contradicts is an error')
    t.equal((await ask({ request: requestOf(), client_id: portal.client_id }, portal)).status, 400)
  })

  await t.test(
    'RFC 9101 §10.5: who registered to sign everything is not asked for anything unsigned',
    async t => {
      const codeOf = (callback: URL) => callback.searchParams.get('code')
      t.equal(codeOf(callbackOf(await ask(asked))), null)
      t.equal((await post(service, '/par', asked, { client: signer })).status, 400)
      t.not(codeOf(callbackOf(await ask(asked, portal))), null, 'others may')
    }
  )

  await t.test('OID-12, TOK-1: forged in any way it is refused, at both endpoints', async t => {
    const pem = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({
      type: 'spki',
      format: 'pem'
    })
    const payload = {
      iss: signer.client_id,
      client_id: signer.client_id,
      ...asked,
      aud: service.issuer,
      exp: seconds() + 60
    }
    const jwk = stranger.publicJwk
    const whole = requestOf()
    const recipient = (await get(service, '/jwks')).body.keys as { alg: string; use?: string }[]
    const rsa = recipient.find(({ alg }) => alg === 'RS256')
    const { use: _use, alg: _alg, ...bare } = rsa ?? { alg: '' }
    const wrapped = await new CompactEncrypt(
      Buffer.from(`${base64url({ alg: 'none' })}.${base64url(payload)}.`)
    )
      .setProtectedHeader({ alg: 'RSA-OAEP-256', enc: 'A128GCM', cty: 'JWT' })
      .encrypt(
        await crypto.subtle.importKey('jwk', bare as never, { name: 'RSA-OAEP', hash: 'SHA-256' }, false, [
          'encrypt'
        ])
      )
    const forged: Record<string, string> = {
      none: signJws({ alg: 'none' }, payload, null),
      NONE: signJws({ alg: 'NONE' }, payload, null),
      'no signature': whole.replace(/[^.]+$/, ''),
      'one character off': `${whole.slice(0, -10)}${whole.at(-10) === 'A' ? 'B' : 'A'}${whole.slice(-9)}`,
      'HS256 with the public key': signJws({ alg: 'HS256', kid: key.kid }, payload, String(pem)),
      'HS256 with the secret': signJws({ alg: 'HS256' }, payload, signer.client_secret ?? ''),
      'another algorithm of its own': requestOf(signer, { by: createKey('RS256') }),
      'a stranger’s key': requestOf(signer, { by: stranger }),
      'an unknown kid': requestOf(signer, { by: { ...stranger, kid: 'unknown' } }),
      'a key in the header': requestOf(signer, { by: stranger, header: { jwk } }),
      'a key set in the header': requestOf(signer, {
        by: stranger,
        header: { jku: 'https://evil.example/jwks' }
      }),
      'a certificate in the header': requestOf(signer, {
        by: stranger,
        header: { x5u: 'https://evil.example/x5u' }
      }),
      'unknown crit': requestOf(signer, { header: { crit: ['x'], x: 1 } }),
      'for another server': requestOf(signer, { claims: { aud: 'https://evil.example' } }),
      'for nobody': requestOf(signer, { claims: { aud: undefined } }),
      'of another client': requestOf(signer, { claims: { iss: portal.client_id } }),
      'of nobody': requestOf(signer, { claims: { iss: undefined } }),
      expired: requestOf(signer, { claims: { exp: seconds() - 60 } }),
      'not yet valid': requestOf(signer, { claims: { nbf: seconds() + 600 } }),
      'a logout token': requestOf(signer, { header: { typ: 'logout+jwt' } }),
      'a request in the request': requestOf(signer, { claims: { request: whole } }),
      'unsigned in an envelope': wrapped,
      nonsense: 'a.b.c'
    }
    for (const [what, request] of Object.entries(forged)) {
      const direct = await ask({ request })
      const code = direct.location === null ? null : new URL(direct.location).searchParams.get('code')
      t.equal(code, null, what)
      t.notMatch(direct.location ?? '', /evil/, what)
      const { status, body } = await post(service, '/par', { request }, { client: signer })
      t.match(
        { status, body },
        { status: 400, body: { error: /^invalid_request(_object)?$/ } },
        `${what}, pushed`
      )
    }
    t.equal(
      (await post(service, '/par', { request: whole }, { client: signer })).status,
      201,
      'the true one passes'
    )
  })

  await t.test('RFC 9101 §5.2: requests are never fetched', async t => {
    const answer = await ask({ request_uri: 'https://evil.example/request.jwt' }, portal)
    t.match(answer, { status: 400, text: /request_uri_not_supported/ })
    const both = await ask({ request: requestOf(), request_uri: 'urn:ietf:params:oauth:request_uri:x' })
    t.equal(both.status, 400)
  })
})
