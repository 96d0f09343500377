// A token in place of another (RFC 8693): what is had for what, in whose name, and what it then is.
import t from 'tap'
import { removeClient } from '../../src/clients/service.ts'
import { createApplication, openid } from '../helpers/application.ts'
import { back, exchange, front, grantType, opaque, registerParts, tokenType } from '../helpers/exchange.ts'
import { introspect, post, readJwt, registerPortal, signedInVisitor, userinfo } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

t.test('token exchange', async t => {
  const service = await startService(t)
  const { app, gateway, registerGateway, policy, obtain } = await registerParts(service)
  const visitor = await signedInVisitor(service, app)
  const person = async (scope = 'openid read', resource = front) =>
    (await obtain(visitor, { scope, resource })).access_token
  const [{ id: accountId } = {}] = await service.pool`select id from accounts`
  const own = async (client = gateway, resource = back) =>
    (await post(service, '/token', { grant_type: 'client_credentials', resource }, { client })).body
      .access_token

  await t.test(
    'RFC 8693 §2.2.1: an API gets a token for the next one, as openid-client asks for it',
    async t => {
      const { config } = await createApplication(service, { ...gateway, redirect_uris: [] })
      const answer = await openid.genericGrantRequest(config, grantType, {
        subject_token: (await person()) ?? '',
        subject_token_type: tokenType('access_token'),
        audience: back
      })
      t.match(answer, {
        issued_token_type: tokenType('access_token'),
        token_type: 'bearer',
        scope: 'orders:read'
      })
      t.equal(answer.refresh_token, undefined)
      t.equal(answer.id_token, undefined)
      const { header, payload } = readJwt(answer.access_token)
      t.match(header, { typ: 'at+jwt', alg: 'ES256' })
      t.match(payload, { iss: service.issuer, sub: accountId, aud: back, client_id: gateway.client_id })
      t.notOk('act' in payload, 'impersonation says nothing of who acts')
      t.match(
        payload,
        { acr: 'urn:gatehouse:acr:1fa', auth_time: Number },
        'how they signed in is still known'
      )
      t.match((await introspect(service, gateway, answer.access_token)).body, {
        active: true,
        sub: accountId
      })
    }
  )

  await t.test(
    'RFC 8693 §4.1: by delegation the token says who acts, and the chain grows at its front',
    async t => {
      const { body } = await exchange(service, gateway, {
        subject_token: await person(),
        actor_token: await own(),
        actor_token_type: tokenType('access_token'),
        audience: back
      })
      t.strictSame(readJwt(body.access_token).payload.act, { sub: gateway.client_id })
      const next = await registerGateway({
        ...policy,
        subject_clients: [gateway.client_id],
        audiences: [opaque]
      })
      const chained = await exchange(service, next, {
        subject_token: body.access_token,
        actor_token: await own(next),
        actor_token_type: tokenType('jwt'),
        audience: opaque
      })
      t.equal(chained.status, 200)
      const act = { sub: next.client_id, act: { sub: gateway.client_id } }
      t.strictSame((await introspect(service, next, chained.body.access_token)).body.act, act)
      t.match((await introspect(service, gateway, body.access_token)).body, {
        act: { sub: gateway.client_id }
      })
      const silent = await exchange(service, next, { subject_token: body.access_token, audience: opaque })
      t.strictSame(
        (await introspect(service, next, silent.body.access_token)).body.act,
        { sub: gateway.client_id },
        'whoever acted already is never left out'
      )
    }
  )

  await t.test('TOK-2: opaque tokens and JWTs are exchanged for either', async t => {
    for (const [from, scope] of [
      [front, 'openid read'],
      [opaque, 'openid see read']
    ] as const)
      for (const to of [back, opaque, front]) {
        const { status, body } = await exchange(service, gateway, {
          subject_token: await person(scope, from),
          audience: to
        })
        t.equal(status, 200, `${from} ${to}`)
        t.equal(body.access_token?.includes('.'), to !== opaque)
        const { body: told } = await introspect(service, gateway, body.access_token)
        t.match(told, { active: true, aud: to, sub: accountId, client_id: gateway.client_id })
        t.match(
          String((await userinfo(service, body.access_token)).status),
          /^40[13]$/,
          'for that resource alone'
        )
      }
  })

  await t.test('OID-13: an opaque token ends with the client that exchanged for it', async t => {
    const gone = await registerGateway({ ...policy, subject_clients: [app.client_id, gateway.client_id] })
    const subjects = [await person(), (await own(gateway, opaque)) ?? '']
    const made = await Promise.all(
      subjects.map(async subject_token => await exchange(service, gone, { subject_token, audience: opaque }))
    )
    for (const { body } of made)
      t.match((await introspect(service, gateway, body.access_token)).body, { client_id: gone.client_id })
    await removeClient(service.app.ctx, gone.client_id)
    await waitFor(
      async () => (await service.app.oidc.current().registry.clients.find(gone.client_id)) === undefined
    )
    for (const { body } of made) {
      const { status, body: told } = await introspect(service, gateway, body.access_token)
      t.equal(status, 200)
      t.strictSame(told, { active: false })
    }
  })

  await t.test('RFC 8693 §2.2.1: a JWT is had where the audience takes one', async t => {
    const subject_token = await person()
    const ask = { subject_token, requested_token_type: tokenType('jwt') }
    t.match((await exchange(service, gateway, { ...ask, audience: back })).body, {
      issued_token_type: tokenType('jwt')
    })
    t.match((await exchange(service, gateway, { ...ask, audience: opaque })).body, {
      error: 'invalid_request'
    })
    for (const requested_token_type of ['refresh_token', 'id_token', 'saml2'].map(tokenType))
      t.match((await exchange(service, gateway, { ...ask, requested_token_type, audience: back })).body, {
        error: 'invalid_request'
      })
  })

  await t.test('scopes are narrowed at the same resource, mapped at another, and never widened', async t => {
    const scopesOf = async (scope: string, fields: Record<string, unknown>) => {
      const { body } = await exchange(service, gateway, { subject_token: await person(scope), ...fields })
      return body.error ?? body.scope
    }
    t.equal(await scopesOf('openid read write', { audience: front }), 'read write')
    t.equal(await scopesOf('openid read write', { audience: front, scope: 'write' }), 'write')
    t.equal(await scopesOf('openid read', { audience: front, scope: 'read write' }), 'invalid_scope')
    t.equal(await scopesOf('openid read', { audience: back }), 'orders:read')
    t.equal(await scopesOf('openid read', { audience: back, scope: 'orders:write' }), 'invalid_scope')
    t.equal(await scopesOf('openid write', { audience: back }), 'orders:write orders:read')
    t.equal(await scopesOf('openid read same', { audience: back }), 'orders:read', 'the same word elsewhere')
    t.equal(await scopesOf('openid read same', { audience: back, scope: 'same' }), 'invalid_scope')
    t.equal(await scopesOf('openid read', { audience: back, scope: 'openid' }), 'invalid_scope')
    const narrow = await registerGateway(policy, { scope: 'orders:read' })
    const { body } = await exchange(service, narrow, {
      subject_token: await person('openid write'),
      audience: back
    })
    t.equal(body.scope, 'orders:read', 'and not beyond what the client may have itself')
  })

  await t.test('the result ends no later than what it was made from', async t => {
    const subject_token = await person()
    service.advance(400)
    const { body } = await exchange(service, gateway, { subject_token, audience: back })
    t.ok(Number(body.expires_in) <= 200, String(body.expires_in))
    t.equal(readJwt(body.access_token).payload.exp, readJwt(subject_token).payload.exp)
    const stored = await exchange(service, gateway, { subject_token, audience: opaque })
    t.equal(
      (await introspect(service, gateway, stored.body.access_token)).body.exp,
      readJwt(subject_token).payload.exp
    )
    const brief = await registerGateway({ ...policy, max_lifetime_seconds: 60 })
    t.equal((await exchange(service, brief, { subject_token, audience: back })).body.expires_in, 60)
    service.advance(200)
    t.match((await exchange(service, gateway, { subject_token, audience: back })).body, {
      error: 'invalid_request'
    })
  })

  await t.test(
    'a person whom the application knows by another name is told by the name that the API knows',
    async t => {
      const aliased = await registerPortal(service, {
        client_name: 'Aliased',
        subject_type: 'pairwise',
        scope: 'openid read see',
        resources: [front, opaque]
      })
      const taker = await registerGateway({ ...policy, subject_clients: [aliased.client_id] })
      for (const resource of [front, opaque]) {
        const { access_token } = await obtain(visitor, { scope: 'openid read', resource }, aliased)
        const { body } = await exchange(service, taker, { subject_token: access_token, audience: back })
        t.equal(readJwt(body.access_token).payload.sub, accountId)
        t.not((await introspect(service, taker, access_token)).body.sub, accountId)
      }
    }
  )

  await t.test('an ID token is exchanged where the policy says so', async t => {
    const subject_token = (await obtain(visitor, { scope: 'openid read', resource: front })).id_token
    const ask = { subject_token, subject_token_type: tokenType('id_token'), audience: back }
    t.match((await exchange(service, gateway, ask)).body, { error: 'invalid_request' })
    const taker = await registerGateway({
      ...policy,
      subject_token_types: ['id_token'],
      scopes: { openid: ['orders:read'] }
    })
    const { status, body } = await exchange(service, taker, ask)
    t.equal(status, 200)
    t.match(readJwt(body.access_token).payload, {
      sub: accountId,
      scope: 'orders:read',
      client_id: taker.client_id
    })
    t.match((await exchange(service, taker, { subject_token: await person(), audience: back })).body, {
      error: 'invalid_request'
    })
  })

  await t.test("a client's own token is exchanged in the client's name", async t => {
    const robot = await service.register({
      client_name: 'Robot',
      grant_types: ['client_credentials'],
      scope: 'read',
      resources: [front]
    })
    const forRobots = await registerGateway({ ...policy, subject_clients: [robot.client_id] })
    const ask = { grant_type: 'client_credentials', resource: front, scope: 'read' }
    const subject_token = (await post(service, '/token', ask, { client: robot })).body.access_token
    for (const audience of [back, opaque]) {
      const { body } = await exchange(service, forRobots, { subject_token, audience })
      const told = { active: true, sub: robot.client_id, client_id: forRobots.client_id }
      t.match((await introspect(service, forRobots, body.access_token)).body, told)
      if (audience === back) t.match(readJwt(body.access_token).payload, { sub: robot.client_id })
    }
    const kept = await exchange(service, forRobots, { subject_token, audience: back })
    await service.pool`delete from clients where client_id = ${robot.client_id}`
    service.app.oidc.current().registry.clients.drop(robot.client_id)
    t.match((await exchange(service, forRobots, { subject_token, audience: back })).body, {
      error: 'invalid_request'
    })
    t.strictSame((await introspect(service, forRobots, kept.body.access_token)).body, { active: false })
  })

  await t.test('who, for whom and for what is in the audit trail; tokens are not', async t => {
    const subject_token = await person()
    await service.pool`delete from audit_events where type like 'token.%'`
    const actor = { actor_token: await own(), actor_token_type: tokenType('access_token') }
    const { body } = await exchange(service, gateway, { subject_token, ...actor, audience: back })
    await exchange(service, gateway, { subject_token, audience: 'urn:elsewhere' })
    const events = await service.pool`
      select type, account_id, client_id, host(ip) as ip, request_id, details from audit_events
      where type like 'token.%' order by id`
    t.match(events, [
      {
        type: 'token.exchanged',
        accountId,
        clientId: gateway.client_id,
        requestId: /.+/,
        ip: /^(::1|127\.0\.0\.1)$/,
        details: {
          subject: accountId,
          subject_client: app.client_id,
          actor: gateway.client_id,
          actor_client: gateway.client_id,
          audience: back,
          scope: 'orders:read'
        }
      },
      {
        type: 'token.exchange_refused',
        accountId,
        clientId: gateway.client_id,
        details: { reason: 'audience_not_allowed' }
      }
    ])
    const text = JSON.stringify(events)
    for (const token of [subject_token, actor.actor_token, body.access_token])
      t.notOk(text.includes(String(token).split('.')[2] ?? ''))
  })

  await t.test('an exchange costs one look-up and one write', async t => {
    for (const [from, to, budget] of [
      [front, back, 2],
      [opaque, opaque, 2]
    ] as const) {
      const subject_token = await person('openid read', from)
      await exchange(service, gateway, { subject_token, audience: to })
      service.statements.length = 0
      t.equal((await exchange(service, gateway, { subject_token, audience: to })).status, 200)
      t.equal(service.statements.length, budget, service.statements.join('\n'))
    }
  })
})
