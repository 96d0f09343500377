import { createHash } from 'node:crypto'
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { findClient, listClients, listResources } from '../../src/clients/repository.ts'
import { ensureDemoClients } from '../../src/development/clients-service.ts'
import { createDatabase } from '../helpers/database.ts'
import { createContext, type TestContext } from '../helpers/registry-context.ts'

async function start(t: Test): Promise<TestContext & { path: string }> {
  const { sql } = await createDatabase(t)
  const dataDir = t.testdir()
  return { ...createContext(sql, { DATA_DIR: dataDir }), path: join(dataDir, 'demo-clients.json') }
}

const read = ({ path }: { path: string }): Record<string, string>[] => JSON.parse(readFileSync(path, 'utf8'))

async function secretsFit(ctx: TestContext & { path: string }): Promise<boolean> {
  const clients = await Promise.all(read(ctx).map(({ client_id }) => findClient(ctx.sql, client_id ?? '')))
  return read(ctx).every(({ client_secret }, index) => {
    const hash = clients[index]?.clientSecretHash ?? null
    return client_secret === undefined
      ? hash === null
      : hash?.equals(createHash('sha256').update(client_secret).digest())
  })
}

t.test(
  'development registers three applications and writes down their secrets, for its owner alone',
  async t => {
    const ctx = await start(t)
    t.strictSame(await ensureDemoClients(ctx), read(ctx))

    t.equal(statSync(ctx.path).mode & 0o777, 0o600)
    t.match(read(ctx), [
      {
        client_id: 'demo-web',
        client_secret: /^.{43}$/,
        client_name: 'Demo application',
        token_endpoint_auth_method: 'client_secret_basic',
        redirect_uris: ['http://localhost:3001/callback'],
        post_logout_redirect_uris: ['http://localhost:3001/'],
        first_party: false
      },
      {
        client_id: 'demo-native',
        client_secret: undefined,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        redirect_uris: ['http://127.0.0.1/callback']
      },
      {
        client_id: 'demo-service',
        client_secret: /^.{43}$/,
        grant_types: ['client_credentials'],
        introspection: true,
        resources: ['urn:demo:api']
      }
    ])
    t.ok(await secretsFit(ctx))
    t.match(await listResources(ctx.sql), [
      { identifier: 'urn:demo:api', scopes: ['api:read', 'api:write'], accessTokenFormat: 'jwt' }
    ])
  }
)

t.test('a later start changes nothing', async t => {
  const ctx = await start(t)
  await ensureDemoClients(ctx)
  const before = [read(ctx), statSync(ctx.path).ino, await listClients(ctx.sql)]
  ctx.pass(3600)
  await ensureDemoClients(ctx)

  t.strictSame([read(ctx), statSync(ctx.path).ino, await listClients(ctx.sql)], before)
})

t.test('a lost or spoiled file is written again with new secrets', async t => {
  const ctx = await start(t)
  await ensureDemoClients(ctx)
  const [before] = read(ctx)
  for (const spoil of [
    () => rmSync(ctx.path),
    () => writeFileSync(ctx.path, '[{"client_id":'),
    () => writeFileSync(ctx.path, '[null, {"client_id": "demo-web", "client_secret": "guess"}]')
  ]) {
    spoil()
    await ensureDemoClients(ctx)
    t.not(read(ctx)[0]?.client_secret, before?.client_secret)
    t.ok(await secretsFit(ctx))
    t.equal(read(ctx).length, 3)
  }
})

t.test("the demo application's port can be another one, and the secrets stay", async t => {
  const ctx = await start(t)
  await ensureDemoClients(ctx)
  const [before] = read(ctx)
  await ensureDemoClients(ctx, { demoPort: 4001 })

  t.match(read(ctx)[0], {
    client_secret: before?.client_secret,
    redirect_uris: ['http://localhost:4001/callback']
  })
  t.ok(await secretsFit(ctx))
})

t.test('two processes that start at once end with one set of secrets', async t => {
  const ctx = await start(t)
  const [one, other] = await Promise.all([ensureDemoClients(ctx), ensureDemoClients(ctx)])
  t.strictSame(one, other)
  t.ok(await secretsFit(ctx))
})

t.test('production has no demo applications', async t => {
  const { sql } = await createDatabase(t)
  const ctx = createContext(sql, {
    ISSUER: 'https://id.example.org',
    DATABASE_URL: 'postgres://gatehouse@db/gatehouse',
    SMTP_URL: 'smtp://mail:587',
    DATA_DIR: t.testdir()
  })
  await t.rejects(ensureDemoClients(ctx), /development only/)
  t.equal((await listClients(sql)).length, 0)
})
