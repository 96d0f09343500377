// RFC 8628 from the device's side and the person's: what is asked, shown, approved and redeemed.
import t from 'tap'
import { createApplication, newcomer, openid } from '../helpers/application.ts'
import { decide, deviceGrant, letIn, poll, startDevice, typeCode } from '../helpers/devices.ts'
import { atOnce, clientOf, introspect, post, readJwt, refresh, userinfo } from '../helpers/protocol.ts'
import { password, signUp, startService, Visitor } from '../helpers/service.ts'
import { pageText } from '../helpers/visitor.ts'

t.test('the device grant', async t => {
  const service = await startService(t)
  const tv = clientOf(service, 'demo-native')
  const { visitor } = await newcomer(service, await createApplication(service))
  const eventsOf = async (type: string) =>
    await service.pool<{ accountId: string | null; clientId: string; ip: string | null }[]>`
      select account_id, client_id, host(ip) as ip from audit_events where type = ${type}`

  await t.test('discovery names the endpoint, and the grant (RFC 8628 §4)', async t => {
    const { config } = await createApplication(service)
    const metadata = config.serverMetadata()
    t.equal(metadata.device_authorization_endpoint, `${service.issuer}/device/auth`)
    t.ok(metadata.grant_types_supported?.includes(deviceGrant))
  })

  await t.test(
    'OID-17: a user code has 20 bits and more, and what a QR code needs comes along (§3.2)',
    async t => {
      const started = await startDevice(service, tv)
      t.match(started.user_code, /^[BCDFGHJKLMNPQRSTVWXZ]{4}-[BCDFGHJKLMNPQRSTVWXZ]{4}$/)
      t.ok(Math.log2(20 ** 8) > 20)
      t.equal(started.verification_uri, `${service.issuer}/device`)
      t.equal(
        started.verification_uri_complete,
        `${service.issuer}/device?user_code=${started.user_code}`,
        'short enough to be read by any camera'
      )
      t.equal(started.expires_in, 600)
      t.equal(started.interval, 5)
      const many = await atOnce(20, async () => (await startDevice(service, tv)).user_code)
      t.equal(new Set(many).size, 20)
    }
  )

  await t.test('openid-client starts, polls and is let in, by somebody who signs up on the way', async t => {
    const { config } = await createApplication(service, tv)
    const started = await openid.initiateDeviceAuthorization(config, { scope: 'openid email offline_access' })
    const polling = openid.pollDeviceAuthorizationGrant(config, { ...started, interval: 0.2 })
    const person = new Visitor()
    const confirm = await typeCode(service, person, started.user_code)
    const page = await decide(person, confirm)
    t.match(page.text, 'Demo native application')
    const consent = await signUp(service, person, { page, email: 'tv@example.org' })
    t.match(pageText(consent.text), /Demo native application asks for access .* Stay connected/)
    const done = await person.submit(consent, 'consent-form', { decision: 'allow' })
    t.equal(done.url, `${service.issuer}/device/done?outcome=approved`)
    t.match(pageText(done.text), 'Your device is connected')

    const tokens = await polling.catch(error => error)
    t.equal(tokens.claims?.()?.sub !== undefined, true, JSON.stringify(tokens))
    const info = await userinfo(service, tokens.access_token)
    t.match(info.body, { email: 'tv@example.org' })
    t.ok(tokens.refresh_token)
    t.equal((await refresh(service, tv, tokens.refresh_token)).status, 200)
    t.equal(readJwt(tokens.id_token).payload.acr, 'urn:gatehouse:acr:1fa')
  })

  await t.test(
    'whoever is signed in confirms, agrees, and is asked for nothing else; both are recorded',
    async t => {
      const before = (await eventsOf('device.approved')).length
      const started = await startDevice(service, tv, { scope: 'openid api:read', resource: 'urn:demo:api' })
      const confirm = await typeCode(service, visitor, started.user_code)
      t.match(pageText(confirm.text), /Connect Demo native application\?/)
      t.match(pageText(confirm.text), started.user_code)
      t.match(pageText(confirm.text), /Ada Lovelace ada@example.org/)
      t.match(confirm.text, 'id="warning"')
      const consent = await decide(visitor, confirm)
      t.match(consent.text, 'id="consent-form"')
      t.equal((await poll(service, tv, started.device_code)).body.error, 'authorization_pending')
      const done = await visitor.submit(consent, 'consent-form', { decision: 'allow' })
      t.match(pageText(done.text), 'Your device is connected')
      const resource = { resource: 'urn:demo:api' }
      const { status, body } = await poll(service, tv, started.device_code, resource)
      t.equal(status, 200)
      t.equal(body.scope, 'api:read')
      t.match(await introspect(service, clientOf(service, 'demo-service'), body.access_token), {
        body: { active: true, client_id: 'demo-native' }
      })
      const events = await eventsOf('device.approved')
      t.equal(events.length, before + 1)
      t.match(events.at(-1), {
        clientId: 'demo-native',
        ip: /127\.0\.0\.1|::1/,
        accountId: /^[0-9a-f-]{36}$/
      })
    }
  )

  await t.test('the code is read in any case, with or without its hyphen (§6.1)', async t => {
    const started = await startDevice(service, tv)
    const sloppy = ` ${started.user_code.toLowerCase().replace('-', ' ')} `
    const page = await typeCode(service, visitor, sloppy)
    t.match(page.text, 'id="device-confirm-form"')
  })

  await t.test('OID-17: a link that brings the code along only fills it in (§3.3.1, §5.4)', async t => {
    const started = await startDevice(service, tv)
    const page = await visitor.visit(started.verification_uri_complete)
    t.match(page.text, `value="${started.user_code}"`)
    t.notMatch(page.text, 'Demo native application')
    t.notMatch(page.text, /\.submit\(|http-equiv/)
    t.equal((await poll(service, tv, started.device_code)).body.error, 'authorization_pending')
    const confirm = await visitor.submit(page, 'device-code-form', { user_code: started.user_code })
    t.match(confirm.text, 'id="device-confirm-form"')
    const strange = await visitor.visit(`${service.issuer}/device?user_code=%3Cscript%3E`)
    t.notMatch(strange.text, '<script>')
  })

  await t.test('OID-17: who says no ends it: access_denied, and nothing is issued (§3.5)', async t => {
    const started = await startDevice(service, tv)
    const confirm = await typeCode(service, visitor, started.user_code)
    const done = await decide(visitor, confirm, 'deny')
    t.match(pageText(done.text), 'The device was not let in')
    const { status, body } = await poll(service, tv, started.device_code)
    t.strictSame([status, body.error], [400, 'access_denied'])
    t.strictSame(
      (await poll(service, tv, started.device_code)).body.error,
      'access_denied',
      'as often as it asks'
    )
    t.equal((await eventsOf('device.denied')).length, 1)
    const again = await typeCode(service, visitor, started.user_code)
    t.equal(again.status, 422)
    t.match(pageText(again.text), 'This code was used already')
    const late = await visitor.submit(confirm, 'device-confirm-form', { decision: 'approve' })
    t.equal(late.status, 422)
    t.match((await poll(service, tv, started.device_code)).body.error, 'access_denied')
  })

  await t.test('who says no at the consent page ends it, too', async t => {
    const started = await startDevice(service, tv)
    const consent = await decide(visitor, await typeCode(service, visitor, started.user_code))
    const done = await visitor.submit(consent, 'consent-form', { decision: 'deny' })
    t.match(pageText(done.text), 'The device was not let in')
    t.equal((await poll(service, tv, started.device_code)).body.error, 'access_denied')
    t.equal((await eventsOf('device.denied')).length, 2)
  })

  await t.test('who gives up at the sign-in page ends it, too', async t => {
    const started = await startDevice(service, tv)
    const person = new Visitor()
    const signIn = await decide(person, await typeCode(service, person, started.user_code))
    const done = await person.submit(signIn, 'cancel-form')
    t.match(pageText(done.text), 'The device was not let in')
    t.equal((await poll(service, tv, started.device_code)).body.error, 'access_denied')
  })

  await t.test('a device whose time is over is told so, and its code opens nothing (§3.5)', async t => {
    const started = await startDevice(service, tv)
    const confirm = await typeCode(service, visitor, started.user_code)
    service.advance(601)
    const { status, body } = await poll(service, tv, started.device_code)
    t.strictSame([status, body.error], [400, 'expired_token'])
    const page = await typeCode(service, visitor, started.user_code)
    t.match(pageText(page.text), 'This code is too old')
    t.match(pageText((await decide(visitor, confirm)).text), 'This code is too old')
  })

  await t.test('a code that runs out during the sign-in connects nothing', async t => {
    const started = await startDevice(service, tv)
    const consent = await decide(visitor, await typeCode(service, visitor, started.user_code))
    service.advance(601)
    const done = await visitor.submit(consent, 'consent-form', { decision: 'allow' })
    t.match(pageText(done.text), 'This code is too old')
    t.equal((await poll(service, tv, started.device_code)).body.error, 'expired_token')
  })

  await t.test('a client that is not registered for the grant gets neither code nor tokens', async t => {
    const web = clientOf(service, 'demo-web')
    const refused = await post(service, '/device/auth', { scope: 'openid' }, { client: web })
    t.equal(refused.status, 400)
    const started = await startDevice(service, tv)
    await letIn(service, visitor, started.user_code)
    t.equal((await poll(service, web, started.device_code)).status, 400)
    t.equal((await poll(service, tv, started.device_code)).status, 200, 'and spends nothing of others')
  })

  await t.test('a client with a secret must bring it', async t => {
    const console = await service.register({
      client_name: 'Console',
      grant_types: [deviceGrant],
      first_party: true
    })
    const { client_id } = console
    const refused = await post(service, '/device/auth', { scope: 'openid', client_id })
    t.match(refused, { status: 401, body: { error: 'invalid_client' } })
    t.equal(
      (
        await post(
          service,
          '/device/auth',
          { scope: 'openid' },
          { client: { client_id, client_secret: 'x' } }
        )
      ).status,
      401
    )
    const started = await startDevice(service, console)
    const done = await letIn(service, visitor, started.user_code)
    t.match(pageText(done.text), 'Your device is connected', 'without another question')
    const { body } = await poll(service, console, started.device_code)
    t.ok(body.access_token)
    t.notOk(body.refresh_token)
  })

  await t.test('a signed-out browser ends what its person let in, unless it may stay connected', async t => {
    const person = new Visitor()
    const started = await startDevice(service, tv)
    const signIn = await decide(person, await typeCode(service, person, started.user_code))
    const consent = await person.submit(signIn, 'sign-in-form', { email: 'ada@example.org', password })
    await person.submit(consent, 'consent-form', { decision: 'allow' })
    const { body } = await poll(service, tv, started.device_code)
    t.equal((await userinfo(service, body.access_token)).status, 200)
    const signOut = await person.visit(`${service.issuer}/session/end`)
    await person.submit(signOut, 'sign-out-form', { logout: 'yes' })
    t.equal((await userinfo(service, body.access_token)).status, 401)
  })
})
