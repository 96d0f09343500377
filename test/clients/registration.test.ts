import { createHash } from 'node:crypto'
import Provider from 'oidc-provider'
import t from 'tap'
import { allowedScopes, type Client } from '../../src/clients/model.ts'
import { findClient, listClients, listResources } from '../../src/clients/repository.ts'
import { registerResource, removeResource } from '../../src/clients/resource-service.ts'
import {
  clientSecretKey,
  protocolMetadata,
  registerClient,
  removeClient,
  replaceClient,
  replaceClientSecret
} from '../../src/clients/service.ts'
import { createDatabase } from '../helpers/database.ts'
import { createContext, type TestContext } from '../helpers/registry-context.ts'

const web = { client_name: 'Shop', redirect_uris: ['https://shop.example/callback'] }
const sha256 = (text: string) => createHash('sha256').update(text).digest()

async function register(ctx: TestContext, input: unknown, options = {}) {
  const outcome = await registerClient(ctx, input, options)
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults))
  return outcome
}

async function stored(ctx: TestContext, clientId: string): Promise<Client> {
  const client = await findClient(ctx.sql, clientId)
  if (client === null) throw new Error('the client was registered')
  return client
}

t.test('the secret is shown once; the database keeps its hash', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  const { client_id, client_secret } = await register(ctx, web)

  t.match(client_secret, /^[A-Za-z0-9_-]{43}$/, '256 random bits')
  const client = await stored(ctx, client_id)
  t.strictSame(client.clientSecretHash, sha256(client_secret ?? ''))
  t.equal(client.clientSecretSealed, null)
  const [dump] = await sql<{ text: string }[]>`
    select (select string_agg(c::text, ' ') from clients c) || (select string_agg(a::text, ' ') from audit_events a) as text
  `
  t.match(dump?.text, 'Shop')
  t.notMatch(dump?.text, client_secret)
  t.notMatch(dump?.text, Buffer.from(client_secret ?? '', 'base64url').toString('hex'))
  t.equal(
    protocolMetadata(client, clientSecretKey(ctx.config)).client_secret,
    `sha256:${sha256(client_secret ?? '').toString('base64url')}`
  )
})

t.test('a secret that an HMAC needs is sealed, and opens with the right key alone', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  for (const change of [
    { token_endpoint_auth_method: 'client_secret_jwt' },
    { id_token_signed_response_alg: 'HS256' }
  ]) {
    const { client_id, client_secret } = await register(ctx, { ...web, ...change })
    const client = await stored(ctx, client_id)
    t.equal(client.clientSecretHash, null)
    t.notOk(client.clientSecretSealed?.includes(client_secret ?? ''))
    t.equal(protocolMetadata(client, clientSecretKey(ctx.config)).client_secret, client_secret)
    t.throws(() => protocolMetadata(client, clientSecretKey(createContext(sql).config)), /ENCRYPTION_KEY/)
  }
})

t.test('clients that prove themselves otherwise get no secret', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  const { client_id, client_secret } = await register(ctx, { ...web, token_endpoint_auth_method: 'none' })
  t.equal(client_secret, null)
  t.notOk('client_secret' in protocolMetadata(await stored(ctx, client_id), clientSecretKey(ctx.config)))
  t.equal(await replaceClientSecret(ctx, client_id), null)
})

t.test('an id can be chosen once, even by two at the same moment', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  const outcomes = await Promise.all([
    registerClient(ctx, web, { clientId: 'shop' }),
    registerClient(ctx, web, { clientId: 'shop' })
  ])
  t.strictSame(outcomes.map(({ ok }) => ok).sort(), [false, true])
  t.strictSame(
    outcomes.find(({ ok }) => !ok),
    { ok: false, faults: [{ field: 'client_id', message: 'is taken' }] }
  )
  for (const clientId of ['a', 'with space', 'ünïcode', 'x'.repeat(101), 'new\nline'])
    t.match(
      await registerClient(ctx, web, { clientId }),
      { ok: false, faults: [{ field: 'client_id' }] },
      clientId
    )
})

t.test('a new registration replaces all but the secret', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  const { client_secret } = await register(ctx, web, { clientId: 'shop' })
  ctx.pass(60)

  const changed = { client_name: 'Market', redirect_uris: ['https://market.example/'], first_party: true }
  t.match(await replaceClient(ctx, 'shop', changed), { ok: true, client_secret: null })
  const client = await stored(ctx, 'shop')
  t.match(client, { clientName: 'Market', firstParty: true, redirectUris: changed.redirect_uris })
  t.strictSame(client.clientSecretHash, sha256(client_secret ?? ''))
  t.ok(client.updatedAt > client.createdAt)

  const sealed = await replaceClient(ctx, 'shop', {
    ...changed,
    token_endpoint_auth_method: 'client_secret_jwt'
  })
  t.match(sealed, { ok: true, client_secret: /^.{43}$/ }, 'one that must be kept otherwise is new')
  t.match(await replaceClient(ctx, 'nobody', web), { ok: false, reason: 'unknown_client' })
  t.match(await replaceClient(ctx, 'shop', { ...web, client_name: '' }), {
    ok: false,
    faults: [{ field: 'client_name' }]
  })
})

t.test('a replaced secret is another one, and the old one is gone', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  const { client_secret } = await register(ctx, web, { clientId: 'shop' })
  const secret = await replaceClientSecret(ctx, 'shop')

  t.not(secret, client_secret)
  t.strictSame((await stored(ctx, 'shop')).clientSecretHash, sha256(secret ?? ''))
})

t.test('every change is told to the other nodes and recorded', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  const told: string[] = []
  for (const channel of ['gatehouse_clients', 'gatehouse_resources']) {
    const subscription = await sql.listen(channel, payload => void told.push(`${channel} ${payload}`))
    t.teardown(() => subscription.unlisten())
  }
  await registerResource(ctx, { identifier: 'urn:shop:api' })
  await register(ctx, web, { clientId: 'shop' })
  await replaceClient(ctx, 'shop', web)
  await replaceClientSecret(ctx, 'shop')
  t.equal(await removeClient(ctx, 'shop'), true)
  t.equal(await removeClient(ctx, 'shop'), false)
  t.equal(await removeResource(ctx, 'urn:shop:api'), true)
  t.equal(await removeResource(ctx, 'urn:shop:api'), false)
  await new Promise(resolve => setTimeout(resolve, 50))

  t.strictSame(told, [
    'gatehouse_resources urn:shop:api',
    ...Array(4).fill('gatehouse_clients shop'),
    'gatehouse_resources urn:shop:api'
  ])
  const events = await sql<{ type: string }[]>`select type from audit_events order by id`
  t.strictSame(events.map(({ type }) => type).sort(), [
    'client.registered',
    'client.removed',
    'client.secret_replaced',
    'client.updated',
    'resource.registered',
    'resource.removed'
  ])
})

t.test(
  'resources must be registered before a client may name them, and give no more than both allow',
  async t => {
    const { sql } = await createDatabase(t)
    const ctx = createContext(sql)
    const client = { ...web, resources: ['urn:shop:api'] }
    t.match(await registerClient(ctx, client), { ok: false, faults: [{ field: 'resources[0]' }] })

    t.match(
      await registerResource(ctx, { identifier: 'urn:shop:api', name: 'Shop', scopes: ['read', 'write'] }),
      { ok: true }
    )
    t.match(await registerResource(ctx, { identifier: 'urn:shop:api' }), {
      ok: false,
      faults: [{ field: 'identifier', message: 'is taken' }]
    })
    const [resource] = await listResources(sql)
    if (resource === undefined) throw new Error('it was registered')
    t.match(resource, {
      accessTokenFormat: 'jwt',
      scopes: ['read', 'write'],
      accessTokenLifetimeSeconds: null
    })

    await register(ctx, { ...client, scope: 'openid read' }, { clientId: 'reader' })
    await register(ctx, client, { clientId: 'all' })
    await register(ctx, web, { clientId: 'none' })
    t.strictSame(allowedScopes(await stored(ctx, 'reader'), resource), ['read'])
    t.strictSame(allowedScopes(await stored(ctx, 'all'), resource), ['read', 'write'])
    t.strictSame(allowedScopes(await stored(ctx, 'none'), resource), [])
  }
)

t.test('clients are listed in pages', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  for (const clientId of ['c03', 'c01', 'c02']) await register(ctx, web, { clientId })
  const first = await listClients(sql, { limit: 2 })
  t.strictSame(
    first.map(({ clientId }) => clientId),
    ['c01', 'c02']
  )
  t.strictSame(
    (await listClients(sql, { after: 'c02' })).map(({ clientId }) => clientId),
    ['c03']
  )
})

t.test('the protocol library takes every kind of client as it is', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql)
  await registerResource(ctx, { identifier: 'urn:shop:api', scopes: ['read'] })
  const kinds = [
    web,
    { ...web, scope: 'openid email read', resources: ['urn:shop:api'], access_token_signing_alg: 'RS256' },
    { ...web, token_endpoint_auth_method: 'client_secret_jwt', token_endpoint_auth_signing_alg: 'HS256' },
    { ...web, id_token_signed_response_alg: 'HS256', require_auth_time: true, default_max_age: 60 },
    {
      ...web,
      logo_uri: 'https://shop.example/logo.svg',
      policy_uri: 'https://shop.example/privacy',
      contacts: ['help@shop.example'],
      post_logout_redirect_uris: ['https://shop.example/']
    },
    {
      client_name: 'App',
      application_type: 'native',
      token_endpoint_auth_method: 'none',
      grant_types: ['authorization_code', 'refresh_token'],
      redirect_uris: ['http://127.0.0.1/callback', 'com.example.app:/callback'],
      post_logout_redirect_uris: ['com.example.app:/signed-out']
    },
    { client_name: 'Job', grant_types: ['client_credentials'], scope: 'read', resources: ['urn:shop:api'] }
  ]
  const clients = []
  for (const kind of kinds) {
    const { client_id } = await register(ctx, kind)
    clients.push(protocolMetadata(await stored(ctx, client_id), clientSecretKey(ctx.config)))
  }
  const provider = new Provider('https://id.example', {
    clients: clients as never,
    scopes: ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'],
    cookies: { keys: ['test'] },
    clientAuthMethods: [
      'none',
      'client_secret_basic',
      'client_secret_post',
      'client_secret_jwt',
      'private_key_jwt'
    ],
    enabledJWA: {
      clientAuthSigningAlgValues: ['HS256', 'ES256'],
      idTokenSigningAlgValues: ['HS256', 'RS256', 'ES256']
    },
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } }
  })
  for (const { client_id, grant_types } of clients)
    t.strictSame((await provider.Client.find(client_id))?.grantTypes, grant_types)

  const native = await provider.Client.find(clients[5]?.client_id ?? '')
  t.ok(native?.redirectUriAllowed('http://127.0.0.1:51004/callback'), 'any port on a loopback address')
  t.notOk(native?.redirectUriAllowed('http://127.0.0.1:51004/other'))
  t.notOk(native?.redirectUriAllowed('http://localhost:51004/callback'))
})
