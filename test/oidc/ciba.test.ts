// OpenID Connect CIBA Core 1.0: what applications ask, what people see and decide, and what comes of it.
import t from 'tap'
import { createMember, eventsOf, freeze, pathOf } from '../helpers/account.ts'
import { createApplication, openid } from '../helpers/application.ts'
import {
  ask,
  asked,
  cibaGrant,
  decideNewest,
  pollRequest,
  registerCaller,
  requestsOn
} from '../helpers/approvals.ts'
import { startReceiver } from '../helpers/notified.ts'
import { clientOf, introspect, readJwt, refresh, userinfo } from '../helpers/protocol.ts'
import { password, startService, Visitor } from '../helpers/service.ts'
import { pageText } from '../helpers/visitor.ts'
import { waitFor } from '../helpers/wait.ts'

t.test('where CIBA is off', async t => {
  const service = await startService(t)
  const { config } = await createApplication(service)
  t.notOk(config.serverMetadata().backchannel_authentication_endpoint)
  t.notOk(config.serverMetadata().grant_types_supported?.includes(cibaGrant))
  const { visitor, open } = await createMember(service)
  t.notMatch((await open('/account/security')).text, 'id="to-approvals"')
  for (const path of ['/account/approvals', '/backchannel'])
    t.equal((await visitor.request(`${service.issuer}${path}`)).status, 404, path)
  await t.rejects(registerCaller(service), /is switched off here \(CIBA\)/)
})

t.test('CIBA', async t => {
  const service = await startService(t, {
    environment: { CIBA: 'on', OUTBOUND_ALLOWED_NETWORKS: '127.0.0.1', MAILS_PER_RECIPIENT_PER_HOUR: '100' }
  })
  const bank = await registerCaller(service)
  const ada = await createMember(service)

  await t.test('discovery tells of it (§4)', async t => {
    const { config } = await createApplication(service)
    t.match(config.serverMetadata(), {
      backchannel_authentication_endpoint: `${service.issuer}/backchannel`,
      backchannel_token_delivery_modes_supported: ['poll', 'ping'],
      backchannel_user_code_parameter_supported: false
    })
    t.ok(config.serverMetadata().grant_types_supported?.includes(cibaGrant))
  })

  await t.test('openid-client asks, the person approves, and it gets tokens', async t => {
    const { config } = await createApplication(service, bank)
    const started = await openid.initiateBackchannelAuthentication(config, {
      scope: 'openid email offline_access',
      login_hint: ada.email,
      binding_message: 'Call 4711 – Anna'
    })
    t.match(started, { expires_in: 600, interval: 5 })
    const [mail] = await service.mailTo(ada.email)
    t.match(mail?.subject, 'Your approval is asked for')
    t.match(mail?.text, `${service.issuer}/account/approvals\n`)
    t.match(mail?.text, 'The application Harbour Bank asks')
    t.notMatch(mail?.text, 'Anna')

    const page = await ada.open('/account/approvals')
    const words = pageText(page.text)
    t.match(words, /Harbour Bank asks for your approval bank\.example/)
    t.match(words, 'Call 4711 – Anna')
    t.match(words, /Know that it is you .* See your email address .* Stay connected/)
    t.match(
      words,
      /Asked \d+ \w+ \d+ at \d\d:\d\d UTC, for (9|10) minutes more By the server at (127\.0\.0\.1|::1)/
    )
    t.equal((await pollRequest(service, bank, started.auth_req_id)).body.error, 'authorization_pending')

    const done = await decideNewest(ada, 'approve')
    t.match(pageText(done.text), /You approved it\. .* Nothing waits for you/)
    const tokens = await openid.pollBackchannelAuthenticationGrant(config, { ...started, interval: 0.1 })
    const claims = tokens.claims()
    t.match(claims, { sub: ada.account.id, acr: 'urn:gatehouse:acr:1fa', amr: ['pwd'], auth_time: Number })
    t.match((await userinfo(service, tokens.access_token)).body, { email: ada.email })
    t.equal((await refresh(service, bank, tokens.refresh_token)).status, 200)
    t.strictSame(await eventsOf(service, ada, 'approval.%'), ['approval.requested', 'approval.given'])
    t.equal((await eventsOf(service, ada, 'consent.given')).length, 1)
  })

  await t.test('a login hint is an address in any writing of it, or an account’s id (§7.1)', async t => {
    for (const hint of [` ${ada.email.toUpperCase()} `, ada.account.id]) {
      const id = await asked(service, bank, { login_hint: hint })
      await decideNewest(ada, 'approve')
      t.equal((await pollRequest(service, bank, id)).status, 200, hint)
    }
  })

  await t.test('an ID token from here names its person, too', async t => {
    const id = await asked(service, bank, { login_hint: ada.email })
    await decideNewest(ada, 'approve')
    const { id_token } = (await pollRequest(service, bank, id)).body
    const again = await asked(service, bank, { id_token_hint: String(id_token) })
    await decideNewest(ada, 'approve')
    t.equal(readJwt((await pollRequest(service, bank, again)).body.id_token).payload.sub, ada.account.id)
  })

  await t.test('who says no ends it (§11)', async t => {
    const id = await asked(service, bank, { login_hint: ada.email })
    t.match(pageText((await decideNewest(ada, 'deny')).text), 'You denied it.')
    const { status, body } = await pollRequest(service, bank, id)
    t.strictSame([status, body.error], [400, 'access_denied'])
    t.equal((await pollRequest(service, bank, id)).body.error, 'access_denied')
    t.strictSame((await eventsOf(service, ada, 'approval.%')).at(-1), 'approval.denied')
  })

  await t.test(
    'a request ends when its client said that it would, within thirty seconds and ten minutes (§7.1)',
    async t => {
      const { body } = await ask(service, bank, { login_hint: ada.email, requested_expiry: '60' })
      t.equal(body.expires_in, 60)
      const page = await ada.open('/account/approvals')
      service.advance(61)
      t.equal((await pollRequest(service, bank, String(body.auth_req_id))).body.error, 'expired_token')
      const late = await ada.visitor.submit(page, `decide-${requestsOn(page)[0]}`, { decision: 'approve' })
      t.match(pageText(late.text), 'This request is over')
      t.strictSame(requestsOn(late), [])
      const long = await ask(service, bank, { login_hint: ada.email, requested_expiry: '86400' })
      t.equal(long.body.expires_in, 600)
      await decideNewest(ada, 'deny')
      const short = await ask(service, bank, { login_hint: ada.email, requested_expiry: '1' })
      t.equal(short.body.expires_in, 30, 'time to read a mail')
      await decideNewest(ada, 'deny')
    }
  )

  await t.test('resources are named at the page, and their tokens come', async t => {
    const shop = await registerCaller(service, { client_name: 'Till 3', resources: ['urn:demo:api'] })
    const fields = { login_hint: ada.email, scope: 'openid api:read', resource: 'urn:demo:api' }
    const id = await asked(service, shop, fields)
    const page = await ada.open('/account/approvals')
    t.match(pageText(page.text), /Use Demo API for you Allowed there: api:read/)
    await decideNewest(ada, 'approve')
    const { body } = await pollRequest(service, shop, id, { resource: 'urn:demo:api' })
    t.match(await introspect(service, clientOf(service, 'demo-service'), body.access_token), {
      body: { active: true, sub: ada.account.id, scope: 'api:read' }
    })
  })

  await t.test(
    'the operator’s own application needs the approval as well; no consent is kept of it',
    async t => {
      const own = await registerCaller(service, { client_name: 'Reception', first_party: true })
      const before = (await eventsOf(service, ada, 'consent.given')).length
      const id = await asked(service, own, { login_hint: ada.email })
      t.equal((await pollRequest(service, own, id)).body.error, 'authorization_pending')
      await decideNewest(ada, 'approve')
      t.equal((await pollRequest(service, own, id)).status, 200)
      t.equal((await eventsOf(service, ada, 'consent.given')).length, before)
    }
  )

  await t.test('the page asks for a recent sign-in, and comes back', async t => {
    await asked(service, bank, { login_hint: ada.email })
    const stranger = new Visitor()
    const signIn = await stranger.visit(`${service.issuer}/account/approvals`)
    const page = await stranger.submit(signIn, 'sign-in-form', { email: ada.email, password })
    t.equal(pathOf(page), '/account/approvals')
    t.equal(requestsOn(page).length, 1)

    service.advance(3600)
    const id = await asked(service, bank, { login_hint: ada.email })
    const again = await ada.open('/account/approvals')
    t.match(again.text, 'id="sign-in-form"')
    const forms = await stranger.post(page, `decide-${requestsOn(page)[0]}`, { decision: 'approve' })
    t.match(forms.location, '/auth?', 'a form of the page is no way around')
    t.equal((await pollRequest(service, bank, id)).body.error, 'authorization_pending')
    await ada.visitor.submit(again, 'sign-in-form', { email: ada.email, password })
    await decideNewest(ada, 'deny')
  })

  await t.test('an application that demands two factors gets them, or nothing', async t => {
    const vault = await registerCaller(service, {
      client_name: 'Vault',
      required_acr: 'urn:gatehouse:acr:mfa'
    })
    const id = await asked(service, vault, { login_hint: ada.email })
    const answer = await decideNewest(ada, 'approve')
    t.match(answer.text, 'id="set-up', 'who has one factor is led to set up a second')
    t.equal((await pollRequest(service, vault, id)).body.error, 'authorization_pending')

    const bob = await createMember(service, { authenticator: true, halfway: true })
    const other = await asked(service, vault, { login_hint: bob.email })
    const code = await bob.open('/account/approvals')
    t.match(code.text, 'id="totp-form"')
    const page = await bob.visitor.submit(code, 'totp-form', { code: bob.code() })
    await bob.visitor.submit(page, `decide-${requestsOn(page)[0]}`, { decision: 'approve' })
    const { body } = await pollRequest(service, vault, other)
    t.match(readJwt(body.id_token).payload, { acr: 'urn:gatehouse:acr:mfa', amr: ['pwd', 'otp', 'mfa'] })
  })

  await t.test('it is possible in the day after “this wasn’t me”, for it opens nothing new', async t => {
    const eve = await createMember(service)
    await freeze(service, eve.account)
    const id = await asked(service, bank, { login_hint: eve.email })
    await decideNewest(eve, 'approve')
    t.equal((await pollRequest(service, bank, id)).status, 200)
  })

  await t.test('the security page leads there', async t => {
    t.match((await ada.open('/account/security')).text, /id="to-approvals" href="\/account\/approvals"/)
  })

  await t.test('ping: the application is told, with its own token, and asks then (§10.2)', async t => {
    const receiver = await startReceiver(t)
    const shop = await registerCaller(service, {
      client_name: 'Pinged',
      backchannel_token_delivery_mode: 'ping',
      backchannel_client_notification_endpoint: receiver.url
    })
    const fields = { login_hint: ada.email, client_notification_token: 'n0tification-t0ken.of-the-client' }
    const missing = await ask(service, shop, { login_hint: ada.email })
    t.match(missing.body, { error: 'invalid_request', error_description: /client_notification_token/ })

    receiver.behave('hang')
    const first = await asked(service, shop, fields)
    const before = performance.now()
    await decideNewest(ada, 'approve')
    t.ok(performance.now() - before < 1500, 'who does not answer holds up nobody’s page')
    await waitFor(() => receiver.notices.length > 0)
    receiver.behave(204)
    await waitFor(() => receiver.notices.length > 1)
    t.match(receiver.notices.at(-1), {
      authorization: `Bearer ${fields.client_notification_token}`,
      type: 'application/json',
      body: JSON.stringify({ auth_req_id: first })
    })
    t.equal((await pollRequest(service, shop, first)).status, 200)

    const second = await asked(service, shop, fields)
    const told = receiver.notices.length
    await decideNewest(ada, 'deny')
    await waitFor(() => receiver.notices.length > told)
    t.equal((await pollRequest(service, shop, second)).body.error, 'access_denied')
  })
})
