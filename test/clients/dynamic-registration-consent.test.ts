// People and the applications that registered themselves: what they are shown, and how long such an application lives.
import t from 'tap'
import { findClient } from '../../src/clients/repository.ts'
import { removeUnusedClients } from '../../src/clients/unused-client-service.ts'
import { createApplication, newcomer, openid } from '../helpers/application.ts'
import {
  authorizationUrl,
  callbackOf,
  get,
  obtainCode,
  post,
  redeem,
  signedInVisitor
} from '../helpers/protocol.ts'
import { registered, webApplication } from '../helpers/registrations.ts'
import { startService } from '../helpers/service.ts'
import { pageText, type Visitor } from '../helpers/visitor.ts'

const service = await startService(t, { environment: { DYNAMIC_REGISTRATION: 'open' } })
const demo = service.clients['demo-web']
if (demo === undefined) throw new Error('there is no demo application')
let people = 0
const somebody = async (): Promise<Visitor> =>
  await signedInVisitor(service, demo, { email: `person-${++people}@example.org` })

const asksConsent = (text: string) => text.includes('id="consent-form"')

t.test('OID-15: the page says that nobody vouches for it, and where the browser goes', async t => {
  const visitor = await somebody()
  const client = await registered(service, {
    ...webApplication,
    client_name: '<b>Your bank</b>',
    client_uri: 'https://bank.example/'
  })
  const { text } = await visitor.visit(authorizationUrl(service, client))
  t.ok(asksConsent(text))
  t.notMatch(text, '<b>Your bank', 'markup stays text')
  const words = pageText(text)
  t.match(words, 'It registered itself, under a name of its own choice')
  t.match(words, 'you go on to album.example')
  t.notMatch(words, 'bank.example', 'anybody can say that they are at home there')
  t.notMatch(
    pageText((await visitor.visit(authorizationUrl(service, demo, { prompt: 'consent' }))).text),
    'registered itself'
  )
})

t.test('OID-15: nobody is let in unseen, whatever is asked for, and without a person not at all', async t => {
  const visitor = await somebody()
  const client = await registered(service, webApplication)
  const silent = await visitor.visit(authorizationUrl(service, client, { prompt: 'none' }))
  t.equal(callbackOf(silent).searchParams.get('error'), 'consent_required')
  for (const scope of ['openid', undefined]) {
    const page = await visitor.visit(authorizationUrl(service, client, { scope }))
    t.ok(asksConsent(page.text), `scope ${scope}`)
  }
  await obtainCode(service, { client, visitor })
  const again = await visitor.visit(authorizationUrl(service, client))
  t.ok(callbackOf(again).searchParams.has('code'), 'what was agreed to is remembered')
  t.ok(asksConsent((await visitor.visit(authorizationUrl(service, client, { scope: 'openid email' }))).text))
  t.ok(asksConsent((await visitor.visit(authorizationUrl(service, client, { prompt: 'consent' }))).text))
})

t.test('RFC 8252 §8.6: a program on a device asks each time', async t => {
  const visitor = await somebody()
  const client = await registered(service, {
    redirect_uris: ['http://localhost/callback'],
    token_endpoint_auth_method: 'none'
  })
  const params = { redirect_uri: 'http://localhost:51004/callback' }
  const { code } = await obtainCode(service, { client, visitor, params })
  t.ok(code, 'any port')
  const { text } = await visitor.visit(authorizationUrl(service, client, params))
  t.match(pageText(text), 'a program on this device')
  for (const redirect_uri of ['http://127.0.0.1:51004/callback', 'http://localhost:51004/other'])
    t.equal(
      (await visitor.visit(authorizationUrl(service, client, { redirect_uri }))).location,
      null,
      redirect_uri
    )
})

const lastUsedAt = async (id: string) => (await findClient(service.pool, id))?.lastUsedAt ?? null

t.test('a use is noted once a day, and an authorization request alone is none', async t => {
  const visitor = await somebody()
  const client = await registered(service, webApplication)
  await visitor.visit(authorizationUrl(service, client))
  t.equal(await lastUsedAt(client.client_id), null)
  const { searchParams } = new URL(authorizationUrl(service, client))
  t.equal((await post(service, '/par', Object.fromEntries(searchParams), { client })).status, 201)
  t.equal(await lastUsedAt(client.client_id), null, 'a pushed one neither')
  const code = await obtainCode(service, { client, visitor })
  const first = await lastUsedAt(client.client_id)
  t.ok(first instanceof Date)
  service.statements.length = 0
  t.equal((await redeem(service, client, code)).status, 200)
  t.equal(service.statements.filter(statement => /update clients/.test(statement)).length, 0)
  t.ok(service.statements.length <= 2, 'no more statements than any client’s')
  service.advance(86_500)
  const later = await somebody()
  await obtainCode(service, { client, visitor: later })
  t.ok(Number(await lastUsedAt(client.client_id)) - Number(first) >= 86_400_000)
  await obtainCode(service, { client: demo, visitor: later })
  t.equal(await lastUsedAt('demo-web'), null, 'the operator’s own are not counted')
})

t.test('OID-20: what nobody used for UNUSED_CLIENT_DAYS is gone, with what was granted to it', async t => {
  const unused = await registered(service, webApplication)
  const used = await registered(service, webApplication)
  const { tokens } = await newcomer(service, await createApplication(service, used), {
    email: 'keeps@example.org'
  })
  service.advance(29 * 86_400)
  await removeUnusedClients(service.app.ctx)
  t.ok(await findClient(service.pool, unused.client_id), 'not a day too early')
  // Used on its last day.
  const application = await createApplication(service, used)
  const late = await newcomer(service, application, { email: 'late@example.org' })
  service.advance(86_401)
  t.ok((await removeUnusedClients(service.app.ctx)) >= 1)
  t.equal(await findClient(service.pool, unused.client_id), null)
  t.ok(await findClient(service.pool, used.client_id))
  t.ok(await findClient(service.pool, 'demo-web'), 'the operator’s stay for ever')
  t.ok(tokens.access_token)
  const [event] = await service.pool`
    select client_id from audit_events where type = 'client.expired' and client_id = ${unused.client_id}`
  t.ok(event)

  service.advance(31 * 86_400)
  await removeUnusedClients(service.app.ctx)
  t.equal(await findClient(service.pool, used.client_id), null)
  const [left] = await service.pool`
    select count(*)::int as count from consents where client_id = ${used.client_id}`
  t.equal(left?.count, 0)
  service.advance(61)
  const info = await get(service, '/userinfo', { authorization: `Bearer ${late.tokens.access_token}` })
  t.equal(info.status, 401)
  await t.rejects(openid.refreshTokenGrant(application.config, late.tokens.refresh_token ?? ''))
})
