// When a person is asked, and what the page shows (OpenID Connect Core 1.0 §3.1.2.4).
import t from 'tap'
import type { DemoClient } from '../../src/development/clients-service.ts'
import {
  authorizationUrl,
  callbackOf,
  clientOf,
  type Fields,
  obtainTokens,
  refresh,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService, Visitor } from '../helpers/service.ts'
import { pageText } from '../helpers/visitor.ts'

t.test('consent', async t => {
  const service = await startService(t)
  const portal = await registerPortal(service)
  const visitor = await signedInVisitor(service, portal)
  const asks = ({ text }: { text: string }) => text.includes('id="consent-form"')
  const go = async (client: DemoClient, params: Fields = {}, as = visitor) =>
    await as.visit(authorizationUrl(service, client, params))
  const register = async (over: Record<string, unknown> = {}) =>
    await service.register({
      client_name: 'Photos',
      redirect_uris: ['https://photos.example/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      ...over
    })

  await t.test('OID-15: is asked for the first time, then remembered, also in another browser', async t => {
    const client = await register()
    const page = await go(client)
    t.ok(asks(page))
    t.match(page.url, '/consent')
    const back = await visitor.submit(page, 'consent-form', { decision: 'allow' })
    t.match(callbackOf(back).searchParams.get('code'), /.+/)
    t.match(callbackOf(await go(client)).searchParams.get('code'), /.+/, 'not asked again')
  })

  await t.test('OID-15: is asked again when the application asks for more, and only then', async t => {
    const client = await register()
    await visitor.submit(await go(client, { scope: 'openid email' }), 'consent-form', { decision: 'allow' })
    t.notOk(asks(await go(client, { scope: 'openid email' })))
    t.notOk(asks(await go(client, { scope: 'openid' })))
    const more = await go(client, { scope: 'openid email profile' })
    t.ok(asks(more))
    t.match(pageText(more.text), /name/i)
    t.ok(asks(await go(client, { claims: '{"userinfo":{"phone_number":null}}' })), 'a claim counts too')
    t.ok(asks(await go(client, { scope: 'openid email profile' })), 'asking is not agreeing')
    await visitor.submit(await go(client, { scope: 'openid email profile' }), 'consent-form', {
      decision: 'allow'
    })
    t.notOk(asks(await go(client, { scope: 'openid email profile' })))
  })

  await t.test(
    'OID-15: is asked each time with prompt=consent, even of the operator’s own application',
    async t => {
      const client = await register()
      await visitor.submit(await go(client), 'consent-form', { decision: 'allow' })
      for (const asked of [client, portal]) t.ok(asks(await go(asked, { prompt: 'consent' })))
    }
  )

  await t.test(
    'OID-15: access while away needs the question: without it offline_access is left out',
    async t => {
      const client = await register()
      const first = await visitor.submit(
        await go(client, { scope: 'openid offline_access', prompt: 'consent' }),
        'consent-form',
        { decision: 'allow' }
      )
      t.match(callbackOf(first).searchParams.get('code'), /.+/)
      const without = await obtainTokens(service, {
        client,
        visitor,
        params: { scope: 'openid offline_access' }
      })
      t.equal(without.scope, 'openid')
      const silently = await obtainTokens(service, {
        client: portal,
        visitor,
        params: { scope: 'openid offline_access' }
      })
      t.equal(silently.scope, 'openid', 'also for the operator’s own')
    }
  )

  await t.test(
    'OID-15: a native application is never answered without a question (RFC 8252 §8.6)',
    async t => {
      const native = clientOf(service, 'demo-native')
      for (const _ of [1, 2]) {
        const page = await go(native, { redirect_uri: 'http://127.0.0.1:4000/callback' })
        t.ok(asks(page))
        await visitor.submit(page, 'consent-form', { decision: 'allow' })
      }
      const silent = await go(native, { redirect_uri: 'http://127.0.0.1:4000/callback', prompt: 'none' })
      t.match(callbackOf(silent).searchParams.get('error'), /_required$/)
    }
  )

  await t.test(
    'OID-15: the page names the application, its host and each scope, and markup stays text',
    async t => {
      const client = await register({
        client_name: '<script>alert(1)</script> & "Co"',
        client_uri: 'https://photos.example/about',
        policy_uri: 'https://photos.example/privacy?a=1&b="x"',
        tos_uri: 'https://photos.example/terms'
      })
      const { text, headers } = await go(client, { scope: 'openid email profile' })
      t.notMatch(text, '<script>alert')
      const words = pageText(text)
      t.match(words, /photos\.example/)
      t.match(words, /e-?mail/i)
      t.match(text, 'https://photos.example/terms')
      t.match(text, '&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;Co&quot;')
      t.match(headers.get('content-security-policy'), /frame-ancestors 'none'/, 'nobody frames the button')
    }
  )

  await t.test('OID-15: denied, the application is told so and gets nothing', async t => {
    const client = await register()
    const back = await visitor.submit(await go(client), 'consent-form', { decision: 'deny' })
    const { searchParams } = callbackOf(back)
    t.equal(searchParams.get('error'), 'access_denied')
    t.equal(searchParams.get('iss'), service.issuer)
    t.equal(searchParams.get('state'), 'state-1')
    t.ok(asks(await go(client)), 'and the next time it is asked again')
    t.notOk(asks(await go(portal)), 'the person stays signed in')
  })

  await t.test('OID-15: the decision must be a clear yes', async t => {
    const client = await register()
    for (const decision of ['', 'ALLOW', 'yes', 'allow ']) {
      const back = await visitor.submit(await go(client), 'consent-form', { decision })
      t.equal(callbackOf(back).searchParams.get('error'), 'access_denied', JSON.stringify(decision))
    }
  })

  await t.test('OID-15: one person’s yes is not another’s', async t => {
    const client = await register()
    await visitor.submit(await go(client), 'consent-form', { decision: 'allow' })
    const other = await signedInVisitor(service, portal, { email: 'grace@example.org' })
    t.ok(asks(await go(client, {}, other)))
    t.ok(other instanceof Visitor)
  })

  await t.test(
    'OID-7: with the grant taken back the refresh token is dead and the next sign-in asks again',
    async t => {
      const client = await register()
      const params = { scope: 'openid offline_access', prompt: 'consent' }
      const tokens = await obtainTokens(service, { client, visitor, params })
      await service.pool.begin(async tx => {
        await tx`delete from consents where client_id = ${client.client_id}`
        await tx`delete from grants where client_id = ${client.client_id}`
      })
      t.equal((await refresh(service, client, tokens.refresh_token)).body.error, 'invalid_grant')
      t.ok(asks(await go(client)))
    }
  )
})
