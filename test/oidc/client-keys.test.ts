// Keys that an application publishes at its jwks_uri: how a rotation is noticed, and how often anybody can make us ask.
import t from 'tap'
import { documentOf, startDocumentServer } from '../helpers/document-server.ts'
import { assertionOf, assertionType, createKey, jwksOf, type Key } from '../helpers/keyed-client.ts'
import { obtainTokens, post, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('keys at a jwks_uri', async t => {
  const service = await startService(t, { environment: { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8' } })
  const [first, second, stranger] = [
    createKey('ES256', 'one'),
    createKey('ES256', 'two'),
    createKey('ES256', 'x')
  ]
  let published = jwksOf(first)
  const server = await startDocumentServer(
    t,
    documentOf(() => published)
  )
  const register = async (path: string) =>
    await service.register({
      client_name: 'Keyed',
      grant_types: ['client_credentials'],
      token_endpoint_auth_method: 'private_key_jwt',
      jwks_uri: `${server.url}${path}`
    })
  const client = await register('/jwks')
  const present = async (key: Key, as = client) =>
    (
      await post(service, '/token', {
        grant_type: 'client_credentials',
        client_assertion_type: assertionType,
        client_assertion: assertionOf(service, as, { key })
      })
    ).status

  await t.test('they are asked for when they are needed, by however many at once, and kept', async t => {
    const statuses = await Promise.all(Array.from({ length: 10 }, () => present(first)))
    t.strictSame(statuses, Array(10).fill(200))
    t.equal(server.asked.length, 1)
    t.equal(await present(first), 200)
    t.equal(server.asked.length, 1)
  })

  await t.test(
    'TOK-1: an unknown kid leads to one more request, whatever the document said of its age',
    async t => {
      published = jwksOf(first, second)
      service.advance(11)
      t.equal(await present(second), 200)
      t.equal(server.asked.length, 2)
    }
  )

  await t.test('nobody makes us ask again and again', async t => {
    for (let count = 0; count < 10; count++) t.equal(await present(stranger), 401)
    t.equal(server.asked.length, 2, 'within ten seconds of the last time')
    service.advance(11)
    const statuses = await Promise.all(Array.from({ length: 20 }, () => present(stranger)))
    t.strictSame(statuses, Array(20).fill(401))
    t.equal(server.asked.length, 3)
    t.equal(await present(second), 200, 'and who is known is let in meanwhile')
  })

  await t.test('a key that was taken back is believed for a minute at most', async t => {
    published = jwksOf(second)
    service.advance(61)
    t.equal(await present(first), 401)
    t.equal(await present(second), 200)
  })

  await t.test('a server that does not answer is not asked more often', async t => {
    const asked = server.asked.length
    server.answer((_request, response) => response.writeHead(500).end('{"keys":[]}'))
    service.advance(61)
    for (let count = 0; count < 5; count++) t.equal(await present(second), 401)
    t.equal(server.asked.length, asked + 1)
    server.answer(documentOf(() => published))
    service.advance(11)
    t.equal(await present(second), 200, 'and believed again when it does')
  })

  await t.test('what is published is public keys of safe kinds, else nothing', async t => {
    const { publicJwk, privateKey } = second
    const sets: Record<string, unknown> = {
      'a private key': { keys: [{ ...publicJwk, d: privateKey.export({ format: 'jwk' }).d }] },
      'a shared secret': { keys: [{ kty: 'oct', kid: 'two', k: 'c2VjcmV0' }] },
      'no list': { keys: 'x' },
      nothing: null,
      'a redirect': undefined
    }
    for (const [what, set] of Object.entries(sets)) {
      server.answer((request, response) =>
        set === undefined
          ? response.writeHead(302, { location: '/jwks' }).end(JSON.stringify(jwksOf(second)))
          : documentOf(() => set)(request, response)
      )
      const odd = await register(`/${encodeURIComponent(what)}`)
      t.equal(await present(second, odd), 401, what)
    }
  })
})

t.test('keys to encrypt for are asked for as often, and no seldomer', async t => {
  const service = await startService(t, {
    environment: { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8', JWT_ENCRYPTION: 'on' }
  })
  const { publicJwk } = createKey('ES256', 'one')
  const server = await startDocumentServer(
    t,
    documentOf(() => ({ keys: [{ ...publicJwk, use: 'enc' }] }))
  )
  const client = await registerPortal(service, {
    jwks_uri: server.url,
    id_token_encrypted_response_alg: 'ECDH-ES'
  })
  const visitor = await signedInVisitor(service, client)
  for (const count of [1, 1, 2]) {
    await obtainTokens(service, { client, visitor })
    t.equal(server.asked.length, count)
    service.advance(6)
  }
})

t.test('a jwks_uri in a network that is not the installation’s own is not asked', async t => {
  const service = await startService(t)
  const key = createKey('ES256')
  const server = await startDocumentServer(
    t,
    documentOf(() => jwksOf(key))
  )
  const client = await service.register({
    client_name: 'Keyed',
    grant_types: ['client_credentials'],
    token_endpoint_auth_method: 'private_key_jwt',
    jwks_uri: server.url
  })
  const { status } = await post(service, '/token', {
    grant_type: 'client_credentials',
    client_assertion_type: assertionType,
    client_assertion: assertionOf(service, client, { key })
  })
  t.equal(status, 401)
  t.strictSame(server.asked, [])
})
