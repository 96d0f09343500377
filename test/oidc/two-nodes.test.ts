// Two nodes behind a round-robin are the same as one: no request depends on where the one before went.
import t from 'tap'
import { registerClient, removeClient } from '../../src/clients/service.ts'
import { createApplication, newcomer, openid, signInAgain } from '../helpers/application.ts'
import {
  atOnce,
  clientOf,
  countStatuses,
  obtainCode,
  obtainTokens,
  offline,
  redeem,
  refresh,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { startService, Visitor } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

t.test('on two nodes', async t => {
  const service = await startService(t, { nodes: 2 })

  await t.test('a newcomer signs up, refreshes, looks, signs out and comes back', async t => {
    const application = await createApplication(service)
    const { visitor, tokens, email } = await newcomer(service, application)
    const sub = tokens.claims()?.sub ?? ''
    t.equal((await openid.fetchUserInfo(application.config, tokens.access_token, sub)).email, email)
    const refreshed = await openid.refreshTokenGrant(application.config, tokens.refresh_token ?? '')
    t.equal((await openid.tokenIntrospection(application.config, refreshed.access_token)).active, true)
    const end = openid.buildEndSessionUrl(application.config, {
      id_token_hint: tokens.id_token ?? '',
      post_logout_redirect_uri: String(
        (clientOf(service, 'demo-web').post_logout_redirect_uris as string[])[0]
      ),
      state: 'bye'
    })
    const out = await visitor.submit(await visitor.visit(end.href), 'sign-out-form', { logout: 'yes' })
    t.equal(new URL(out.location ?? '').searchParams.get('state'), 'bye')
    await openid.tokenRevocation(application.config, refreshed.refresh_token ?? '')
    await t.rejects(
      openid.refreshTokenGrant(application.config, refreshed.refresh_token ?? ''),
      /response body/
    )
    t.equal((await signInAgain(application, new Visitor(), { email })).claims()?.sub, sub)
  })

  const client = await registerPortal(service)
  const visitor = await signedInVisitor(service, client, { email: 'grace@example.org' })

  for (const count of [2, 20]) {
    await t.test(`OID-2: of ${count} redemptions at once one gets tokens`, async t => {
      const code = await obtainCode(service, { client, visitor })
      const replies = await atOnce(count, () => redeem(service, client, code))
      t.strictSame(countStatuses(replies), { 200: 1, 400: count - 1 })
    })

    await t.test(`OID-7: ${count} refreshes at once make one family`, async t => {
      await service.pool`delete from refresh_tokens`
      const tokens = await obtainTokens(service, { client, visitor, params: offline })
      const replies = await atOnce(count, () => refresh(service, client, tokens.refresh_token))
      t.strictSame(countStatuses(replies), { 200: count })
      t.equal(new Set(replies.map(({ body }) => body.refresh_token)).size, 1)
      t.equal((await service.pool`select from refresh_tokens where consumed_at is null`).length, 1)
      for (const { body } of replies) t.equal((await userinfo(service, body.access_token)).status, 200)
    })
  }

  await t.test('twenty authorizations at once of twenty applications in one browser keep all', async t => {
    const clients = await atOnce(20, index =>
      registerPortal(service, { client_name: `Application ${index}` })
    )
    const codes = await Promise.all(clients.map(client => obtainCode(service, { client, visitor })))
    const replies = await atOnce(20, index =>
      redeem(service, clients[index] ?? client, codes[index] ?? { code: '', verifier: '', redirectUri: '' })
    )
    t.strictSame(countStatuses(replies), { 200: 20 })
  })

  await t.test('an application that was registered or removed is so on both within a second', async t => {
    const status = async (id: string) =>
      await Promise.all(
        service.apps.map(async ({ http }) => {
          const url = `/auth?client_id=${id}&response_type=code&scope=openid&redirect_uri=https://new.example/cb&code_challenge=${'a'.repeat(43)}&code_challenge_method=S256`
          return (await http.inject({ url })).statusCode
        })
      )
    // Both have looked and know that there is none.
    t.strictSame(await status('brand-new'), [400, 400])
    const { ctx } = service.app
    await registerClient(
      ctx,
      { client_name: 'New', redirect_uris: ['https://new.example/cb'] },
      { clientId: 'brand-new' }
    )
    let started = performance.now()
    await waitFor(async () => (await status('brand-new')).every(code => code === 303))
    t.ok(performance.now() - started < 1000)
    await removeClient(ctx, 'brand-new')
    started = performance.now()
    await waitFor(async () => (await status('brand-new')).every(code => code === 400))
    t.ok(performance.now() - started < 1000)
  })
})
