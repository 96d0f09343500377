// DPOP_NONCES=required: no proof without a nonce of ours, on whichever node (RFC 9449 §8, §9).
import { generateKeyPairSync, hash } from 'node:crypto'
import t from 'tap'
import { createApplication, openid } from '../helpers/application.ts'
import { signJws } from '../helpers/jws.ts'
import { get, post, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('with DPOP_NONCES=required', async t => {
  const service = await startService(t, { nodes: 2, environment: { DPOP_NONCES: 'required' } })
  const portal = await registerPortal(service)
  const visitor = await signedInVisitor(service, portal)
  const robot = await service.register({ client_name: 'Robot', grant_types: ['client_credentials'] })
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const proof = (claims: object) =>
    signJws(
      { typ: 'dpop+jwt', alg: 'ES256', jwk: publicKey.export({ format: 'jwk' }) },
      {
        htm: 'POST',
        htu: `${service.issuer}/token`,
        iat: Math.floor(Date.now() / 1000),
        jti: crypto.randomUUID(),
        ...claims
      },
      privateKey
    )
  const ask = async (claims: object) =>
    await post(
      service,
      '/token',
      { grant_type: 'client_credentials' },
      { client: robot, headers: { dpop: proof(claims) } }
    )

  await t.test('OID-11: a proof without one is answered with one, which the other node takes', async t => {
    const first = await ask({})
    t.match(first, { status: 400, body: { error: 'use_dpop_nonce', access_token: undefined } })
    const nonce = first.headers.get('dpop-nonce')
    t.match(nonce, /^[\w-]{43}$/)
    t.equal((await ask({ nonce })).status, 200)
    t.equal((await ask({ nonce })).status, 200, 'for some minutes, on every node')
  })

  await t.test('OID-11: a nonce that is not ours, or of long ago, is none', async t => {
    const nonce = String((await ask({})).headers.get('dpop-nonce'))
    const flipped = `${nonce.slice(0, -2)}${nonce.at(-2) === 'A' ? 'B' : 'A'}${nonce.slice(-1)}`
    for (const wrong of ['x', '', flipped, `${nonce}x`])
      t.match(await ask({ nonce: wrong }), { status: 400, body: { error: 'use_dpop_nonce' } }, wrong)
    t.match(await ask({ nonce: 1 }), { status: 400, body: { error: 'invalid_dpop_proof' } })
    service.advance(600)
    t.match(await ask({ nonce, iat: Math.floor(Date.now() / 1000) }), { status: 400 })
  })

  await t.test('OID-11: userinfo asks for one as well, and openid-client brings it everywhere', async t => {
    const { config, begin } = await createApplication(service, portal)
    const DPoP = openid.getDPoPHandle(config, await openid.randomDPoPKeyPair('ES256'))
    const { url, finish } = await begin({ scope: 'openid', prompt: 'none' })
    const tokens = await finish((await visitor.visit(url)).location, { DPoP })
    const sub = tokens.claims()?.sub ?? ''
    t.match(await openid.fetchUserInfo(config, tokens.access_token, sub, { DPoP }), { sub })
    const bare = await get(service, '/userinfo', {
      authorization: `DPoP ${tokens.access_token}`,
      dpop: proof({
        htm: 'GET',
        htu: `${service.issuer}/userinfo`,
        ath: hash('sha256', tokens.access_token, 'base64url')
      })
    })
    t.equal(bare.status, 401)
    t.match(bare.headers.get('www-authenticate'), /DPoP.*error="use_dpop_nonce"/)
    t.ok(bare.headers.get('dpop-nonce'))
  })

  await t.test('who brings no proof gets tokens that are not bound, as before', async t => {
    const { status, body } = await post(
      service,
      '/token',
      { grant_type: 'client_credentials' },
      { client: robot }
    )
    t.match({ status, body }, { status: 200, body: { token_type: 'Bearer' } })
  })
})
