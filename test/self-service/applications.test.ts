// What people have let into their accounts, and how they put it out again.
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { createMember, eventsOf, freeze, type Member } from '../helpers/account.ts'
import { startLogoutReceiver } from '../helpers/logout-receiver.ts'
import {
  atOnce,
  authorizationUrl,
  type Body,
  callbackOf,
  countStatuses,
  introspect,
  isSignedIn,
  obtainCode,
  obtainTokens,
  offline,
  readJwt,
  redeem,
  refresh,
  registerPortal,
  userinfo
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { findForm, pageText } from '../helpers/visitor.ts'
import { waitFor } from '../helpers/wait.ts'

const path = '/account/applications'
const api = 'urn:applications:api'
const environment = { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8' }

t.test('the applications that a person has agreed to', async t => {
  const service = await startService(t, { environment, nodes: 2 })
  await registerResource(service.app.ctx, { identifier: api, name: 'Photo storage', scopes: ['photos:read'] })
  const register = async (over: Record<string, unknown> = {}) =>
    await registerPortal(service, { first_party: false, resources: [api], ...over })
  const begin = async (client: DemoClient, { visitor }: Member): Promise<Body> =>
    await obtainTokens(service, { client, visitor, params: offline })
  const apiTokenOf = async (client: DemoClient, { visitor }: Member) => {
    const params = { scope: 'openid photos:read', resource: api }
    const code = await obtainCode(service, { client, visitor, params })
    return (await redeem(service, client, code, { resource: api })).body.access_token
  }
  const pageOf = async (client: DemoClient, member: Member) => {
    const [row] = await service.pool<{ id: string }[]>`
      select id from consents where client_id = ${client.client_id} and account_id = ${member.account.id}`
    return `${path}/${row?.id}`
  }
  const remove = async (client: DemoClient, member: Member) =>
    await member.visitor.submit(await member.open(await pageOf(client, member)), 'remove-form')

  await t.test('OID-16: a sign-in on its way while consent is taken back leaves no grant behind', async t => {
    const [member, client] = [await createMember(service), await register()]
    await begin(client, member)
    await service.pool`delete from grants where client_id = ${client.client_id}`
    const isWaiting = async () => {
      const rows = await service.pool`
        select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%into grants%'`
      return rows.length > 0
    }
    const { answer } = await service.pool.begin(async tx => {
      await tx`lock table grants in exclusive mode`
      const answer = member.visitor.visit(authorizationUrl(service, client))
      await waitFor(isWaiting)
      await tx`delete from consents where client_id = ${client.client_id}`
      return { answer }
    })
    const { status, location } = await answer
    t.ok(status >= 400 && status < 500, `${status}`)
    t.notMatch(location ?? '', 'code=')
    const grants = await service.pool`select from grants where client_id = ${client.client_id}`
    t.equal(grants.length, 0)
    t.match((await member.visitor.visit(authorizationUrl(service, client))).text, 'id="consent-form"')
  })

  await t.test('OID-16: one that the library refuses by now is listed, and can be removed', async t => {
    const member = await createMember(service)
    const refused = await register({ client_name: 'Of former rules' })
    await begin(refused, member)
    await begin(await register({ client_name: 'As ever' }), member)
    await service.pool`update clients set other_metadata = other_metadata || '{"response_modes": []}'
      where client_id = ${refused.client_id}`
    for (const app of service.apps) app.oidc.current().registry.clients.drop()
    const list = await member.open(path)
    t.equal(list.status, 200)
    t.match(pageText(list.text), /Of former rules/)
    t.match(pageText(list.text), /As ever/)
    t.equal((await remove(refused, member)).status, 200)
    t.notMatch((await member.open(path)).text, 'Of former rules')
  })

  await t.test('OID-16: are listed in words, with what they may do and since when', async t => {
    const member = await createMember(service)
    t.match((await member.open(path)).text, 'id="none"')
    const client = await register({
      client_name: '<b>Tidewater</b> & Co',
      client_uri: 'https://photos.example/',
      logo_uri: 'https://cdn.photos.example/logo.png'
    })
    await begin(client, member)
    await apiTokenOf(client, member)
    await begin(await registerPortal(service, { client_name: 'The operator’s own' }), member)
    const list = await member.open(path)
    t.match(list.text, '&lt;b&gt;Tidewater&lt;/b&gt; &amp; Co')
    t.notMatch(list.text, 'The operator’s own', 'nobody was asked about that one')
    t.match(list.text, 'src="https://cdn.photos.example/logo.png"')
    t.match(
      list.headers.get('content-security-policy'),
      /img-src 'self' data: https:\/\/cdn\.photos\.example/
    )
    t.match(list.text, /id="to-applications"/, 'and are found from every page of the account')
    const page = await member.open(await pageOf(client, member))
    const words = pageText(page.text)
    for (const text of ['photos.example', 'Know that it is you', 'See your email address', 'Stay connected'])
      t.match(words, text)
    t.match(words, /Use Photo storage for you Allowed there: photos:read/)
    const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' }).format(new Date())
    t.match(words, `Allowed on ${day} · last used ${day}`)
    t.notMatch(words, 'See your postal address')
  })

  await t.test(
    'OID-16, OID-7: access that is removed is over at once, at every node, and for every kind of token',
    async t => {
      const member = await createMember(service)
      const receiver = await startLogoutReceiver(t)
      const client = await register({
        backchannel_logout_uri: receiver.url,
        backchannel_logout_session_required: true
      })
      const other = await register()
      const neighbour = await createMember(service)
      const [tokens, theirs, elsewhere] = [
        await begin(client, member),
        await begin(client, neighbour),
        await begin(other, member)
      ]
      const jwt = await apiTokenOf(client, member)
      const pending = await obtainCode(service, { client, visitor: member.visitor })
      t.equal((await introspect(service, client, jwt)).body.active, true)

      const started = performance.now()
      const done = await remove(client, member)
      t.match(done.text, 'id="done"')
      t.notMatch(done.text, await pageOf(client, member))
      for (const _node of [1, 2]) {
        t.equal((await userinfo(service, tokens.access_token)).status, 401)
        for (const token of [tokens.access_token, tokens.refresh_token, jwt])
          t.strictSame((await introspect(service, client, token)).body, { active: false })
        t.match(await refresh(service, client, tokens.refresh_token), {
          status: 400,
          body: { error: 'invalid_grant' }
        })
      }
      t.equal(
        (await redeem(service, client, pending)).body.error,
        'invalid_grant',
        'nor is a code good that is out'
      )
      t.ok(performance.now() - started < 1000)
      const left = await service.pool`
        select grant_id from refresh_tokens where client_id = ${client.client_id} and account_id = ${member.account.id}
        union all select grant_id from access_tokens where client_id = ${client.client_id} and account_id = ${member.account.id}
        union all select grant_id from oidc_artifacts where client_id = ${client.client_id} and account_id = ${member.account.id}`
      t.equal(left.length, 0, 'nor is anything of it kept')

      t.equal(
        (await refresh(service, client, theirs.refresh_token)).status,
        200,
        'other people’s access stays'
      )
      t.equal((await userinfo(service, elsewhere.access_token)).status, 200, 'and so do other applications')
      t.strictSame(await eventsOf(service, member, 'consent.withdrawn'), ['consent.withdrawn'])
      const { sid } = readJwt(tokens.id_token).payload
      const { issuer } = service
      t.match(await receiver.notices({ issuer, clientId: client.client_id }, 1), [
        { sub: member.account.id, sid }
      ])

      t.ok(
        await isSignedIn(service, await registerPortal(service), member.visitor),
        'the person stays signed in'
      )
      const quiet = authorizationUrl(service, client, { prompt: 'none', scope: 'openid email' })
      t.equal(callbackOf(await member.visitor.visit(quiet)).searchParams.get('error'), 'consent_required')
      const asked = await member.visitor.visit(authorizationUrl(service, client, { scope: 'openid email' }))
      t.match(asked.text, 'id="consent-form"')
      await begin(client, member)
      t.match(
        (await member.open(path)).text,
        await pageOf(client, member),
        'agreed to again, it is there again'
      )
    }
  )

  await t.test('OID-16: looking removes nothing, and no other site can make anybody remove', async t => {
    const member = await createMember(service)
    const client = await register()
    const { access_token } = await begin(client, member)
    const page = await member.open(await pageOf(client, member))
    const { action } = findForm(page, 'remove-form')
    t.equal((await member.visitor.request(action)).status, 404)
    for (const body of ['', '_csrf=guess'])
      t.equal(
        (
          await member.visitor.request(action, {
            method: 'POST',
            body,
            headers: { 'content-type': 'application/x-www-form-urlencoded' }
          })
        ).status,
        403
      )
    t.equal((await userinfo(service, access_token)).status, 200)
  })

  await t.test('OID-16: nobody removes another’s, or sees it', async t => {
    const [owner, stranger] = [await createMember(service), await createMember(service)]
    const client = await register()
    const { access_token } = await begin(client, owner)
    await begin(client, stranger)
    const foreign = await pageOf(client, owner)
    t.equal((await stranger.open(foreign)).status, 404)
    const form = findForm(await stranger.open(await pageOf(client, stranger)), 'remove-form')
    const post = async (target: string) =>
      await stranger.visitor.request(`${service.issuer}${target}/remove`, {
        method: 'POST',
        body: new URLSearchParams(form.fields)
      })
    const last = foreign.at(-1) === '0' ? '1' : '0'
    for (const target of [
      foreign,
      `${foreign.slice(0, -1)}${last}`,
      `${path}/nothing`,
      `${path}/${client.client_id}`
    ])
      t.equal((await post(target)).status, 404, target)
    t.equal((await userinfo(service, access_token)).status, 200)
    t.strictSame(await eventsOf(service, owner, 'consent.withdrawn'), [])
  })

  await t.test('OID-16: of twenty removals at once one removes, and it is told of once', async t => {
    const member = await createMember(service)
    const client = await register()
    await begin(client, member)
    const page = await member.open(await pageOf(client, member))
    const answers = await atOnce(20, () => member.visitor.post(page, 'remove-form'))
    t.strictSame(countStatuses(answers), { 303: 1, 404: 19 })
    t.strictSame(await eventsOf(service, member, 'consent.withdrawn'), ['consent.withdrawn'])
  })

  await t.test(
    'OID-16: it can be done in the day after “this wasn’t me”, and needs a recent sign-in',
    async t => {
      const member = await createMember(service)
      const client = await register()
      const { access_token } = await begin(client, member)
      const own = await pageOf(client, member)
      await freeze(service, member.account)
      service.advance(3600)
      const asked = await member.open(own)
      t.match(asked.text, 'id="sign-in-form"')
      const page = await member.visitor.submit(asked, 'sign-in-form', {
        email: member.email,
        password: 'correct horse battery staple'
      })
      t.match(page.url, own)
      t.match((await member.visitor.submit(page, 'remove-form')).text, 'id="done"')
      t.equal((await userinfo(service, access_token)).status, 401)
    }
  )

  await t.test('OID-15: claims that are asked for by name are named where they are agreed to', async t => {
    const member = await createMember(service)
    const client = await register()
    const claims = JSON.stringify({ userinfo: { phone_number: null } })
    const page = await member.visitor.visit(authorizationUrl(service, client, { claims }))
    t.match(pageText(page.text), 'See your phone number')
  })
})
