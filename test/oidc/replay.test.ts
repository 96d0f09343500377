// Proofs, assertions and pushed requests are good once, also when twenty copies come at the same moment to two nodes.
import { createHash, generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { protocolRetention } from '../../src/oidc/retention-service.ts'
import { signJws } from '../helpers/jws.ts'
import {
  atOnce,
  authorizationUrl,
  clientOf,
  countStatuses,
  createVerifier,
  post,
  redeem,
  registerPortal,
  signedInVisitor,
  whileLocked
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const seconds = () => Math.floor(Date.now() / 1000)

t.test('on two nodes', async t => {
  const service = await startService(t, { nodes: 2 })
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const jwk = publicKey.export({ format: 'jwk' })
  const ask = { grant_type: 'client_credentials', resource: 'urn:demo:api' }

  await t.test('OID-9: of twenty copies of a client assertion one is believed', async t => {
    const client = await service.register({
      client_name: 'Keyed',
      grant_types: ['client_credentials'],
      resources: ['urn:demo:api'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks: { keys: [{ ...jwk, kid: 'one', alg: 'ES256', use: 'sig' }] }
    })
    const id = client.client_id
    const assertion = (jti: string) =>
      signJws(
        { alg: 'ES256', kid: 'one' },
        { iss: id, sub: id, aud: service.issuer, jti, iat: seconds(), exp: seconds() + 60 },
        privateKey
      )
    const present = async (client_assertion: string) =>
      await post(service, '/token', {
        ...ask,
        client_id: id,
        client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
        client_assertion
      })
    const one = assertion('one')
    t.strictSame(countStatuses(await atOnce(20, () => present(one))), { 200: 1, 401: 19 })
    t.equal((await present(one)).status, 401, 'nor later')
    t.equal((await present(assertion('two'))).status, 200)
  })

  await t.test('OID-11: of twenty copies of a DPoP proof one is believed', async t => {
    const client = clientOf(service, 'demo-service')
    const proof = (over: object = {}) =>
      signJws(
        { typ: 'dpop+jwt', alg: 'ES256', jwk },
        { htm: 'POST', htu: `${service.issuer}/token`, iat: seconds(), jti: crypto.randomUUID(), ...over },
        privateKey
      )
    const present = async (dpop: string) => await post(service, '/token', ask, { client, headers: { dpop } })
    const one = proof()
    const replies = await atOnce(20, () => present(one))
    t.strictSame(countStatuses(replies), { 200: 1, 400: 19 })
    t.equal(replies.find(({ status }) => status === 200)?.body.token_type, 'DPoP')
    for (const wrong of [
      proof({ htu: 'https://evil.example/token' }),
      proof({ htm: 'GET' }),
      proof({ iat: seconds() - 3600 }),
      `${proof()}x`
    ])
      t.equal((await present(wrong)).status, 400)

    // Believed until ten minutes from now: its date may be five minutes off either way.
    const ahead = proof({ iat: seconds() + 295 })
    t.equal((await present(ahead)).status, 200)
    service.advance(590)
    for (const { deleteExpired } of protocolRetention) await deleteExpired(service.pool, new Date(), 1000)
    t.equal((await present(ahead)).status, 400, 'and until then its use is remembered')
  })

  await t.test('OID-12: of twenty uses of a pushed request one leads to a code', async t => {
    const client = await registerPortal(service)
    const visitor = await signedInVisitor(service, client)
    const push = async (verifier: string) => {
      const challenge = createHash('sha256').update(verifier).digest('base64url')
      const params = new URL(authorizationUrl(service, client, { code_challenge: challenge })).searchParams
      return (await post(service, '/par', params, { client })).body.request_uri ?? ''
    }
    const use = async (requestUri: string, clientId = client.client_id) => {
      const url = new URL('/auth', service.issuer)
      url.searchParams.set('client_id', clientId)
      url.searchParams.set('request_uri', requestUri)
      return await visitor.request(url.href)
    }
    const codeOf = ({ location }: { location: string | null }) =>
      location === null ? null : new URL(location).searchParams.get('code')

    const { verifier } = createVerifier()
    const requestUri = await push(verifier)
    const answers = await whileLocked(service, 'oidc_artifacts', { count: 20, work: () => use(requestUri) })
    const codes = answers.map(codeOf).filter(code => code !== null)
    t.equal(codes.length, 1)
    for (const answer of answers.filter(answer => codeOf(answer) === null)) {
      t.equal(answer.status, 400)
      t.match(answer.text, 'invalid_request_uri')
    }
    t.equal(codeOf(await use(requestUri)), null, 'nor later')
    const redirectUri = 'https://portal.example/callback'
    t.equal((await redeem(service, client, { code: codes[0] ?? '', verifier, redirectUri })).status, 200)

    const other = await registerPortal(service, { client_name: 'Other' })
    const stolen = await push(createVerifier().verifier)
    t.equal(codeOf(await use(stolen, other.client_id)), null, 'it is its own application’s')
    t.ok(codeOf(await use(stolen)))
    const late = await push(createVerifier().verifier)
    service.advance(61)
    t.equal(codeOf(await use(late)), null, 'it is good for a minute')
  })
})
