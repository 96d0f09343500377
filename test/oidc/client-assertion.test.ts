// How a client with a key proves who it is, and every way to pretend (RFC 7523 §3).
import { createHmac, createSign, generateKeyPairSync, sign } from 'node:crypto'
import t from 'tap'
import { post } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('TOK-1: a client assertion is believed only as it was registered', async t => {
  const service = await startService(t)
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = { ...publicKey.export({ format: 'jwk' }), kid: 'one', alg: 'ES256', use: 'sig' }
  const client = await service.register({
    client_name: 'Keyed',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks: { keys: [jwk] }
  })
  const now = () => Math.floor(Date.now() / 1000)
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
  let count = 0
  const claims = (over: object = {}) => ({
    iss: client.client_id,
    sub: client.client_id,
    aud: service.issuer,
    jti: `assertion-${count++}`,
    iat: now(),
    exp: now() + 60,
    ...over
  })
  const withKey = (payload: object, header: object = {}, key = privateKey) => {
    const input = `${part({ alg: 'ES256', kid: 'one', ...header })}.${part(payload)}`
    return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
  }
  const present = async (client_assertion: string) =>
    await post(service, '/token', {
      grant_type: 'client_credentials',
      client_id: client.client_id,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion
    })

  t.equal((await present(withKey(claims()))).status, 200)
  const strangerJwk = stranger.publicKey.export({ format: 'jwk' })
  const hmac = (secret: string) => {
    const input = `${part({ alg: 'HS256', kid: 'one' })}.${part(claims())}`
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const forged: [string, string][] = [
    ['none', `${part({ alg: 'none' })}.${part(claims())}.`],
    ['no signature', `${withKey(claims()).split('.').slice(0, 2).join('.')}.`],
    [
      'HS256 with the public key as its secret',
      hmac(publicKey.export({ type: 'spki', format: 'pem' }) as string)
    ],
    ['HS256 with the public JWK', hmac(JSON.stringify(jwk))],
    ["a stranger's key", withKey(claims(), {}, stranger.privateKey)],
    ['a key of its own in the header', withKey(claims(), { jwk: strangerJwk }, stranger.privateKey)],
    [
      'a key set of its own in the header',
      withKey(claims(), { jku: 'https://evil.example/jwks' }, stranger.privateKey)
    ],
    ['a certificate of its own', withKey(claims(), { x5u: 'https://evil.example/x' }, stranger.privateKey)],
    ['an unknown kid', withKey(claims(), { kid: 'two' }, stranger.privateKey)],
    ['a critical header that nobody knows', withKey(claims(), { crit: ['x'], x: 1 })],
    ['another algorithm', rsaAssertion(part, claims())],
    ['expired', withKey(claims({ exp: now() - 60, iat: now() - 120 }))],
    ['without end', withKey(claims({ exp: undefined }))],
    ['without jti', withKey(claims({ jti: undefined }))],
    ['for another server', withKey(claims({ aud: 'https://evil.example' }))],
    ['of another issuer', withKey(claims({ iss: 'other' }))],
    ['about another client', withKey(claims({ sub: 'demo-service' }))]
  ]
  for (const [what, assertion] of forged) {
    const { status, body } = await present(assertion)
    t.ok(status === 401 || status === 400, `${what}: ${status}`)
    t.match(body.error, /^invalid_(client|request)$/, what)
    t.equal(body.access_token, undefined, what)
  }
  t.equal((await present(withKey(claims()))).status, 200, 'the true one still passes')
})

function rsaAssertion(part: (value: object) => string, claims: object): string {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const input = `${part({ alg: 'RS256', kid: 'one' })}.${part(claims)}`
  return `${input}.${createSign('sha256').update(input).sign(privateKey, 'base64url')}`
}
