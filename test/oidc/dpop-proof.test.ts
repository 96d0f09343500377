// Every way to pretend to hold a key (RFC 9449 §4.3, RFC 8725).
import { createHmac, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { signJws } from '../helpers/jws.ts'
import { clientOf, get, post } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('TOK-1, OID-11: a DPoP proof is believed only when the key in it signed it', async t => {
  const service = await startService(t)
  const client = clientOf(service, 'demo-service')
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = publicKey.export({ format: 'jwk' })
  const header = { typ: 'dpop+jwt', alg: 'ES256', jwk }
  const claims = (over: object = {}) => ({
    htm: 'POST',
    htu: `${service.issuer}/token`,
    iat: Math.floor(Date.now() / 1000),
    jti: crypto.randomUUID(),
    ...over
  })
  const proof = (over: object = {}, key = privateKey) => signJws({ ...header, ...over }, claims(), key)
  const present = async (dpop: string) =>
    await post(service, '/token', { grant_type: 'client_credentials' }, { client, headers: { dpop } })
  const unsigned = (over: object) => proof(over).replace(/[^.]*$/, '')
  const hmac = (secret: string) => {
    const input = proof({ alg: 'HS256' }).replace(/\.[^.]*$/, '')
    return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
  }
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 })
  const forged: Record<string, string> = {
    none: unsigned({ alg: 'none' }),
    'no signature': unsigned({}),
    'a signature off by one': proof().replace(/.{10}$/, end => (end[0] === 'A' ? 'B' : 'A') + end.slice(1)),
    "a stranger's signature": proof({}, stranger.privateKey),
    'HS256 with the public key as its secret': hmac(
      publicKey.export({ type: 'spki', format: 'pem' }) as string
    ),
    'HS256 with the public JWK as its secret': hmac(JSON.stringify(jwk)),
    'a secret as its key': proof({ alg: 'HS256', jwk: { kty: 'oct', k: 'c2VjcmV0' } }),
    'its private key in it': proof({ jwk: privateKey.export({ format: 'jwk' }) }),
    'no key': proof({ jwk: undefined }),
    'a key elsewhere': proof({ jwk: undefined, jku: 'https://evil.example/jwks', kid: 'one' }),
    'an algorithm that is not offered': proof({ alg: 'RS256', jwk: rsa.publicKey.export({ format: 'jwk' }) }),
    'an ID token’s type': proof({ typ: 'JWT' }),
    'no type': proof({ typ: undefined }),
    'an extension that we do not know': proof({ crit: ['exp'], exp: 1 }),
    'no JWT': 'x',
    'two proofs in one': `${proof()}, ${proof()}`
  }
  for (const [name, dpop] of Object.entries(forged)) {
    const { status, body } = await present(dpop)
    t.match({ status, body }, { status: 400, body: { error: 'invalid_dpop_proof' } }, name)
    t.equal(body.access_token, undefined)
  }
  t.equal((await present(proof())).body.token_type, 'DPoP')
  const { body } = await get(service, '/.well-known/openid-configuration')
  t.strictSame(body.dpop_signing_alg_values_supported, ['ES256', 'EdDSA', 'Ed25519'])
})
