// TOK-1: JWTs that look like ours. Wherever we read one of our own, only our own keys count, and only by their algorithm.
import { createPublicKey, generateKeyPairSync, type JsonWebKey } from 'node:crypto'
import t from 'tap'
import { signJws } from '../helpers/jws.ts'
import { createKey } from '../helpers/keyed-client.ts'
import {
  authorizationUrl,
  callbackOf,
  get,
  introspect,
  obtainCode,
  obtainTokens,
  readJwt,
  redeem,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('forged tokens', async t => {
  const service = await startService(t)
  const portal = await registerPortal(service, { resources: ['urn:demo:api'] })
  const visitor = await signedInVisitor(service, portal)
  const { keys } = (await get(service, '/jwks')).body as {
    keys: (JsonWebKey & { alg: string; kid: string })[]
  }
  const own = keys.find(({ alg }) => alg === 'ES256')
  if (own === undefined) throw new Error('no key')
  const pem = String(createPublicKey({ key: own, format: 'jwk' }).export({ type: 'spki', format: 'pem' }))
  const stranger = createKey('ES256')
  const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey

  /** Every way to forge a token of these claims. */
  const forgeriesOf = (token: string | undefined): Record<string, string> => {
    const { header, payload } = readJwt(token)
    const [head = '', body = '', signature = ''] = (token ?? '').split('.')
    const { privateKey, publicJwk } = stranger
    const by = (over: object) => signJws({ ...header, ...over }, payload, privateKey)
    return {
      none: signJws({ ...header, alg: 'none' }, payload, null),
      'none, in capitals': signJws({ ...header, alg: 'NONE' }, payload, null),
      'without signature': `${head}.${body}.`,
      'HS256 with the public key in PEM': signJws({ ...header, alg: 'HS256' }, payload, pem),
      'HS256 with the public JWK': signJws({ ...header, alg: 'HS256' }, payload, JSON.stringify(own)),
      'HS256 with nothing': signJws({ ...header, alg: 'HS256' }, payload, ''),
      'HS256 with the client’s secret': signJws({ alg: 'HS256' }, payload, portal.client_secret ?? ''),
      'a stranger’s key under our kid': by({}),
      'an unknown kid': by({ kid: 'unknown' }),
      'no kid': by({ kid: undefined }),
      'a key in the header': by({ jwk: publicJwk }),
      'a key set in the header': by({ jku: 'https://evil.example/jwks' }),
      'a certificate in the header': by({ x5u: 'https://evil.example/x5u', x5c: ['MIIB'] }),
      'another algorithm': signJws({ ...header, alg: 'RS256' }, payload, rsa),
      'another of our keys by its kid': signJws(
        { ...header, kid: keys.find(({ alg }) => alg === 'RS256')?.kid },
        payload,
        privateKey
      ),
      'other claims': `${head}.${Buffer.from(JSON.stringify({ ...payload, x: 1 })).toString('base64url')}.${signature}`,
      'one character off': `${head}.${body}.${signature.slice(0, -9)}${signature.at(-9) === 'A' ? 'B' : 'A'}${signature.slice(-8)}`
    }
  }

  const { id_token } = await obtainTokens(service, { client: portal, visitor })

  await t.test('as id_token_hint', async t => {
    const silently = async (hint: string | undefined) => {
      const url = authorizationUrl(service, portal, { prompt: 'none', id_token_hint: hint })
      return callbackOf(await visitor.visit(url)).searchParams
    }
    t.ok((await silently(id_token)).has('code'))
    for (const [what, hint] of Object.entries(forgeriesOf(id_token)))
      t.equal((await silently(hint)).get('error'), 'invalid_request', what)
  })

  await t.test('as the hint of a sign-out', async t => {
    const end = async (hint: string | undefined) =>
      await visitor.visit(`${service.issuer}/session/end?id_token_hint=${hint}`)
    t.equal((await end(id_token)).status, 200)
    for (const [what, hint] of Object.entries(forgeriesOf(id_token)))
      t.equal((await end(hint)).status, 400, what)
  })

  await t.test('as an access token', async t => {
    const code = await obtainCode(service, {
      client: portal,
      visitor,
      params: { scope: 'openid api:read', resource: 'urn:demo:api' }
    })
    const { body } = await redeem(service, portal, code, { resource: 'urn:demo:api' })
    t.equal((await introspect(service, portal, body.access_token)).body.active, true)
    for (const [what, token] of Object.entries(forgeriesOf(body.access_token)))
      t.strictSame((await introspect(service, portal, token)).body, { active: false }, what)
  })
})
