// JWT access tokens that are taken back before their time (RFC 7009): here they are inactive from then on.
import { generateKeyPairSync } from 'node:crypto'
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import { removeExpired } from '../../src/jobs/retention-service.ts'
import { protocolRetention } from '../../src/oidc/retention-service.ts'
import { signJws } from '../helpers/jws.ts'
import {
  atOnce,
  countStatuses,
  introspect,
  obtainCode,
  post,
  readJwt,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const api = 'urn:test:api'

t.test('revocation of JWT access tokens', async t => {
  const service = await startService(t)
  await registerResource(service.app.ctx, { identifier: api, scopes: ['read'] })
  const register = async (introspection: boolean) =>
    await service.register({
      client_name: 'Machine',
      grant_types: ['client_credentials'],
      resources: [api],
      introspection
    })
  const machine = await register(false)
  const guard = await register(true)
  const app = await registerPortal(service, { scope: 'openid offline_access read', resources: [api] })
  const visitor = await signedInVisitor(service, app)
  const own = async () =>
    (await post(service, '/token', { grant_type: 'client_credentials', resource: api }, { client: machine }))
      .body.access_token ?? ''
  const ofPerson = async () => {
    const params = { scope: 'openid offline_access read', prompt: 'consent', resource: api }
    return (
      await redeem(service, app, await obtainCode(service, { client: app, visitor, params }), {
        resource: api
      })
    ).body
  }
  const revoke = async (token: string | undefined, client = machine) =>
    await post(service, '/revoke', { token }, { client })
  const isActive = async (token: string | undefined) => (await introspect(service, guard, token)).body.active

  await t.test('OID-13: an application takes its own token back, and that one alone', async t => {
    const [first, second] = [await own(), await own()]
    t.equal(await isActive(first), true)
    const { status, text } = await revoke(first)
    t.equal(status, 200)
    t.equal(text, '')
    t.strictSame((await introspect(service, guard, first)).body, { active: false })
    t.strictSame((await introspect(service, machine, first)).body, { active: false }, 'for its owner, too')
    t.equal(await isActive(second), true)
    const offByOne = `${first.slice(0, -2)}${first.endsWith('AA') ? 'BB' : 'AA'}`
    t.equal((await revoke(offByOne)).status, 200)
    t.equal((await revoke(first)).status, 200, 'a second time is no error')
  })

  await t.test(
    "OID-13: a person's token goes without the sign-in that it came from (RFC 7009 §2.1)",
    async t => {
      const tokens = await ofPerson()
      t.equal(await isActive(tokens.access_token), true)
      t.equal((await revoke(tokens.access_token, app)).status, 200)
      t.equal(await isActive(tokens.access_token), false)
      const { status, body } = await refresh(service, app, tokens.refresh_token, { resource: api })
      t.equal(status, 200)
      t.equal(await isActive(body.access_token), true)
    }
  )

  await t.test("OID-13: another application's token is untouched, and the answer says the same", async t => {
    const token = await own()
    for (const other of [guard, app]) {
      const { status, text } = await revoke(token, other)
      t.equal(status, 200)
      t.equal(text, '')
    }
    t.equal(await isActive(token), true)
    const asAnybody = await post(service, '/revoke', { token, client_id: machine.client_id })
    t.equal(asAnybody.status, 401)
    t.equal(await isActive(token), true)
  })

  await t.test('TOK-1: nothing but an access token of ours leaves a mark', async t => {
    const token = await own()
    const { header, payload } = readJwt(token)
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const { id_token } = await ofPerson()
    await service.pool`delete from revoked_tokens`
    const [protectedPart = '', claimsPart = ''] = token.split('.')
    const forged = [
      signJws(header, { ...payload, jti: 'x' }, privateKey),
      `${protectedPart}.${claimsPart}.`,
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${claimsPart}.`,
      'a.b.c',
      `${protectedPart}..${claimsPart}.x.y`,
      id_token ?? ''
    ]
    for (const value of forged) {
      t.equal((await revoke(value)).status, 200)
      t.equal((await revoke(value, app)).status, 200)
    }
    t.equal((await service.pool`select from revoked_tokens`).length, 0)
    service.advance(601)
    t.equal((await revoke(token)).status, 200)
    t.equal((await service.pool`select from revoked_tokens`).length, 0, 'nor one that has ended by itself')
  })

  await t.test('twenty at once leave one mark, which goes when the token would have ended', async t => {
    const token = await own()
    t.strictSame(countStatuses(await atOnce(20, () => revoke(token))), { 200: 20 })
    t.equal((await service.pool`select from revoked_tokens`).length, 1)
    const { ctx } = service.app
    await removeExpired(ctx, protocolRetention)
    t.equal((await service.pool`select from revoked_tokens`).length, 1)
    service.advance(601)
    await removeExpired(ctx, protocolRetention)
    t.equal((await service.pool`select from revoked_tokens`).length, 0)
  })

  await t.test('a JWT is introspected by one statement, and taken back by one', async t => {
    const [token, { access_token: other }] = [await own(), await ofPerson()]
    for (const [value, client] of [
      [token, machine],
      [other, app]
    ] as const) {
      await isActive(value)
      service.statements.length = 0
      t.equal(await isActive(value), true)
      t.equal(service.statements.length, 1)
      service.statements.length = 0
      await revoke(value, client)
      t.equal(service.statements.length, 1)
    }
  })

  await t.test(
    "OID-13: a person's JWT ends with the grant that it lives with, as opaque tokens do",
    async t => {
      const tokens = await ofPerson()
      const [{ id } = {}] = await service.pool`select id from grants order by created_at desc limit 1`
      t.equal(readJwt(tokens.access_token).payload.grant_id, id, 'it names the grant that it lives with')
      t.notOk('grant_id' in (await introspect(service, guard, tokens.access_token)).body)
      await service.pool`delete from grants where id = ${id}`
      t.equal(await isActive(tokens.access_token), false)
    }
  )
})
