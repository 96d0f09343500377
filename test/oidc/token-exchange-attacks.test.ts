// Everything that must not be had by token exchange (RFC 8693 §2.2.2, §5).
import { createHmac, createPrivateKey, generateKeyPairSync, sign } from 'node:crypto'
import t from 'tap'
import { endAllTokens } from '../../src/accounts/service.ts'
import { registerResource } from '../../src/clients/resource-service.ts'
import { loadSigningKeys } from '../../src/keys/service.ts'
import { back, exchange, front, grantType, opaque, registerParts, tokenType } from '../helpers/exchange.ts'
import { signJws } from '../helpers/jws.ts'
import { get, introspect, post, readJwt, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

t.test('attacks on token exchange', async t => {
  const service = await startService(t)
  const { ctx } = service.app
  const { app, gateway, registerGateway, policy, obtain } = await registerParts(service)
  const visitor = await signedInVisitor(service, app)
  const person = async (scope = 'openid read', resource = front, client = app) =>
    (await obtain(visitor, { scope, resource }, client)).access_token ?? ''
  const own = async (client = gateway, resource = back) =>
    (await post(service, '/token', { grant_type: 'client_credentials', resource }, { client })).body
      .access_token ?? ''
  const signing = (await loadSigningKeys(ctx)).find(({ alg }) => alg === 'ES256')
  const ourKey = createPrivateKey({ key: signing as never, format: 'jwk' })
  /** A token that we might have signed ourselves. */
  const signedByUs = (token: string, over: object) => {
    const { header, payload } = readJwt(token)
    return signJws(header, { ...payload, ...over }, ourKey)
  }
  const asActor = (token: string) => ({ actor_token: token, actor_token_type: tokenType('access_token') })
  const lastReason = async () => {
    const [row] = await service.pool`
      select details->>'reason' as reason from audit_events where type = 'token.exchange_refused' order by id desc limit 1`
    return row?.reason
  }
  /** Refused with this error, and with this reason in the audit trail. */
  const isRefused = async (
    [title, error, reason]: [string, string, string | null],
    fields: Record<string, unknown>,
    client = gateway
  ) => {
    await service.pool`delete from audit_events where type = 'token.exchange_refused'`
    const { status, body } = await exchange(service, client, { audience: back, ...fields })
    t.equal(status, 400, title)
    t.equal(body.error, error, title)
    t.equal(body.access_token, undefined, title)
    t.equal((await lastReason()) ?? null, reason, title)
  }
  const badSubject: [string, string] = ['invalid_request', 'subject_token_invalid']
  const badActor: [string, string] = ['invalid_request', 'actor_token_invalid']

  await t.test('RFC 8693 §2.1: what is no request is none', async () => {
    const subject_token = await person()
    const malformed: Record<string, Record<string, unknown>> = {
      'no subject': {},
      'no type': { subject_token, subject_token_type: undefined },
      'an actor without a type': { subject_token, actor_token: await own() },
      'a type without an actor': { subject_token, actor_token_type: tokenType('access_token') },
      'a refresh token': { subject_token, subject_token_type: tokenType('refresh_token') },
      SAML: { subject_token, subject_token_type: tokenType('saml2') },
      'a type of no standard': { subject_token, subject_token_type: 'access_token' },
      'an ID token that acts': { subject_token, actor_token: 'x', actor_token_type: tokenType('id_token') }
    }
    for (const [title, fields] of Object.entries(malformed))
      await isRefused([title, 'invalid_request', null], fields)
    for (const [name, value] of [
      ['audience', front],
      ['resource', front]
    ] as const) {
      const form = new URLSearchParams({
        grant_type: grantType,
        subject_token,
        subject_token_type: tokenType('access_token'),
        audience: back
      })
      form.append(name, value)
      const { status, body } = await post(service, '/token', form, { client: gateway })
      t.match({ status, body }, { status: 400, body: { error: 'invalid_target' } }, `two targets: ${name}`)
    }
    const twice = { subject_token, resource: back, audience: back }
    t.equal((await exchange(service, gateway, twice)).status, 200, 'the same one twice is one')
  })

  await t.test('only who has a policy exchanges, and by default nobody has', async () => {
    const subject_token = await person()
    await isRefused(
      ['no policy', 'unauthorized_client', 'no_policy'],
      { subject_token },
      await registerGateway(undefined)
    )
    const noGrant = await registerGateway(undefined, { grant_types: ['client_credentials'] })
    await isRefused(['no grant', 'invalid_request', null], { subject_token }, noGrant)
    const notAllowed = ['invalid_request', 'subject_token_not_allowed'] as const
    const other = await registerGateway({ ...policy, subject_clients: ['demo-web'] })
    await isRefused(["another application's token", ...notAllowed], { subject_token }, other)
    const noGuard = await registerGateway(policy, { introspection: false })
    await isRefused(['a token for an API that it is not', ...notAllowed], { subject_token }, noGuard)
    const elsewhere = await registerGateway({ ...policy, audiences: [back] }, { resources: [back] })
    await isRefused(["a token for somebody else's API", ...notAllowed], { subject_token }, elsewhere)
    const forUserinfo = (await obtain(visitor, { scope: 'openid', resource: undefined as never }))
      .access_token
    await isRefused(['a token for no API', ...notAllowed], { subject_token: forUserinfo })
    const idToken = (await obtain(visitor, { scope: 'openid read', resource: front })).id_token
    await isRefused(['an ID token', ...notAllowed], {
      subject_token: idToken,
      subject_token_type: tokenType('id_token')
    })
  })

  await t.test('impersonation and delegation are allowed each by itself', async () => {
    const subject_token = await person()
    const actor = asActor(await own())
    const speaksUp = await registerGateway({ ...policy, impersonation: false })
    await isRefused(
      ['impersonation', 'invalid_request', 'impersonation_not_allowed'],
      { subject_token },
      speaksUp
    )
    const { delegation: _delegation, ...silent } = policy
    await isRefused(
      ['delegation', 'invalid_request', 'delegation_not_allowed'],
      { subject_token, ...actor },
      await registerGateway(silent)
    )
  })

  await t.test("TOK-2: an audience is one of the policy's and of the client's", async () => {
    const subject_token = await person()
    await registerResource(ctx, { identifier: 'urn:test:third', scopes: ['read'] })
    const notAllowed = ['invalid_target', 'audience_not_allowed'] as const
    for (const audience of [
      'urn:test:third',
      'urn:nobody',
      `${back}/`,
      app.client_id,
      'https://google.example',
      ''
    ])
      await isRefused([audience, ...notAllowed], { subject_token, audience })
    await isRefused(['none, where there are several', ...notAllowed], { subject_token, audience: undefined })
    const onlyBack = await registerGateway({ ...policy, audiences: [back] })
    const { body } = await exchange(service, onlyBack, { subject_token })
    t.equal(readJwt(body.access_token).payload.aud, back, 'none, where there is one')
    await isRefused(['not of the policy', ...notAllowed], { subject_token, audience: front }, onlyBack)
    const left = await registerGateway(
      { ...policy, audiences: ['urn:test:third'] },
      { resources: [front, 'urn:test:third'] }
    )
    await service.pool`delete from resources where identifier = 'urn:test:third'`
    service.app.oidc.current().registry.resources.drop()
    await isRefused(
      ['a resource that is gone', ...notAllowed],
      { subject_token, audience: 'urn:test:third' },
      left
    )
  })

  await t.test('TOK-1: a token that is not ours is none', async () => {
    const token = await person()
    const { header, payload } = readJwt(token)
    const [protectedPart = '', claimsPart = '', signature = ''] = token.split('.')
    const stranger = generateKeyPairSync('ec', { namedCurve: 'P-256' })
    const strangerJwk = stranger.publicKey.export({ format: 'jwk' })
    const publicJwk = ((await get(service, '/jwks')).body.keys as { kid: string }[]).find(
      ({ kid }) => kid === header.kid
    )
    const hmac = (secret: string) => {
      const input = `${part({ ...header, alg: 'HS256' })}.${claimsPart}`
      return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
    }
    const misnamed = () => {
      const input = `${part({ ...header, alg: 'RS256' })}.${claimsPart}`
      const ours = sign('sha256', Buffer.from(input), { key: ourKey, dsaEncoding: 'ieee-p1363' })
      return `${input}.${ours.toString('base64url')}`
    }
    const byStranger = (over: object) => signJws({ ...header, ...over }, payload, stranger.privateKey)
    const forged: Record<string, string> = {
      none: `${part({ ...header, alg: 'none' })}.${claimsPart}.`,
      'no signature': `${protectedPart}.${claimsPart}.`,
      'more scope': `${protectedPart}.${part({ ...payload, scope: 'read write' })}.${signature}`,
      'HS256 with the public key': hmac(JSON.stringify(publicJwk)),
      "a stranger's signature": byStranger({}),
      'a key of its own': byStranger({ jwk: strangerJwk }),
      'a key set of its own': byStranger({ jku: 'https://evil.example/jwks', kid: 'x' }),
      'a certificate of its own': byStranger({ x5u: 'https://evil.example/x', kid: 'x' }),
      'an unknown key': byStranger({ kid: 'x' }),
      'the name of another algorithm': misnamed(),
      'another issuer': signedByUs(token, { iss: 'https://evil.example' }),
      'nobody at home': signedByUs(token, { grant_id: 'x' }),
      'no such client': signedByUs(token, { client_id: 'nobody' }),
      nonsense: 'x',
      'an unknown one': 'x'.repeat(43),
      empty: 'a..b',
      NUL: '\0'
    }
    for (const [title, subject_token] of Object.entries(forged)) {
      await isRefused([title, ...badSubject], { subject_token })
      await isRefused([title, ...badSubject], { subject_token, subject_token_type: tokenType('jwt') })
      await isRefused([title, ...badSubject], { subject_token, subject_token_type: tokenType('id_token') })
      await isRefused([`${title} acts`, ...badActor], { subject_token: token, ...asActor(subject_token) })
    }
  })

  await t.test('TOK-2: no token stands in for one of another type', async () => {
    const params = { scope: 'openid offline_access read', prompt: 'consent', resource: front }
    const tokens = await obtain(visitor, params)
    const opaqueOne = await person('openid see', opaque)
    for (const [title, subject_token, type] of [
      ['an ID token as access token', tokens.id_token, 'access_token'],
      ['an ID token as JWT', tokens.id_token, 'jwt'],
      ['an access token as ID token', tokens.access_token, 'id_token'],
      ['an opaque token as ID token', opaqueOne, 'id_token'],
      ['an opaque token as JWT', opaqueOne, 'jwt'],
      ['a refresh token', tokens.refresh_token, 'access_token']
    ] as const)
      await isRefused([title, ...badSubject], { subject_token, subject_token_type: tokenType(type) })
  })

  await t.test("an ID token is another application's, or over, or tells no name that we know", async () => {
    const taker = await registerGateway({
      ...policy,
      subject_token_types: ['id_token'],
      scopes: { openid: ['orders:read'] }
    })
    const subject_token_type = tokenType('id_token')
    const stranger = await registerPortal(service, { client_name: 'Stranger' })
    const idTokenOf = async (client = app) =>
      (await obtain(visitor, { scope: 'openid', resource: undefined as never }, client)).id_token ?? ''
    const foreign = { subject_token: await idTokenOf(stranger), subject_token_type }
    await isRefused(['a stranger’s', 'invalid_request', 'subject_token_not_allowed'], foreign, taker)
    const subject_token = await idTokenOf()
    t.equal(
      (await exchange(service, taker, { subject_token, subject_token_type, audience: back })).status,
      200
    )
    const twisted: Record<string, object> = {
      'two audiences': { aud: [app.client_id, 'x'] },
      'an application that is not': { aud: 'nobody' },
      'no sign-in': { auth_time: undefined },
      'another person': { sub: crypto.randomUUID() },
      'no person': { sub: 'x' }
    }
    for (const [title, over] of Object.entries(twisted))
      await isRefused(
        [title, ...badSubject],
        { subject_token: signedByUs(subject_token, over), subject_token_type },
        taker
      )
    const { header, payload } = readJwt(subject_token)
    const typed = signJws({ ...header, typ: 'logout+jwt' }, payload, ourKey)
    await isRefused(['of another type', ...badSubject], { subject_token: typed, subject_token_type }, taker)
    await service.pool`delete from grants where client_id = ${app.client_id}`
    service.advance(2)
    await idTokenOf()
    const revived = { subject_token, subject_token_type }
    await isRefused(['of a grant that ended, with a newer one', ...badSubject], revived, taker)
    const aliased = await registerPortal(service, { client_name: 'Aliased', subject_type: 'pairwise' })
    const forAliased = await registerGateway({
      ...policy,
      subject_clients: [aliased.client_id],
      subject_token_types: ['id_token']
    })
    const byAlias = { subject_token: await idTokenOf(aliased), subject_token_type }
    await isRefused(['a name for one sector', ...badSubject], byAlias, forAliased)
    service.advance(3601)
    await isRefused(['expired', ...badSubject], { subject_token, subject_token_type }, taker)
  })

  await t.test('an actor is one whom the policy names, with a token of its own that is good', async () => {
    const subject_token = await person()
    const other = await registerGateway(policy)
    const notAllowed = ['invalid_request', 'actor_token_not_allowed'] as const
    await isRefused(["another client's", ...notAllowed], { subject_token, ...asActor(await own(other)) })
    await isRefused(["a person's", ...notAllowed], { subject_token, ...asActor(await person()) })
    const ofOther = { subject_token, ...asActor(await own(other, front)) }
    const listing = await registerGateway({ ...policy, actors: [other.client_id] })
    t.equal((await exchange(service, listing, { ...ofOther, audience: back })).status, 200)
    const forNobody = (await post(service, '/token', { grant_type: 'client_credentials' }, { client: other }))
      .body
    const lent = { subject_token, ...asActor(forNobody.access_token ?? '') }
    await isRefused(['one that was not for this API', ...notAllowed], lent, listing)
    await isRefused(
      ['itself, where others are named', ...notAllowed],
      { subject_token, ...asActor(await own(listing)) },
      listing
    )
    const { body } = await exchange(service, gateway, { ...ofOther, ...asActor(await own()), audience: back })
    const acting = await registerGateway(
      { ...policy, actors: [gateway.client_id] },
      { resources: [front, back, opaque] }
    )
    await isRefused(
      ['one that acts for another already', ...notAllowed],
      { subject_token, ...asActor(body.access_token ?? '') },
      acting
    )
    const actor = await own()
    await post(service, '/revoke', { token: actor }, { client: gateway })
    await isRefused(['a revoked one', ...badActor], { subject_token, ...asActor(actor) })
  })

  await t.test('RFC 8693 §4.4: a token that says who may act lets nobody else', async () => {
    const token = await person()
    const may = (may_act: unknown) => signedByUs(token, { may_act })
    const actor = asActor(await own())
    const { client_id } = gateway
    for (const may_act of [{ sub: client_id }, { sub: client_id, iss: service.issuer, client_id }])
      for (const acting of [{}, actor]) {
        const { status } = await exchange(service, gateway, {
          subject_token: may(may_act),
          ...acting,
          audience: back
        })
        t.equal(status, 200, JSON.stringify(may_act))
      }
    const others = [
      { sub: 'other' },
      { sub: client_id, iss: 'https://evil.example' },
      { sub: client_id, client_id: 'other' },
      { sub: client_id, email: 'ada@example.org' },
      { client_id },
      {},
      null,
      client_id,
      [client_id]
    ]
    for (const may_act of others)
      for (const acting of [{}, actor])
        await isRefused([`only ${JSON.stringify(may_act)}`, 'invalid_request', 'may_act_of_others'], {
          subject_token: may(may_act),
          ...acting
        })
  })

  await t.test('a chain of actors ends somewhere', async () => {
    const chain = (length: number): object => ({
      sub: `a${length}`,
      ...(length > 1 ? { act: chain(length - 1) } : {})
    })
    const token = await person()
    const actor = asActor(await own())
    const four = await exchange(service, gateway, {
      subject_token: signedByUs(token, { act: chain(4) }),
      ...actor,
      audience: back
    })
    t.strictSame(readJwt(four.body.access_token).payload.act, { sub: gateway.client_id, act: chain(4) })
    const tooLong: [string, string, string] = ['five and one', 'invalid_request', 'chain_too_long']
    await isRefused(tooLong, { subject_token: signedByUs(token, { act: chain(5) }), ...actor })
  })

  await t.test('a token whose person, grant or client is gone is exchanged no more', async () => {
    for (const resource of [front, opaque]) {
      const scope = resource === front ? 'openid read' : 'openid see'
      const dead = async (
        title: string,
        end: (token: string) => Promise<unknown>,
        mend?: () => Promise<unknown>
      ) => {
        const subject_token = await person(scope, resource)
        t.equal((await exchange(service, gateway, { subject_token, audience: back })).status, 200, title)
        await end(subject_token)
        await isRefused([title, ...badSubject], { subject_token })
        await mend?.()
      }
      const [{ id } = {}] = await service.pool`select id from accounts`
      await dead('expired', async () => service.advance(601))
      await dead('revoked', async token => await post(service, '/revoke', { token }, { client: app }))
      await dead(
        'disabled',
        async () => await service.pool`update accounts set disabled_at = now()`,
        async () => await service.pool`update accounts set disabled_at = null`
      )
      await dead('no grant', async () => await service.pool`delete from grants`)
      await dead(
        'an ended grant',
        async () =>
          await service.pool`update grants set expires_at = now() - interval '1 day',
        payload = payload || '{"exp": 1}'`
      )
      await dead(
        'cut off',
        async () => {
          service.advance(2)
          await endAllTokens(ctx, id)
        },
        async () => {
          await service.pool`update accounts set tokens_valid_from = now() - interval '1 day'`
        }
      )
    }
  })

  await t.test('what is made by exchange is for its client to see, and nobody else learns of it', async t => {
    const { body } = await exchange(service, gateway, { subject_token: await person(), audience: opaque })
    t.strictSame((await introspect(service, app, body.access_token)).body, { active: false })
    t.match((await introspect(service, gateway, body.access_token)).body, { active: true })
    const subject_token = await person()
    const pretender = { ...gateway, client_secret: 'x' }
    t.equal((await exchange(service, pretender, { subject_token, audience: back })).status, 401)
  })
})
