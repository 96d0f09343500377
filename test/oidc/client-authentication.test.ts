// How a client proves who it is: by one method, the one that it registered (RFC 6749 §2.3, RFC 7523 §3, OpenID Connect Core 1.0 §9).
import t from 'tap'
import { openid } from '../helpers/application.ts'
import { signJws } from '../helpers/jws.ts'
import {
  assertionOf,
  assertionType,
  configureKeyed,
  createKey,
  jwksOf,
  seconds
} from '../helpers/keyed-client.ts'
import { type Fields, post } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('client authentication', async t => {
  const service = await startService(t)
  const machine = { grant_types: ['client_credentials'], client_name: 'Machine' }
  const key = createKey('ES256')
  const basic = await service.register(machine)
  const posted = await service.register({ ...machine, token_endpoint_auth_method: 'client_secret_post' })
  const hmac = await service.register({ ...machine, token_endpoint_auth_method: 'client_secret_jwt' })
  const keyed = await service.register({
    ...machine,
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: jwksOf(key)
  })
  const ask = async (fields: Fields, authorization?: string) => {
    const headers = authorization === undefined ? {} : { authorization }
    const { status, body } = await post(
      service,
      '/token',
      { grant_type: 'client_credentials', ...fields },
      { headers }
    )
    return { status, error: body.error }
  }
  const credentials = (id: string, secret = '') => `Basic ${btoa(`${id}:${secret}`)}`
  const good = { status: 200, error: undefined }
  const secretOf = ({ client_secret = '' }: { client_secret?: string }) => client_secret
  const assertion = { client_assertion_type: assertionType, client_assertion: '' }
  const withKey = () => ({ ...assertion, client_assertion: assertionOf(service, keyed, { key }) })
  const withSecret = (over: object = {}, header: object = {}, secret = secretOf(hmac)) => ({
    ...assertion,
    client_assertion: signJws(
      { alg: 'HS256', ...header },
      {
        iss: hmac.client_id,
        sub: hmac.client_id,
        aud: service.issuer,
        exp: seconds() + 60,
        iat: seconds(),
        jti: crypto.randomUUID(),
        ...over
      },
      secret
    )
  })

  await t.test('each by its own method', async t => {
    t.strictSame(await ask({}, credentials(basic.client_id, secretOf(basic))), good)
    t.strictSame(await ask({ client_id: posted.client_id, client_secret: secretOf(posted) }), good)
    t.strictSame(await ask(withSecret()), good)
    t.strictSame(await ask(withKey()), good)
    const config = await configureKeyed(service, keyed, key)
    t.ok((await openid.clientCredentialsGrant(config)).access_token)
    const secretConfig = await openid.discovery(
      new URL(service.issuer),
      hmac.client_id,
      undefined,
      openid.ClientSecretJwt(secretOf(hmac)),
      { execute: [openid.allowInsecureRequests] }
    )
    t.ok((await openid.clientCredentialsGrant(secretConfig)).access_token)
  })

  await t.test('OID-9: by one at a time', async t => {
    const header = credentials(basic.client_id, secretOf(basic))
    const twice: [Fields, string?][] = [
      [{ client_id: basic.client_id, client_secret: secretOf(basic) }, header],
      [withKey(), header],
      [withKey(), credentials(keyed.client_id, 'x')],
      [{ ...withKey(), client_id: keyed.client_id, client_secret: 'x' }],
      [{ ...withSecret(), client_secret: secretOf(hmac) }]
    ]
    for (const [fields, authorization] of twice)
      t.strictSame(await ask(fields, authorization), { status: 400, error: 'invalid_request' })
    t.strictSame(await ask({ client_id: posted.client_id }, header), {
      status: 400,
      error: 'invalid_request'
    })
    t.strictSame(await ask({ ...withKey(), client_id: hmac.client_id }), {
      status: 400,
      error: 'invalid_request'
    })
  })

  await t.test('OID-9: by no other than its own', async t => {
    const invalid = { status: 401, error: 'invalid_client' }
    t.strictSame(await ask({ client_id: keyed.client_id }), invalid)
    t.strictSame(await ask({ client_id: basic.client_id }), invalid)
    t.strictSame(await ask({ client_id: hmac.client_id, client_secret: secretOf(hmac) }), invalid)
    t.strictSame(await ask({}, credentials(hmac.client_id, secretOf(hmac))), invalid)
    t.strictSame(await ask({}, credentials(keyed.client_id, 'x')), invalid)
    t.strictSame(
      await ask(withSecret({ iss: basic.client_id, sub: basic.client_id }, {}, secretOf(basic))),
      invalid
    )
    t.strictSame(
      await ask({ ...assertion, client_assertion: assertionOf(service, hmac, { key }) }),
      invalid,
      'a key where a secret was agreed on'
    )
  })

  await t.test('OID-9: credentials in the header are read strictly', async t => {
    const secret = secretOf(basic)
    const garbled = [
      `Basic ${btoa(`${basic.client_id}%:${secret}`)}`,
      `Basic ${btoa(`${basic.client_id}:%zz${secret}`)}`,
      `Basic ${btoa(`${basic.client_id}:%ff%fe`)}`,
      `Basic ${btoa(`${basic.client_id}:%00${secret}`)}`,
      `Basic ${btoa(basic.client_id)}`,
      `Basic ${btoa(`${basic.client_id}:`)}`,
      'Basic !!!!',
      'Basic',
      `Bearer ${btoa(`${basic.client_id}:${secret}`)}`,
      `Basic ${btoa(`${basic.client_id}:${secret}`)} x`
    ]
    for (const header of garbled)
      t.strictSame(await ask({}, header), { status: 400, error: 'invalid_request' }, header)
    const oneOff = `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`
    for (const wrong of [oneOff, secret.slice(1), `${secret}x`, secret.toUpperCase(), 'x'.repeat(2000)])
      t.strictSame(await ask({}, credentials(basic.client_id, wrong)), {
        status: 401,
        error: 'invalid_client'
      })
    t.strictSame(await ask({}, credentials(basic.client_id, encodeURIComponent(secret))), good)
  })

  await t.test('OID-9: a client that is not there looks like one with another secret', async t => {
    const unknown = await post(
      service,
      '/token',
      { grant_type: 'client_credentials' },
      {
        headers: { authorization: credentials('nobody', 'x') }
      }
    )
    const wrong = await post(
      service,
      '/token',
      { grant_type: 'client_credentials' },
      {
        headers: { authorization: credentials(basic.client_id, 'x') }
      }
    )
    t.equal(unknown.status, wrong.status)
    t.strictSame(unknown.body, wrong.body)
  })

  await t.test(
    'OID-9, TOK-1: an assertion under a secret is of HS256, short, ours, and good once',
    async t => {
      const once = withSecret()
      t.strictSame(await ask(once), good)
      const wrong: Record<string, Fields> = {
        again: once,
        'under another secret': withSecret({}, {}, `${secretOf(hmac)}x`),
        'HS384 by its header': withSecret({}, { alg: 'HS384' }),
        none: {
          ...assertion,
          client_assertion: signJws({ alg: 'none' }, { iss: hmac.client_id, sub: hmac.client_id }, null)
        },
        'for an hour': withSecret({ exp: seconds() + 3600 }),
        'for ever': withSecret({ exp: undefined }),
        'for another server': withSecret({ aud: 'https://evil.example' }),
        expired: withSecret({ exp: seconds() - 30 }),
        'not yet valid': withSecret({ nbf: seconds() + 300 }),
        'of another type': withSecret({}, { typ: 'dpop+jwt' })
      }
      for (const [what, fields] of Object.entries(wrong))
        t.strictSame(await ask(fields), { status: 401, error: 'invalid_client' }, what)
      t.strictSame(await ask({ ...withKey(), client_assertion_type: 'x' }), {
        status: 400,
        error: 'invalid_request'
      })
      t.strictSame(await ask({ ...withKey(), client_assertion_type: undefined }), {
        status: 400,
        error: 'invalid_request'
      })
    }
  )

  await t.test('OID-9: for five minutes at most, at the issuer or its token endpoint', async t => {
    const attempt = async (claims: Record<string, unknown>) =>
      (await ask({ ...assertion, client_assertion: assertionOf(service, keyed, { key, claims }) })).status
    t.equal(await attempt({ exp: seconds() + 300 }), 200)
    t.equal(await attempt({ aud: `${service.issuer}/token` }), 200)
    t.equal(await attempt({ aud: [service.issuer, 'https://other.example'] }), 200)
    t.equal(await attempt({ exp: seconds() + 600 }), 401)
    t.equal(await attempt({ aud: `${service.issuer}/userinfo` }), 401)
    t.equal(await attempt({ aud: service.issuer.replace('localhost', 'LOCALHOST') }), 401)
  })
})
