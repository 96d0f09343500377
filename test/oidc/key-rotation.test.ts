// New signing keys while tokens are being fetched: nobody notices (OpenID Connect Core 1.0 §10.1.1).
import { createPublicKey, type JsonWebKey, verify } from 'node:crypto'
import t from 'tap'
import { finishRotations, rotateSigningKey } from '../../src/keys/service.ts'
import { clientOf, introspect, post, readJwt } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

type Jwk = JsonWebKey & { kid: string; alg: string }

t.test('TOK-3: keys rotate under way on two nodes, and every token verifies, old and new', async t => {
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

t.test('TOK-3: who keeps the key set for as long as it may never meets a key that is not in it', async t => {
  const service = await startService(t)
  const client = clientOf(service, 'demo-service')
  const kidOfToken = async () => {
    const fields = { grant_type: 'client_credentials', resource: 'urn:demo:api' }
    return readJwt((await post(service, '/token', fields, { client })).body.access_token).header.kid
  }
  const readKeySet = async () => {
    const { headers, body } = await service.app.http.inject('/jwks')
    const maxAge = Number(/max-age=(\d+)/.exec(String(headers['cache-control']))?.[1])
    const { keys } = JSON.parse(body) as { keys: Jwk[] }
    return { maxAge, kids: keys.map(({ kid }) => kid) }
  }
  const oldKid = await kidOfToken()
  let kept = await readKeySet()
  t.ok(kept.maxAge > 0)

  const { ctx } = service.app
  const { kid } = await rotateSigningKey(ctx, 'ES256')
  const stepSeconds = kept.maxAge
  let seconds = 0
  for (; (await kidOfToken()) === oldKid; seconds += stepSeconds) {
    // The last moment before the kept set ends is when it is most out of date.
    service.advance(stepSeconds)
    await finishRotations(ctx)
    await service.app.oidc.reload()
    t.ok(kept.kids.includes(String(await kidOfToken())), `${seconds} s after the new key was published`)
    kept = await readKeySet()
    if (seconds > 200_000) return t.fail('the new key never signs')
  }
  t.equal(await kidOfToken(), kid)
  t.ok(seconds >= stepSeconds)
  t.ok(kept.kids.includes(String(oldKid)), 'what it signed before still verifies')
  service.advance(ctx.config.accessTokenLifetimeSeconds)
  await finishRotations(ctx)
  await service.app.oidc.reload()
  t.ok((await readKeySet()).kids.includes(String(oldKid)), 'to the end of its last token')
})
