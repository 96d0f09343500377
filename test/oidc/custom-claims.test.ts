// Claims that the operator has filled in by data: from profile, roles, groups and constants, for whom they are meant alone.
import t from 'tap'
import { type ClaimInput, isReservedClaim } from '../../src/clients/claim-model.ts'
import { addClaimMapping, removeClaimMapping } from '../../src/clients/claim-service.ts'
import { registerResource } from '../../src/clients/resource-service.ts'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { addToGroup, removeFromGroup } from '../../src/roles/group-service.ts'
import { grantRole, revokeRole } from '../../src/roles/service.ts'
import {
  authorizationUrl,
  type Body,
  callbackOf,
  type Fields,
  get,
  introspect,
  obtainCode,
  obtainTokens,
  post,
  readJwt,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { type Service, startService } from '../helpers/service.ts'
import { pageText } from '../helpers/visitor.ts'
import { waitFor } from '../helpers/wait.ts'

const api = 'urn:claims:api'
const everywhere = ['id_token', 'access_token', 'userinfo']

/** Adds a mapping and waits until every node knows it. */
async function map(service: Service, input: ClaimInput): Promise<string> {
  const outcome = await addClaimMapping(service.app.ctx, input)
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults))
  await waitFor(() =>
    service.apps.every(({ oidc }) => oidc.current().customClaims.names.includes(String(input.claim)))
  )
  return outcome.mapping.id
}

async function unmap(service: Service, claim: string, id: string): Promise<void> {
  await removeClaimMapping(service.app.ctx, id)
  await waitFor(() => service.apps.every(({ oidc }) => !oidc.current().customClaims.names.includes(claim)))
}

const faultsOf = async ({ app }: Service, input: ClaimInput): Promise<string[]> => {
  const outcome = await addClaimMapping(app.ctx, input)
  return outcome.ok ? [] : outcome.faults.map(({ field }) => field)
}

t.test('claims by data', async t => {
  const service = await startService(t, { nodes: 2 })
  const { ctx } = service.app
  await registerResource(ctx, { identifier: api, scopes: ['read'] })
  const register = async (over: Record<string, unknown> = {}) =>
    await registerPortal(service, {
      scope: 'openid email offline_access org read',
      resources: [api],
      ...over
    })
  const client = await register()
  const visitor = await signedInVisitor(service, client)
  const [row] = await service.pool<{ id: string }[]>`
    update accounts set profile = ${service.pool.json({ department: 'Engines', address: { country: 'GB' }, nothing: null })} returning id`
  const accountId = row?.id ?? ''
  await grantRole(ctx, { accountId, role: 'admin' })
  for (const group of ['engineers', 'board']) await addToGroup(ctx, { accountId, group })

  const params = { scope: 'openid org offline_access', prompt: 'consent' }
  const begin = async (as: DemoClient, over: Fields = {}): Promise<Body> =>
    await obtainTokens(service, { client: as, visitor, params: { ...params, ...over } })
  const apiToken = async (as: DemoClient, scope = 'openid org read') => {
    const code = await obtainCode(service, { client: as, visitor, params: { scope, resource: api } })
    return readJwt((await redeem(service, as, code, { resource: api })).body.access_token).payload
  }
  /** What comes out where. */
  const told = async (as: DemoClient, over: Fields = {}) => {
    const tokens = await begin(as, over)
    return {
      id_token: readJwt(tokens.id_token).payload,
      access_token: (await introspect(service, as, tokens.access_token)).body,
      userinfo: (await userinfo(service, tokens.access_token)).body
    }
  }
  /** Where a claim comes out, and as what. */
  const seen = async (claim: string, as: DemoClient, over: Fields = {}) => {
    const { id_token, access_token, userinfo } = await told(as, over)
    return { id_token: id_token[claim], access_token: access_token[claim], userinfo: userinfo[claim] }
  }
  const nowhere = { id_token: undefined, access_token: undefined, userinfo: undefined }

  await t.test('come from profile, roles, groups and constants', async t => {
    const sources: [ClaimInput, unknown][] = [
      [{ claim: 'department', source: 'profile', path: 'department' }, 'Engines'],
      [{ claim: 'country', source: 'profile', path: 'address.country' }, 'GB'],
      [{ claim: 'upn', source: 'profile', path: 'email' }, 'ada@example.org'],
      [{ claim: 'roles', source: 'roles' }, ['admin']],
      [{ claim: 'groups', source: 'groups' }, ['board', 'engineers']],
      [
        { claim: 'https://portal.example/tenant', source: 'constant', value: { id: 7, tags: ['a'] } },
        { id: 7, tags: ['a'] }
      ],
      [{ claim: 'nothing', source: 'profile', path: 'nothing' }, undefined],
      [{ claim: 'unknown', source: 'profile', path: 'department.country.x' }, undefined],
      [{ claim: 'inherited', source: 'profile', path: 'constructor.name' }, undefined],
      [{ claim: 'prototype', source: 'profile', path: '__proto__' }, undefined]
    ]
    const ids = []
    for (const [input] of sources) ids.push(await map(service, { ...input, destinations: everywhere }))
    const everything = await told(client)
    for (const [{ claim }, value] of sources)
      for (const place of Object.values(everything))
        t.strictSame((place as Body)[String(claim)], value, String(claim))
    const payload = await apiToken(client)
    t.match(payload, { department: 'Engines', roles: ['admin'], groups: ['board', 'engineers'], aud: api })
    t.strictSame(
      (await introspect(service, client, (await begin(client)).refresh_token)).body.roles,
      undefined
    )
    for (const [index, [{ claim }]] of sources.entries())
      await unmap(service, String(claim), ids[index] ?? '')
    t.strictSame(await seen('roles', client), nowhere)
  })

  await t.test('go where they are meant to, and nowhere else', async t => {
    for (const destination of everywhere) {
      const claim = `to_${destination}`
      const id = await map(service, { claim, source: 'constant', value: 1, destinations: [destination] })
      t.strictSame(await seen(claim, client), { ...nowhere, [destination]: 1 })
      t.equal((await apiToken(client))[claim], destination === 'access_token' ? 1 : undefined)
      await unmap(service, claim, id)
    }
    const id = await map(service, { claim: 'usual', source: 'constant', value: 1 })
    t.strictSame(await seen('usual', client), { ...nowhere, userinfo: 1 })
    await unmap(service, 'usual', id)
  })

  await t.test('may be one application’s; what is for fewer counts for those', async t => {
    const other = await register()
    const values: [ClaimInput, string][] = [
      [{ scope: 'org', clientId: client.client_id }, 'both'],
      [{}, 'all'],
      [{ clientId: client.client_id }, 'client'],
      [{ scope: 'org' }, 'scope']
    ]
    const ids = []
    for (const [meant, value] of values)
      ids.push(
        await map(service, { claim: 'level', source: 'constant', value, destinations: everywhere, ...meant })
      )
    await waitFor(() => service.apps.every(({ oidc }) => 'org' in oidc.current().customClaims.scopes))
    const level = async (as: DemoClient, scope: string) => (await seen('level', as, { scope })).userinfo
    t.equal(await level(client, 'openid org'), 'both')
    t.equal(await level(client, 'openid'), 'client')
    t.equal(await level(other, 'openid org'), 'scope')
    t.equal(await level(other, 'openid'), 'all')
    for (const id of ids) await removeClaimMapping(ctx, id)
    await waitFor(() => service.apps.every(({ oidc }) => oidc.current().customClaims.names.length === 0))
  })

  await t.test(
    'OID-15: may have a scope of their own, which people agree to in the operator’s words',
    async t => {
      const id = await map(service, {
        claim: 'department',
        source: 'profile',
        path: 'department',
        scope: 'org',
        destinations: everywhere,
        description: 'See which department you work in'
      })
      const { body } = await get(service, '/.well-known/openid-configuration')
      t.ok((body.scopes_supported as string[]).includes('org'))
      t.ok((body.claims_supported as string[]).includes('department'))

      const stranger = await register({ first_party: false })
      const asked = await visitor.visit(authorizationUrl(service, stranger, { scope: 'openid org' }))
      t.match(pageText(asked.text), 'See which department you work in')
      t.strictSame(await seen('department', stranger), {
        id_token: 'Engines',
        access_token: 'Engines',
        userinfo: 'Engines'
      })
      const listed = await visitor.visit(`${service.issuer}/account/applications`)
      t.match(listed.text, 'Portal')

      t.strictSame(await seen('department', client, { scope: 'openid' }), nowhere, 'only with the scope')
      t.equal((await apiToken(client)).department, 'Engines')
      t.equal((await apiToken(client, 'openid read')).department, undefined)
      const byName = JSON.stringify({
        userinfo: { department: null },
        id_token: { department: { essential: true } }
      })
      t.strictSame(
        await seen('department', client, { scope: 'openid', claims: byName }),
        nowhere,
        'nor by its name'
      )

      const tokens = await begin(client)
      const narrow = (await refresh(service, client, tokens.refresh_token, { scope: 'openid' })).body
      t.equal(readJwt(narrow.id_token).payload.department, undefined, 'asked for less, less comes')
      t.equal((await introspect(service, client, narrow.access_token)).body.department, undefined)
      const whole = (await refresh(service, client, narrow.refresh_token)).body
      t.equal(readJwt(whole.id_token).payload.department, 'Engines')

      await service.pool`
        update grants set payload = jsonb_set(payload, '{openid,scope}', '"openid offline_access"') where client_id = ${client.client_id}`
      const less = (await refresh(service, client, whole.refresh_token)).body
      t.equal(readJwt(less.id_token).payload.department, undefined, 'the grant has the last word')
      t.equal((await introspect(service, client, less.access_token)).body.department, undefined)

      for (const scope of [undefined, 'openid email'] as const) {
        const outsider = await register({ scope })
        const refused = callbackOf(
          await visitor.visit(authorizationUrl(service, outsider, { scope: 'openid org' }))
        )
        t.equal(refused.searchParams.get('error'), 'invalid_scope', `registered for ${scope}`)
      }
      await unmap(service, 'department', id)
      t.notOk(
        (
          (await get(service, '/.well-known/openid-configuration')).body.scopes_supported as string[]
        ).includes('org')
      )
      t.strictSame(await seen('department', client), nowhere, 'the scope opens nothing any more')
    }
  )

  await t.test('a claim may come with a scope of OpenID Connect’s', async t => {
    const id = await map(service, {
      claim: 'mail_domain',
      source: 'constant',
      value: 'example.org',
      scope: 'email'
    })
    t.equal((await seen('mail_domain', client, { scope: 'openid email' })).userinfo, 'example.org')
    t.equal((await seen('mail_domain', client, { scope: 'openid' })).userinfo, undefined)
    t.strictSame(service.app.oidc.current().customClaims.scopes, {})
    await unmap(service, 'mail_domain', id)
  })

  await t.test(
    'OID-7: a role or group that is taken away is gone from the next token, and from userinfo at once',
    async t => {
      const ids = [
        await map(service, { claim: 'roles', source: 'roles', destinations: everywhere }),
        await map(service, { claim: 'groups', source: 'groups', destinations: everywhere })
      ]
      const first = await begin(client)
      t.match(readJwt(first.id_token).payload, { roles: ['admin'], groups: ['board', 'engineers'] })
      await revokeRole(ctx, { accountId, role: 'admin' })
      await removeFromGroup(ctx, { accountId, group: 'board' })
      t.match((await userinfo(service, first.access_token)).body, { roles: [], groups: ['engineers'] })
      const next = (await refresh(service, client, first.refresh_token)).body
      t.strictSame(readJwt(next.id_token).payload.roles, [])
      t.match((await introspect(service, client, next.access_token)).body, {
        roles: [],
        groups: ['engineers']
      })
      await grantRole(ctx, { accountId, role: 'admin' })
      const again = (await refresh(service, client, next.refresh_token)).body
      t.strictSame(readJwt(again.id_token).payload.roles, ['admin'])
      for (const [index, claim] of ['roles', 'groups'].entries())
        await unmap(service, claim, ids[index] ?? '')
    }
  )

  await t.test('a client by itself is told constants alone', async t => {
    const machine = await service.register({
      client_name: 'Machine',
      grant_types: ['client_credentials'],
      resources: [api]
    })
    const ids = [
      await map(service, { claim: 'tenant', source: 'constant', value: 't-1', destinations: everywhere }),
      await map(service, { claim: 'roles', source: 'roles', destinations: everywhere })
    ]
    const ask = async (resource?: string) =>
      (await post(service, '/token', { grant_type: 'client_credentials', resource }, { client: machine }))
        .body
    const { payload } = readJwt((await ask(api)).access_token)
    t.equal(payload.tenant, 't-1')
    t.notOk('roles' in payload)
    t.match((await introspect(service, machine, (await ask()).access_token)).body, {
      tenant: 't-1',
      active: true
    })
    for (const [index, claim] of ['tenant', 'roles'].entries()) await unmap(service, claim, ids[index] ?? '')
  })

  await t.test('cost no statement of their own', async t => {
    const ids = [
      await map(service, { claim: 'roles', source: 'roles', destinations: everywhere }),
      await map(service, {
        claim: 'department',
        source: 'profile',
        path: 'department',
        destinations: everywhere
      })
    ]
    // Both nodes know the client again.
    for (const _node of [1, 2]) await begin(client)
    const code = await obtainCode(service, { client, visitor, params })
    const count = async (work: () => Promise<{ body: Body }>) => {
      service.statements.length = 0
      const { body } = await work()
      const own = service.statements.filter(
        statement => !/pgboss|mail_outbox|development_mailbox/.test(statement)
      )
      return { statements: own.length, body }
    }
    const exchange = await count(() => redeem(service, client, code))
    t.equal(exchange.statements, 2)
    t.match(readJwt(exchange.body.id_token).payload, { roles: ['admin'], department: 'Engines' })
    const rotation = await count(() => refresh(service, client, exchange.body.refresh_token))
    t.equal(rotation.statements, 2)
    t.strictSame(readJwt(rotation.body.id_token).payload.roles, ['admin'])
    t.equal((await count(() => userinfo(service, rotation.body.access_token))).statements, 1)
    for (const [index, claim] of ['roles', 'department'].entries())
      await unmap(service, claim, ids[index] ?? '')
  })

  await t.test('never say what the protocol says itself', async t => {
    const reserved = [
      ...[
        'iss',
        'sub',
        'aud',
        'exp',
        'iat',
        'nbf',
        'jti',
        'nonce',
        'acr',
        'amr',
        'azp',
        'auth_time',
        'sid',
        'cnf'
      ],
      ...['act', 'scope', 'client_id', 'grant_id', 'active', 'token_type', 'email', 'email_verified', 'name'],
      ...['__proto__', 'constructor', 'toString', 'hasOwnProperty']
    ]
    for (const claim of reserved) {
      t.ok(isReservedClaim(claim) || !/^[A-Za-z]/.test(claim), claim)
      t.strictSame(await faultsOf(service, { claim, source: 'constant', value: 'x' }), ['claim'], claim)
    }
  })

  await t.test('are refused with every fault at once where they make no sense', async t => {
    const wrong: [ClaimInput, string[]][] = [
      [{}, ['claim', 'source']],
      [{ claim: 'a b', source: 'mail', path: 'x' }, ['claim', 'source', 'path']],
      [{ claim: 'a', source: 'profile' }, ['path']],
      [{ claim: 'a', source: 'profile', path: 'a..b' }, ['path']],
      [{ claim: 'a', source: 'constant' }, ['value']],
      [{ claim: 'a', source: 'constant', value: 'x'.repeat(2000) }, ['value']],
      [{ claim: 'a', source: 'constant', value: '\u0000' }, ['value']],
      [{ claim: 'a', source: 'roles', value: 1 }, ['value']],
      [{ claim: 'a', source: 'roles', scope: 'a b' }, ['scope']],
      [{ claim: 'a', source: 'roles', scope: 'read' }, ['scope']],
      [{ claim: 'a', source: 'roles', clientId: 'nobody' }, ['client_id']],
      [{ claim: 'a', source: 'roles', destinations: [] }, ['destinations']],
      [{ claim: 'a', source: 'roles', destinations: ['id_token', 'id_token'] }, ['destinations']],
      [{ claim: 'a', source: 'roles', destinations: ['refresh_token'] }, ['destinations']],
      [{ claim: 'a', source: 'roles', description: 'a\u202eb' }, ['description']]
    ]
    for (const [input, fields] of wrong)
      t.strictSame(await faultsOf(service, input), fields, JSON.stringify(input).slice(0, 80))
    const id = await map(service, { claim: 'a', source: 'roles', scope: 'org' })
    t.strictSame(
      await faultsOf(service, { claim: 'a', source: 'groups', scope: 'org' }),
      ['claim'],
      'mapped already'
    )
    t.match(await registerResource(ctx, { identifier: 'urn:other', scopes: ['org'] }), {
      ok: false,
      faults: [{ field: 'scopes' }]
    })
    await unmap(service, 'a', id)
  })
})
