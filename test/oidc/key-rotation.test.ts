// New signing keys while tokens are being fetched: nobody notices (OpenID Connect Core 1.0 §10.1.1).
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import t from 'tap'
import { rotateSigningKey } from '../../src/keys/service.ts'
import { clientOf, introspect, post, readJwt } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

type Jwk = JsonWebKey & { kid: string; alg: string }

t.test('TOK-1: keys rotate under way on two nodes, and every token verifies, old and new', async t => {
  const service = await startService(t, { nodes: 2 })
  const client = clientOf(service, 'demo-service')
  const fetchToken = async () =>
    await post(service, '/token', { grant_type: 'client_credentials', resource: 'urn:demo:api' }, { client })
  const keysOfNodes = async (): Promise<Jwk[][]> =>
    await Promise.all(
      service.apps.map(async ({ http }) => (await http.inject('/jwks')).json<{ keys: Jwk[] }>().keys)
    )
  const publishedOnBoth = async (kid: string) =>
    (await keysOfNodes()).every(keys => keys.some(key => key.kid === kid))
  const verifies = (jwt: string | undefined, keys: Jwk[]) => {
    const [header, payload, signature = ''] = (jwt ?? '').split('.')
    const jwk = keys.find(({ kid }) => kid === readJwt(jwt).header.kid)
    if (jwk === undefined) return false
    const key = createPublicKey({ key: jwk, format: 'jwk' })
    const options = { key, dsaEncoding: 'ieee-p1363' as const }
    return verify('sha256', Buffer.from(`${header}.${payload}`), options, Buffer.from(signature, 'base64url'))
  }

  const fetched: { status: number; jwt: string | undefined }[] = []
  let going = true
  const application = (async () => {
    while (going) {
      const { status, body } = await fetchToken()
      fetched.push({ status, jwt: body.access_token })
    }
  })()
  const before = (await fetchToken()).body.access_token
  const oldKid = readJwt(before).header.kid

  const published = await rotateSigningKey(service.app.ctx, 'ES256')
  t.equal(published.step, 'published')
  let started = performance.now()
  await waitFor(() => publishedOnBoth(published.kid))
  t.ok(performance.now() - started < 1000, 'both nodes publish the next key within a second')
  t.equal(readJwt((await fetchToken()).body.access_token).header.kid, oldKid, 'which does not sign yet')

  t.equal((await rotateSigningKey(service.app.ctx, 'ES256', { now: true })).step, 'promoted')
  started = performance.now()
  const signsWith = async () => {
    const two = await Promise.all([fetchToken(), fetchToken()])
    return two.every(({ body }) => readJwt(body.access_token).header.kid === published.kid)
  }
  await waitFor(signsWith)
  t.ok(performance.now() - started < 1000, 'both nodes sign with it within a second')

  const atOnce = await rotateSigningKey(service.app.ctx, 'ES256', { now: true })
  await waitFor(() => publishedOnBoth(atOnce.kid))
  going = false
  await application

  t.ok(fetched.length > 5, `${fetched.length} tokens meanwhile`)
  t.strictSame([...new Set(fetched.map(({ status }) => status))], [200])
  for (const [node, keys] of (await keysOfNodes()).entries()) {
    t.ok(
      fetched.every(({ jwt }) => verifies(jwt, keys)),
      `all verify with the keys of node ${node}`
    )
    t.ok(verifies(before, keys), 'the oldest too')
  }
  t.equal((await introspect(service, client, before)).body.active, true)

  await t.test('and a leaked key is gone at once, with all that it signed', async t => {
    const { kid } = readJwt((await fetchToken()).body.access_token).header
    const signed = (await fetchToken()).body.access_token
    await rotateSigningKey(service.app.ctx, 'ES256', { revoke: true })
    await waitFor(async () => !(await keysOfNodes()).flat().some(key => key.kid === kid))
    t.strictSame((await introspect(service, client, signed)).body, { active: false })
    t.equal((await fetchToken()).status, 200)
  })
})
