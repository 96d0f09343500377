// Software statements: what somebody whom the operator believes says of an application (RFC 7591 §2.3).
import { KeyObject } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT, UnsecuredJWT } from 'jose'
import t from 'tap'
import { startSite } from '../helpers/https-site.ts'
import { signJws } from '../helpers/jws.ts'
import { sendRegistration, webApplication } from '../helpers/registrations.ts'
import { startService } from '../helpers/service.ts'

const site = await startSite(t)
const { redirect_uris } = webApplication
const authority = 'https://authority.example'
const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
const rsa = await generateKeyPair('RS256', { extractable: true })
const stranger = await generateKeyPair('ES256')
const issuersFile = join(t.testdir(), 'issuers.json')
writeFileSync(
  issuersFile,
  JSON.stringify({
    [authority]: {
      keys: [
        { ...(await exportJWK(publicKey)), kid: 'es', alg: 'ES256' },
        { ...(await exportJWK(rsa.publicKey)), kid: 'rsa' }
      ]
    }
  })
)
const service = await startService(t, {
  environment: { DYNAMIC_REGISTRATION: 'open', SOFTWARE_STATEMENT_ISSUERS_FILE: issuersFile }
})

const unbelieving = await startService(t, { environment: { DYNAMIC_REGISTRATION: 'open' } })

type Making = {
  header?: Record<string, unknown>
  key?: CryptoKey | Uint8Array
  claims?: Record<string, unknown>
}
const stated = { software_id: 'album', client_name: 'Album, vouched for', redirect_uris }
const state = async ({ header = {}, key = privateKey, claims = {} }: Making = {}) => {
  const now = Math.floor(Date.now() / 1000)
  const payload = { iss: authority, iat: now, exp: now + 600, ...stated, ...claims }
  return await new SignJWT(JSON.parse(JSON.stringify(payload)))
    .setProtectedHeader({ alg: 'ES256', kid: 'es', ...header })
    .sign(key)
}
const register = async (software_statement: unknown, over: Record<string, unknown> = {}) =>
  await sendRegistration(service, '/register', {
    redirect_uris: ['https://own.example/'],
    software_statement,
    ...over
  })

t.test('RFC 7591 §2.3: a statement stands above what the application says itself', async t => {
  const statement = await state({ claims: { first_party: true, scope: 'openid admin', jti: 'x' } })
  const { status, body } = await register(statement, {
    client_name: 'Evil',
    logo_uri: 'https://album.example/l.png'
  })
  t.equal(status, 201)
  t.match(body, {
    ...stated,
    logo_uri: 'https://album.example/l.png',
    scope: 'openid',
    software_statement: statement
  })
  for (const name of ['first_party', 'iss', 'exp', 'jti']) t.notOk(name in body, name)
  t.equal((await register(statement)).status, 201, 'for every copy of the software')
  const { body: without } = await sendRegistration(service, '/register', webApplication)
  t.notOk('software_statement' in without)
})

t.test('TOK-1: statements that nobody who is believed has signed', async t => {
  const now = Math.floor(Date.now() / 1000)
  const claims = { iss: authority, exp: now + 600, ...stated }
  const jwk = await exportJWK(stranger.publicKey)
  const rsaSpki = new TextEncoder().encode(JSON.stringify(await exportJWK(rsa.publicKey)))
  const good = await state()
  const invalid: Record<string, unknown> = {
    'no JWT': 'x',
    'a number': 1,
    'without signature': new UnsecuredJWT(claims).encode(),
    'cut short': good.slice(0, -1),
    'with the signature of another': `${good.slice(0, good.lastIndexOf('.'))}.${(await state({ claims: { x: 1 } })).split('.')[2]}`,
    'of a stranger’s key': await state({ key: stranger.privateKey }),
    'with its own key inside': await state({ key: stranger.privateKey, header: { jwk } }),
    'with a key elsewhere': await state({
      key: stranger.privateKey,
      header: { jku: `${site.origin}/jwks`, x5u: `${site.origin}/x` }
    }),
    'with a key that is not known': await state({ header: { kid: 'other' } }),
    'with the public key as a secret': await state({ key: rsaSpki, header: { alg: 'HS256', kid: 'rsa' } }),
    'with an algorithm that is not allowed': await state({
      key: await crypto.subtle.importKey(
        'pkcs8',
        await crypto.subtle.exportKey('pkcs8', rsa.privateKey),
        { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-512' },
        false,
        ['sign']
      ),
      header: { alg: 'RS512', kid: 'rsa' }
    }),
    'with what must be understood': signJws(
      { alg: 'ES256', kid: 'es', crit: ['x'], x: 1 },
      claims,
      KeyObject.from(privateKey)
    ),
    'that has expired': await state({ claims: { exp: now - 60 } }),
    'that never expires': await state({ claims: { exp: undefined } }),
    'that is not good yet': await state({ claims: { nbf: now + 600 } }),
    'for another server': await state({ claims: { aud: 'https://other.example' } })
  }
  for (const [what, statement] of Object.entries(invalid)) {
    const { status, body } = await register(statement)
    t.equal(status, 400, what)
    t.match(body, { error: 'invalid_software_statement', error_description: /software_statement/ }, what)
  }
  for (const iss of ['https://stranger.example', '__proto__', undefined]) {
    const { status, body } = await register(await state({ claims: { iss } }))
    t.equal(status, 400)
    t.match(body, { error: 'unapproved_software_statement' }, String(iss))
  }
  t.strictSame(site.asked, [], 'no key was fetched')
  t.equal((await register(await state({ claims: { aud: [service.issuer] } }))).status, 201)
})

t.test(
  'what a statement says wrongly is wrong all the same; where nobody is believed it is not read',
  async t => {
    const { body } = await register(await state({ claims: { redirect_uris: ['http://album.example/'] } }))
    t.match(body, { error: 'invalid_redirect_uri' })
    const { status, body: ignored } = await sendRegistration(unbelieving, '/register', {
      ...webApplication,
      software_statement: 'x'
    })
    t.equal(status, 201)
    t.notOk('software_statement' in ignored)
  }
)
