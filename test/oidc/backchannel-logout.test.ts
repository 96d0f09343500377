// Applications are told that somebody has signed out (OpenID Connect Back-Channel Logout 1.0), and nobody waits for them.
import t, { type Test } from 'tap'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { announceLogout } from '../../src/sessions/logout-service.ts'
import { endAllSessions } from '../../src/sessions/service.ts'
import { createMember } from '../helpers/account.ts'
import { type LogoutReceiver, startLogoutReceiver } from '../helpers/logout-receiver.ts'
import {
  authorizationUrl,
  type Body,
  callbackOf,
  get,
  obtainTokens,
  offline,
  readJwt,
  refresh,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { password, type Service, startService, Visitor } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

const environment = { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8' }

const signOut = async ({ issuer }: Service, visitor: Visitor, params = '') => {
  const page = await visitor.visit(`${issuer}/session/end${params}`)
  return await visitor.submit(page, 'sign-out-form', { logout: 'yes' })
}

/** Somebody who has an account signs in with another browser. */
async function signInElsewhere(service: Service, client: DemoClient, email: string): Promise<Visitor> {
  const visitor = new Visitor()
  const page = await visitor.visit(authorizationUrl(service, client))
  await visitor.submit(page, 'sign-in-form', { email, password })
  return visitor
}

async function listening(
  t: Test,
  service: Service,
  over: Record<string, unknown> = {}
): Promise<{ client: DemoClient; receiver: LogoutReceiver; told: (count: number) => Promise<Body[]> }> {
  const receiver = await startLogoutReceiver(t)
  const client = await registerPortal(service, {
    backchannel_logout_uri: receiver.url,
    backchannel_logout_session_required: true,
    ...over
  })
  const { issuer } = service
  const told = async (count: number) =>
    (await receiver.notices({ issuer, clientId: client.client_id }, count)) as Body[]
  return { client, receiver, told }
}

t.test('back-channel logout', async t => {
  const service = await startService(t, { environment })
  const quiet = await registerPortal(service)
  const email = 'ada@example.org'
  const first = await signedInVisitor(service, quiet, { email })

  await t.test('is announced (§2.1)', async t => {
    const { body } = await get(service, '/.well-known/openid-configuration')
    t.match(body, { backchannel_logout_supported: true, backchannel_logout_session_supported: true })
  })

  await t.test('§2.4: who signs out is signed out of each application that asked to be told', async t => {
    const [one, two] = [await listening(t, service), await listening(t, service)]
    const visitor = await signInElsewhere(service, quiet, email)
    for (const { client } of [one, two]) await obtainTokens(service, { client, visitor })
    const idTokens = []
    for (const { client } of [one, two])
      idTokens.push(readJwt((await obtainTokens(service, { client, visitor })).id_token).payload)
    const done = await signOut(service, visitor)
    t.equal(done.status, 200)
    for (const [index, { told, receiver }] of [one, two].entries()) {
      const [notice] = await told(1)
      t.equal(notice?.sub, idTokens[index]?.sub)
      t.equal(notice?.sid, idTokens[index]?.sid)
      t.type(notice?.sid, 'string')
      t.equal(receiver.tokens.length, 1, 'once')
      t.strictSame(readJwt(receiver.tokens[0]).header.alg, 'ES256')
    }
    t.not((await two.told(1))[0]?.sid, (await one.told(1))[0]?.sid, 'each by its own session id')
  })

  await t.test('§2.4: without session_required the person is named, and no session', async t => {
    const { client, told } = await listening(t, service, { backchannel_logout_session_required: false })
    const visitor = await signInElsewhere(service, quiet, email)
    const { payload } = readJwt((await obtainTokens(service, { client, visitor })).id_token)
    t.notOk('sid' in payload)
    await signOut(service, visitor)
    const [notice] = await told(1)
    t.equal(notice?.sub, payload.sub)
    t.notOk('sid' in (notice ?? {}))
  })

  await t.test('is not told of other browsers, nor of looking at the page', async t => {
    const { client, receiver } = await listening(t, service)
    const [here, there] = [
      await signInElsewhere(service, client, email),
      await signInElsewhere(service, client, email)
    ]
    await obtainTokens(service, { client, visitor: here })
    const { payload } = readJwt((await obtainTokens(service, { client, visitor: there })).id_token)
    await here.visit(`${service.issuer}/session/end`)
    await signOut(service, there)
    await waitFor(() => receiver.tokens.length > 0)
    t.strictSame(
      receiver.tokens.map(token => readJwt(token).payload.sid),
      [payload.sid]
    )
  })

  await t.test('an application asks to sign out of itself alone: it alone is told', async t => {
    const [one, two] = [await listening(t, service), await listening(t, service)]
    const visitor = await signInElsewhere(service, quiet, email)
    const { id_token } = await obtainTokens(service, { client: one.client, visitor })
    await obtainTokens(service, { client: two.client, visitor })
    const page = await visitor.visit(`${service.issuer}/session/end?id_token_hint=${id_token}`)
    await visitor.submit(page, 'sign-out-form')
    t.equal((await one.told(1)).length, 1)
    await signOut(service, visitor)
    t.equal((await two.told(1)).length, 1)
    t.equal(two.receiver.tokens.length, 1)
    t.equal(one.receiver.tokens.length, 1, 'it is not in the session any more')
  })

  await t.test('R16: a receiver that hangs holds up nobody; it is tried again', async t => {
    const hanging = await listening(t, service)
    const prompt = await listening(t, service)
    hanging.receiver.answerWith(null)
    const visitor = await signInElsewhere(service, quiet, email)
    for (const { client } of [hanging, prompt]) await obtainTokens(service, { client, visitor })
    const started = performance.now()
    await signOut(service, visitor)
    t.ok(performance.now() - started < 1000, 'signed out within a second')
    t.equal((await prompt.told(1)).length, 1, 'the other is told')
    await waitFor(() => hanging.receiver.tokens.length === 1)
    hanging.receiver.answerWith(204)
    // The first try was given up; the next one is due seconds after.
    await waitFor(() => hanging.receiver.open() === 0)
    await service.pool`update pgboss.job set start_after = now() where name = 'logout-notice' and state = 'retry'`
    await waitFor(() => hanging.receiver.tokens.length >= 2)
    const [before, after] = await hanging.told(2)
    t.equal(after?.sid, before?.sid)
    t.not(after?.jti, before?.jti, 'by a token of its own')
  })

  await t.test(
    'R16: twenty-five notices to one that hangs are ten at once, and others are still told',
    async t => {
      const [hanging, prompt] = [await listening(t, service), await listening(t, service)]
      hanging.receiver.answerWith(null)
      const { sub } = readJwt(
        (await obtainTokens(service, { client: quiet, visitor: first })).id_token
      ).payload
      const receivers = Array.from({ length: 25 }, (_, index) => ({
        clientId: hanging.client.client_id,
        sid: `session-${index}`
      }))
      await announceLogout(service.app.ctx, { accountId: String(sub), receivers })
      await waitFor(() => hanging.receiver.tokens.length === 10)
      const others = [{ clientId: prompt.client.client_id, sid: 'session' }]
      await announceLogout(service.app.ctx, { accountId: String(sub), receivers: others })
      await prompt.told(1)
      t.equal(hanging.receiver.mostAtOnce(), 10)
      t.equal(hanging.receiver.tokens.length, 10, 'the rest waits until it answers again')
    }
  )

  await t.test('an application that is gone, or takes no notices any more, is left alone', async t => {
    const { client, receiver } = await listening(t, service)
    const visitor = await signInElsewhere(service, quiet, email)
    await obtainTokens(service, { client, visitor })
    await service.pool`update clients set other_metadata = other_metadata - 'backchannel_logout_uri' where client_id = ${client.client_id}`
    service.app.oidc.current().registry.clients.drop(client.client_id)
    await signOut(service, visitor)
    const control = await listening(t, service)
    const other = await signInElsewhere(service, control.client, email)
    await obtainTokens(service, { client: control.client, visitor: other })
    await signOut(service, other)
    await control.told(1)
    t.equal(receiver.tokens.length, 0)
  })

  await t.test('sessions of which nobody is to be told cost no job', async t => {
    const visitor = await signInElsewhere(service, quiet, email)
    const jobs = async () => (await service.pool`select from pgboss.job where name = 'logout'`).length
    const before = await jobs()
    await signOut(service, visitor)
    await endAllSessions(service.app.ctx, (await createMember(service)).account.id)
    t.equal(await jobs(), before)
  })
})

t.test('applications are told of ends that are not a sign-out', async t => {
  const service = await startService(t, { environment })

  await t.test('a new password: of the other browsers, not of this one', async t => {
    const { client, told, receiver } = await listening(t, service)
    const member = await createMember(service)
    const other = await signInElsewhere(service, client, member.email)
    const { payload } = readJwt((await obtainTokens(service, { client, visitor: other })).id_token)
    const here = await obtainTokens(service, { client, visitor: member.visitor })
    t.ok(here.id_token)
    const page = await member.open('/account/security/password')
    await member.visitor.submit(page, 'password-form', {
      current: password,
      password: 'another horse, another battery'
    })
    const [notice] = await told(1)
    t.match(notice, { sub: payload.sub, sid: payload.sid })
    t.equal(receiver.tokens.length, 1)
  })

  await t.test('everything of an account: each session of each application, once', async t => {
    const [one, two] = [await listening(t, service), await listening(t, service)]
    const member = await createMember(service)
    const browsers = [member.visitor, await signInElsewhere(service, one.client, member.email)]
    const sids: unknown[] = []
    for (const visitor of browsers)
      for (const { client } of [one, two])
        sids.push(readJwt((await obtainTokens(service, { client, visitor })).id_token).payload.sid)
    const { refresh_token } = await obtainTokens(service, {
      client: one.client,
      visitor: member.visitor,
      params: offline
    })
    await endAllSessions(service.app.ctx, member.account.id)
    await endAllSessions(service.app.ctx, member.account.id)
    const notices = [...(await one.told(2)), ...(await two.told(2))]
    t.strictSame(notices.map(({ sid }) => sid).sort(), sids.sort())
    t.equal(one.receiver.tokens.length + two.receiver.tokens.length, 4)
    t.equal((await refresh(service, one.client, refresh_token)).status, 400)
    const asked = authorizationUrl(service, one.client, { prompt: 'none' })
    t.equal(callbackOf(await member.visitor.visit(asked)).searchParams.get('error'), 'login_required')
  })

  await t.test('what was taken back is not told', async t => {
    const { client, receiver } = await listening(t, service)
    const member = await createMember(service)
    await obtainTokens(service, { client, visitor: member.visitor })
    const { ctx } = service.app
    await t.rejects(
      service.pool.begin(async sql => {
        await endAllSessions({ ...ctx, sql: sql as never }, member.account.id)
        throw new Error('something else failed')
      }),
      /something else/
    )
    const [left] =
      await service.pool`select count(*)::int as count from pgboss.job where name like 'logout%' and state < 'completed'`
    t.equal(left?.count, 0)
    t.equal(receiver.tokens.length, 0)
  })
})

t.test('what was tried too often is put down, and tried no more', async t => {
  const service = await startService(t, { environment })
  const { client, receiver } = await listening(t, service)
  const member = await createMember(service)
  await obtainTokens(service, { client, visitor: member.visitor })
  receiver.answerWith(302)
  await endAllSessions(service.app.ctx, member.account.id)
  const events = async () =>
    await service.pool`select account_id, client_id from audit_events where type = 'client.logout_notice_failed'`
  const due = async () =>
    void (await service.pool`update pgboss.job set start_after = now() where name = 'logout-notice' and state = 'retry'`)
  await waitFor(async () => {
    await due()
    return receiver.tokens.length === 3
  })
  await waitFor(async () => {
    await due()
    await service.pool`update pgboss.job set retry_count = retry_limit where name = 'logout-notice' and state = 'retry'`
    return (await events()).length > 0
  })
  t.match(await events(), [{ accountId: member.account.id, clientId: client.client_id }])
  t.equal(receiver.tokens.length, 3, 'after three failures in a row it is left alone for a while')
  t.notOk(receiver.tokens.includes(''), 'a redirect is not followed')
})
