// Pairwise subjects: applications of different sectors cannot tell by them that a person is the same (OpenID Connect Core 1.0 §8).
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { getCACertificates, setDefaultCACertificates } from 'node:tls'
import t, { type Test } from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import { registerClient } from '../../src/clients/service.ts'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { createPairwiseIdentifier } from '../../src/oidc/pairwise.ts'
import { issueCertificate } from '../helpers/certificates.ts'
import { startLogoutReceiver } from '../helpers/logout-receiver.ts'
import {
  authorizationUrl,
  type Body,
  callbackOf,
  type Fields,
  get,
  introspect,
  obtainCode,
  obtainTokens,
  offline,
  readJwt,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { password, type Service, startService, Visitor } from '../helpers/service.ts'

const environment = { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8' }
const api = 'urn:pairwise:api'

const registerPairwise = async (service: Service, url: string, over: Record<string, unknown> = {}) =>
  await registerPortal(service, { subject_type: 'pairwise', redirect_uris: [url], ...over })

const subOf = ({ id_token }: Body) => String(readJwt(id_token).payload.sub)

t.test('pairwise subjects', async t => {
  const service = await startService(t, { environment, nodes: 2 })
  const { ctx } = service.app
  await registerResource(ctx, { identifier: api, scopes: ['read'] })
  const resources = { resources: [api] }
  const one = await registerPairwise(service, 'https://one.example/callback', resources)
  const sameSector = await registerPairwise(service, 'https://one.example/other')
  const two = await registerPairwise(service, 'https://two.example/callback', resources)
  const open = await registerPortal(service, resources)
  const email = 'ada@example.org'
  const ada = await signedInVisitor(service, open, { email })
  const grace = await signedInVisitor(service, open, { email: 'grace@example.org' })
  const [row] = await service.pool<{ id: string }[]>`select id from accounts where email_key = ${email}`
  const accountId = row?.id ?? ''
  const tokensOf = async (client: DemoClient, params: Fields = offline, visitor = ada): Promise<Body> =>
    await obtainTokens(service, { client, visitor, params })

  const apiTokensOf = async (client: DemoClient, visitor = ada): Promise<Body> => {
    const params = { scope: 'openid read', resource: api }
    const { body } = await redeem(service, client, await obtainCode(service, { client, visitor, params }), {
      resource: api
    })
    return body
  }

  await t.test('are offered beside public ones', async t => {
    const { body } = await get(service, '/.well-known/openid-configuration')
    t.strictSame(body.subject_types_supported, ['public', 'pairwise'])
  })

  await t.test(
    'OID-14: are the same in ID token, userinfo and introspection, of every kind of token',
    async t => {
      const tokens = await tokensOf(one)
      const sub = subOf(tokens)
      t.match(sub, /^[\w-]{43}$/)
      t.equal((await userinfo(service, tokens.access_token)).body.sub, sub)
      for (const token of [tokens.access_token, tokens.refresh_token])
        t.equal((await introspect(service, one, token)).body.sub, sub)
      const forApi = await apiTokensOf(one)
      t.equal(readJwt(forApi.access_token).payload.sub, sub)
      const refreshed = (await refresh(service, one, tokens.refresh_token)).body
      t.equal(subOf(refreshed), sub)
      const wire = JSON.stringify([
        tokens,
        forApi,
        refreshed,
        ...[tokens.id_token, refreshed.id_token, forApi.id_token, forApi.access_token].map(readJwt)
      ])
      t.notMatch(wire, accountId, 'what the person is here is nowhere in it')
    }
  )

  await t.test('OID-14: are stable, one for a sector, and no two sectors’ are the same', async t => {
    const sub = subOf(await tokensOf(one))
    const elsewhere = new Visitor()
    const page = await elsewhere.visit(authorizationUrl(service, open))
    await elsewhere.submit(page, 'sign-in-form', { email, password })
    for (const app of service.apps) await app.oidc.reload()
    t.equal(subOf(await tokensOf(one, offline, elsewhere)), sub)
    t.equal(subOf(await tokensOf(sameSector)), sub)
    const others = [
      subOf(await tokensOf(two)),
      subOf(await tokensOf(open)),
      subOf(await tokensOf(one, offline, grace))
    ]
    t.equal(new Set([sub, ...others]).size, 4)
    t.equal(others[1], accountId, 'a public one is the account’s id')
  })

  await t.test('a resource server is told the subject of the application whose token it is', async t => {
    const guard = await service.register({
      client_name: 'Guard',
      grant_types: ['client_credentials'],
      introspection: true,
      ...resources
    })
    const opaque = await registerPairwise(service, 'https://one.example/opaque', {
      ...resources,
      access_token_format: 'opaque'
    })
    for (const client of [opaque, two]) {
      const tokens = await apiTokensOf(client)
      const { body } = await introspect(service, guard, tokens.access_token)
      t.match(body, { active: true, sub: subOf(tokens), aud: api })
      t.notMatch(JSON.stringify(body), accountId)
    }
  })

  await t.test('an introspected JWT ends with the grant, the account or the person’s word', async t => {
    const endings = {
      grant: async () => await service.pool`delete from grants where client_id = ${two.client_id}`,
      'cut-off': async () =>
        await service.pool`update accounts set tokens_valid_from = ${new Date(Date.now() + 1000)}`,
      account: async () => await service.pool`update accounts set disabled_at = now() where id = ${accountId}`
    }
    for (const [name, end] of Object.entries(endings)) {
      const visitor = new Visitor()
      service.advance(2)
      const page = await visitor.visit(authorizationUrl(service, open))
      await visitor.submit(page, 'sign-in-form', { email, password })
      const { access_token } = await apiTokensOf(two, visitor)
      t.equal((await introspect(service, two, access_token)).body.active, true, name)
      await end()
      t.strictSame((await introspect(service, two, access_token)).body, { active: false }, name)
    }
    await service.pool`update accounts set disabled_at = null`
  })

  await t.test('OID-18: an id_token_hint names its person, and nobody else’s goes for it', async t => {
    const visitor = new Visitor()
    service.advance(2)
    const page = await visitor.visit(authorizationUrl(service, open))
    await visitor.submit(page, 'sign-in-form', { email, password })
    const { id_token } = await tokensOf(one, { scope: 'openid' }, visitor)
    const asked = async (client: DemoClient, params: Fields) =>
      callbackOf(await visitor.visit(authorizationUrl(service, client, { prompt: 'none', ...params })))
        .searchParams
    t.ok((await asked(one, { id_token_hint: id_token })).has('code'))
    const other = await signedInVisitor(service, open, { email: 'linus@example.org' })
    const theirs = (await tokensOf(one, { scope: 'openid' }, other)).id_token
    t.equal((await asked(one, { id_token_hint: theirs })).get('error'), 'login_required')
    const wanted = (value: string) => JSON.stringify({ id_token: { sub: { value } } })
    t.ok((await asked(one, { claims: wanted(subOf({ id_token } as Body)) })).has('code'))
    t.equal(
      (await asked(one, { claims: wanted(accountId) })).get('error'),
      'login_required',
      'the id is no subject here'
    )
  })

  await t.test('a logout token names the person as the ID token did', async t => {
    const receiver = await startLogoutReceiver(t)
    const client = await registerPairwise(service, 'https://one.example/callback', {
      backchannel_logout_uri: receiver.url
    })
    const visitor = await signedInVisitor(service, open, { email: 'alan@example.org' })
    const sub = subOf(await tokensOf(client, offline, visitor))
    const page = await visitor.visit(`${service.issuer}/session/end`)
    await visitor.submit(page, 'sign-out-form', { logout: 'yes' })
    const { issuer } = service
    t.match(await receiver.notices({ issuer, clientId: client.client_id }, 1), [{ sub }])
  })

  await t.test('OID-14: userinfo of a removed account is 401', async t => {
    const visitor = await signedInVisitor(service, open, { email: 'gone@example.org' })
    const { access_token } = await tokensOf(one, offline, visitor)
    t.equal((await userinfo(service, access_token)).status, 200)
    await service.pool`delete from accounts where email_key = 'gone@example.org'`
    t.equal((await userinfo(service, access_token)).status, 401)
  })
})

t.test('without the key nobody can tell whose a subject is', async t => {
  const subject = async (fill: number, sector: string, accountId: string) =>
    await createPairwiseIdentifier({ encryptionKey: Buffer.alloc(32, fill) })(undefined, accountId, {
      sectorIdentifier: sector
    } as never)
  t.equal(await subject(1, 'a.example', 'x'), await subject(1, 'a.example', 'x'))
  t.not(await subject(1, 'a.example', 'x'), await subject(2, 'a.example', 'x'))
  t.not(await subject(1, 'a.example', 'x'), await subject(1, 'a.exampl', 'ex'))
})

/** A site on loopback with TLS, which tells what its sector is. */
async function startSite(t: Test, answer: () => { status?: number; body: string }): Promise<string> {
  const { pem, privateKey } = issueCertificate('sector', { names: ['IP:127.0.0.1'] })
  const before = getCACertificates('default')
  setDefaultCACertificates([...before, pem])
  const key = privateKey.export({ format: 'pem', type: 'pkcs8' })
  const server = createServer({ key, cert: pem }, (_request, reply) => {
    const { status = 200, body } = answer()
    reply.writeHead(status, { 'content-type': 'application/json', location: '/elsewhere' }).end(body)
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  t.teardown(async () => {
    setDefaultCACertificates(before)
    server.closeAllConnections()
    await new Promise(resolve => server.close(resolve))
  })
  return `https://127.0.0.1:${(server.address() as AddressInfo).port}/sector.json`
}

t.test('a sector of several hosts', async t => {
  const service = await startService(t, { environment })
  const uris = ['https://shop.example/callback', 'https://market.example/callback']
  let document: { status?: number; body: string } = { body: JSON.stringify(uris) }
  const sector = await startSite(t, () => document)
  const pairwise = { client_name: 'Shop', subject_type: 'pairwise' }
  const faultsOf = async (over: Record<string, unknown>): Promise<string[]> => {
    const outcome = await registerClient(service.app.ctx, { ...pairwise, redirect_uris: uris, ...over })
    return outcome.ok ? [] : outcome.faults.map(({ field }) => field)
  }

  await t.test('is named by a document of its site, and known by one subject', async t => {
    const ofSector = { sector_identifier_uri: sector }
    const shop = await registerPairwise(service, uris[0] ?? '', ofSector)
    const market = await registerPairwise(service, uris[1] ?? '', ofSector)
    const visitor = await signedInVisitor(service, shop)
    const params = { scope: 'openid' }
    const subjects = [shop, market].map(async client =>
      subOf(await obtainTokens(service, { client, visitor, params }))
    )
    const [first, second] = await Promise.all(subjects)
    t.equal(first, second)
    const alone = await registerPairwise(service, uris[0] ?? '')
    t.not(subOf(await obtainTokens(service, { client: alone, visitor, params })), first)
    document = { status: 500, body: '' }
    service.app.oidc.current().registry.clients.drop()
    t.equal(
      subOf(await obtainTokens(service, { client: shop, visitor, params })),
      first,
      'nobody waits for the site'
    )
  })

  await t.test('is refused where the document does not list every redirect URI, or is none', async t => {
    const of = async (body: unknown, status = 200) => {
      document = { status, body: typeof body === 'string' ? body : JSON.stringify(body) }
      return await faultsOf({ sector_identifier_uri: sector })
    }
    t.strictSame(await of(uris), [])
    for (const [body, status] of [
      [[uris[0]]],
      [[...uris].map(uri => `${uri}/`)],
      [[uris[0], uris[1]?.replace('callback', 'callbacK')]],
      [[]],
      [{ redirect_uris: uris }],
      [[uris, 1]],
      [uris.join()],
      ['<html>'],
      [uris, 404],
      [uris, 302],
      [uris, 201]
    ] as [unknown, number?][])
      t.strictSame(await of(body, status), ['sector_identifier_uri'], JSON.stringify([body, status]))
  })

  await t.test('is needed where hosts do not tell', async t => {
    const needed = ['sector_identifier_uri']
    t.strictSame(await faultsOf({}), needed)
    const app = { application_type: 'native', token_endpoint_auth_method: 'none' }
    for (const uri of ['com.example.app:/callback', 'http://127.0.0.1/callback'])
      t.strictSame(await faultsOf({ ...app, redirect_uris: [uri] }), needed, uri)
    t.strictSame(await faultsOf({ ...app, redirect_uris: ['https://shop.example/app'] }), [])
    const machine = { grant_types: ['client_credentials'], redirect_uris: [] }
    t.strictSame(await faultsOf(machine), ['subject_type'])
    const device = { grant_types: ['urn:ietf:params:oauth:grant-type:device_code'], redirect_uris: [] }
    t.strictSame(await faultsOf(device), ['jwks_uri', 'token_endpoint_auth_method'])
  })

  await t.test('is not asked of hosts inside', async t => {
    for (const uri of [
      'https://10.0.0.1/s',
      'https://[::1]/s',
      'https://169.254.169.254/s',
      'http://shop.example/s'
    ])
      t.strictSame(await faultsOf({ sector_identifier_uri: uri }), ['sector_identifier_uri'], uri)
  })
})
