// What somebody tries at the device grant: codes guessed, stolen, used twice, approved by whom they were not meant for.
import t from 'tap'
import { findAccountByEmailKey } from '../../src/accounts/repository.ts'
import { endAllTokens } from '../../src/accounts/service.ts'
import { agree, createApplication, newcomer } from '../helpers/application.ts'
import { decide, letIn, poll, startDevice, typeCode } from '../helpers/devices.ts'
import { dump, spellings } from '../helpers/dump.ts'
import { atOnce, clientOf, copyOf, countStatuses, userinfo, whileLocked } from '../helpers/protocol.ts'
import { type Service, startService, Visitor } from '../helpers/service.ts'
import { type Answer, findForm, pageText } from '../helpers/visitor.ts'

const letters = 'BCDFGHJKLMNPQRSTVWXZ'
const randomCode = () =>
  Array.from({ length: 8 }, () => letters[Math.floor(Math.random() * letters.length)]).join('')
const other = (letter = '') => letters[(letters.indexOf(letter) + 1) % letters.length]
const tvOf = (service: Service) => clientOf(service, 'demo-native')
const signedIn = async (service: Service, email = 'ada@example.org') =>
  (await newcomer(service, await createApplication(service), { email })).visitor

t.test('OID-17: of a hundred guessed user codes most are never looked at (RFC 8628 §5.1)', async t => {
  const service = await startService(t, { environment: { FAILURES_PER_NETWORK_PER_HOUR: '10' } })
  const started = await startDevice(service, tvOf(service))
  const stranger = new Visitor()
  const page = await stranger.visit(`${service.issuer}/device`)
  const guess = async (user_code: string) => await stranger.post(page, 'device-code-form', { user_code })

  for (let right = 0; right < 15; right++)
    t.equal((await guess(started.user_code)).status, 200, 'a right code costs nothing')
  const guesses = await atOnce(100, () => guess(randomCode()))
  t.strictSame(countStatuses(guesses), { 422: 10, 429: 90 })
  const refused = guesses.find(({ status }) => status === 429)
  t.match(pageText(refused?.text ?? ''), /Many tries came from your network\. .* wait \d+ seconds/)
  t.ok(Number(refused?.headers.get('retry-after')) > 0)

  const right = await guess(started.user_code)
  t.equal(right.status, 429, 'not even the right one')
  t.notMatch(right.text, 'Demo native application')
  const confirm = { user_code: started.user_code, decision: 'approve' }
  const form = findForm(page, 'device-code-form')
  const direct = await stranger.request(`${service.issuer}/device/confirm`, {
    method: 'POST',
    body: new URLSearchParams({ ...form.fields, ...confirm })
  })
  t.equal(direct.status, 429, 'nor by the form behind it')
  service.advance(10)
  t.equal((await guess(started.user_code)).status, 200, 'who waits goes on')
})

t.test('the device grant under attack', async t => {
  const service = await startService(t)
  const tv = tvOf(service)
  const visitor = await signedIn(service)
  const approved = async () => {
    const started = await startDevice(service, tv)
    await letIn(service, visitor, started.user_code)
    return started
  }

  await t.test('OID-17: whoever is signed in has few guesses, from whatever network', async t => {
    const guesser = await signedIn(service, 'guesser@example.org')
    const page = await guesser.visit(`${service.issuer}/device`)
    const guesses = await atOnce(100, () =>
      guesser.post(page, 'device-code-form', { user_code: randomCode() })
    )
    t.strictSame(countStatuses(guesses), { 422: 6, 429: 94 })
    const { text = '' } = guesses.find(({ status }) => status === 429) ?? {}
    t.match(pageText(text), /There were too many wrong codes\. Wait 1\d seconds, then try again\./)
    const started = await startDevice(service, tv)
    t.equal((await typeCode(service, visitor, started.user_code)).status, 200, 'others go on')
  })

  await t.test('one letter off is nobody’s code, and one character off no device’s', async t => {
    const started = await approved()
    const waiting = await startDevice(service, tv)
    const last = waiting.user_code.at(-1)
    const off = await typeCode(service, visitor, `${waiting.user_code.slice(0, -1)}${other(last)}`)
    t.match(pageText(off.text), 'No device waits with this code')
    const short = await typeCode(service, visitor, waiting.user_code.slice(0, -1))
    t.match(pageText(short.text), 'A code has eight letters')
    const code = started.device_code
    const flipped = `${code.slice(0, -1)}${code.endsWith('A') ? 'B' : 'A'}`
    t.equal((await poll(service, tv, flipped)).body.error, 'invalid_grant')
    t.equal((await poll(service, tv, started.user_code)).body.error, 'invalid_grant')
    t.equal((await poll(service, tv, code)).status, 200)
  })

  await t.test('OID-17: of twenty requests for the tokens at once one gets them', async t => {
    const started = await approved()
    const replies = await whileLocked(service, 'oidc_artifacts', {
      count: 20,
      work: () => poll(service, tv, started.device_code)
    })
    t.strictSame(countStatuses(replies), { 200: 1, 400: 19 })
    for (const { status, body } of replies) if (status === 400) t.equal(body.error, 'invalid_grant')
    const winner = replies.find(({ status }) => status === 200)
    t.equal((await userinfo(service, winner?.body.access_token)).status, 200)
  })

  await t.test('OID-17: redeemed once more later, what it gave is taken back', async t => {
    const started = await approved()
    const { body } = await poll(service, tv, started.device_code)
    t.equal((await userinfo(service, body.access_token)).status, 200)
    service.advance(2)
    t.equal((await poll(service, tv, started.device_code)).body.error, 'invalid_grant')
    t.equal((await userinfo(service, body.access_token)).status, 401)
  })

  await t.test(
    'OID-17: who polls too fast is told to slow down, by five seconds each time (§3.5)',
    async t => {
      const { device_code } = await startDevice(service, tv)
      const ask = async () => (await poll(service, tv, device_code)).body.error
      const after = async (seconds: number) => {
        service.advance(seconds)
        return await ask()
      }
      t.equal(await ask(), 'authorization_pending')
      t.equal(await after(5), 'authorization_pending')
      t.equal(await after(4), 'slow_down')
      t.equal(await after(5), 'slow_down', 'ten by now')
      t.equal(await after(15), 'authorization_pending', 'fifteen are enough')
      t.equal(await after(14), 'slow_down')
      t.equal(await after(20), 'authorization_pending')
      const both = await whileLocked(service, 'oidc_artifacts', { count: 2, work: () => after(20) })
      t.strictSame(both.sort(), ['authorization_pending', 'slow_down'])
    }
  )

  await t.test('what is decided is told however fast somebody asks', async t => {
    const started = await startDevice(service, tv)
    await poll(service, tv, started.device_code)
    await letIn(service, visitor, started.user_code)
    t.equal((await poll(service, tv, started.device_code)).status, 200)
  })

  await t.test('OID-17: of twenty browsers that confirm a code at once one goes on', async t => {
    const started = await startDevice(service, tv)
    const browsers = Array.from({ length: 20 }, () => new Visitor())
    const pages = await Promise.all(browsers.map(browser => typeCode(service, browser, started.user_code)))
    const answers = await whileLocked(service, 'interactions', {
      count: 20,
      work: async index => {
        const [browser, page] = [browsers[index], pages[index]]
        if (browser === undefined || page === undefined) throw new Error('there is no such browser')
        return await browser.post(page, 'device-confirm-form', { decision: 'approve' })
      }
    })
    const goesOn = ({ location }: Answer) => location?.includes('/interaction/') ?? false
    t.equal(answers.filter(goesOn).length, 1)
    for (const answer of answers.filter(answer => !goesOn(answer))) {
      t.ok(answer.text.includes('This code was used already') || answer.location?.endsWith('outcome=used'))
      t.notOk(answer.headers.getSetCookie().some(cookie => /^(interaction|resume)=\w/.test(cookie)))
    }
  })

  await t.test('OID-17: a code that one browser has confirmed is none in another one', async t => {
    const started = await startDevice(service, tv)
    const attacker = new Visitor()
    const signIn = await decide(attacker, await typeCode(service, attacker, started.user_code))
    t.match(signIn.text, 'id="sign-in-form"')
    const typed = await typeCode(service, visitor, started.user_code)
    t.match(pageText(typed.text), 'This code was used already')
    const sent = await visitor.visit(signIn.url)
    t.equal(sent.status, 400, 'nor does the address of its sign-in go on there')
    const uid = signIn.url.split('/').at(-2)
    t.equal((await visitor.visit(`${service.issuer}/device/${uid}`)).status, 400)
    t.equal((await poll(service, tv, started.device_code)).body.error, 'authorization_pending')
  })

  await t.test('OID-17: another site cannot confirm in the person’s browser (§5.4)', async t => {
    const started = await startDevice(service, tv)
    const attacker = new Visitor()
    const form = findForm(await typeCode(service, attacker, started.user_code), 'device-confirm-form')
    const fields = { ...form.fields, decision: 'approve' }
    const forged = await visitor.request(form.action, { method: 'POST', body: new URLSearchParams(fields) })
    t.equal(forged.status, 403, 'with a form of the attacker’s')
    const own = findForm(await typeCode(service, visitor, started.user_code), 'device-confirm-form')
    const foreign = await visitor.request(own.action, {
      method: 'POST',
      body: new URLSearchParams({ ...own.fields, decision: 'approve' }),
      headers: { origin: 'https://evil.example' }
    })
    t.equal(foreign.status, 403)
    const direct = await visitor.request(`${service.issuer}/device`, {
      method: 'POST',
      body: new URLSearchParams({ user_code: started.user_code, confirm: 'yes', xsrf: '' })
    })
    t.equal(direct.status, 403, 'the library’s own form is not to be had')
    t.equal((await poll(service, tv, started.device_code)).body.error, 'authorization_pending')
  })

  await t.test('yes and no at once: one of them holds', async t => {
    for (let round = 0; round < 5; round++) {
      const started = await startDevice(service, tv)
      const page = await typeCode(service, visitor, started.user_code)
      const doubter = copyOf(visitor)
      const [yes] = await Promise.all([
        visitor.post(page, 'device-confirm-form', { decision: 'approve' }),
        doubter.post(page, 'device-confirm-form', { decision: 'deny' })
      ])
      const next = await visitor.follow(yes)
      const done = await agree(visitor, next)
      const { body } = await poll(service, tv, started.device_code)
      if (/Your device is connected/.test(done.text)) t.ok(body.access_token)
      else t.equal(body.error, 'access_denied')
    }
  })

  await t.test('two windows that finish one approval give the device one person', async t => {
    const started = await startDevice(service, tv)
    const consent = await decide(visitor, await typeCode(service, visitor, started.user_code))
    const back = await visitor.post(consent, 'consent-form', { decision: 'allow' })
    const twin = copyOf(visitor)
    const answers = await Promise.all([visitor, twin].map(browser => browser.request(back.location ?? '')))
    t.ok(answers.some(({ location }) => location?.endsWith('approved')))
    t.ok(answers.every(({ status }) => status < 500))
    t.equal((await poll(service, tv, started.device_code)).status, 200)
  })

  await t.test('who is signed out everywhere after the approval has let nobody in', async t => {
    const person = await signedIn(service, 'cut-off@example.org')
    const started = await startDevice(service, tv, { scope: 'openid offline_access' })
    await letIn(service, person, started.user_code)
    const account = await findAccountByEmailKey(service.pool, 'cut-off@example.org')
    service.advance(1)
    await endAllTokens(service.app.ctx, account?.id ?? '')
    t.equal((await poll(service, tv, started.device_code)).body.error, 'invalid_grant')
  })

  await t.test('nor has who is disabled', async t => {
    const person = await signedIn(service, 'disabled@example.org')
    const started = await startDevice(service, tv, { scope: 'openid offline_access' })
    await letIn(service, person, started.user_code)
    await service.pool`update accounts set disabled_at = now() where email_key = 'disabled@example.org'`
    t.equal((await poll(service, tv, started.device_code)).body.error, 'invalid_grant')
  })

  await t.test('TOK-6: a copy of the database holds neither code', async t => {
    const waiting = await startDevice(service, tv)
    const inFlight = await startDevice(service, tv)
    await decide(visitor, await typeCode(service, visitor, inFlight.user_code))
    const done = await approved()
    const tables = await dump(service.pool)
    for (const { device_code, user_code } of [waiting, inFlight, done])
      for (const secret of [device_code, user_code, user_code.replace('-', '')])
        for (const [table, text] of tables)
          t.notOk(
            spellings(secret).some(spelling => text.includes(spelling)),
            `${secret} in ${table}`
          )
  })

  await t.test('an address that leads into nobody’s sign-in is a page, not a fault', async t => {
    for (const browser of [new Visitor(), visitor]) {
      const page = await browser.visit(`${service.issuer}/device/V1StGXR8Z5jdHi6BmyT`)
      t.equal(page.status, 400)
      t.match(pageText(page.text), 'This sign-in has ended')
      t.equal(page.headers.getSetCookie().filter(cookie => cookie.startsWith('session=;')).length, 0)
    }
    t.equal(
      (await visitor.visit(`${service.issuer}/account/security`)).status,
      200,
      'who was signed in still is'
    )
    t.equal((await visitor.visit(`${service.issuer}/device/done?outcome=%3Cb%3E`)).status, 404)
  })
})

t.test('OID-17: a device in another network is warned of', async t => {
  const service = await startService(t, { environment: { TRUSTED_PROXIES: '127.0.0.1,::1' } })
  const person = (ip: string) =>
    Object.assign(new Visitor(), {
      request: (url: string, { headers = {}, ...init } = {}) =>
        Visitor.prototype.request.call(viewer, url, {
          ...init,
          headers: { ...headers, 'x-forwarded-for': ip }
        })
    })
  const viewer = new Visitor()
  const shown = async (device: string, browser: string) => {
    const started = await startDevice(service, tvOf(service), {}, { 'x-forwarded-for': device })
    return (await typeCode(service, person(browser), started.user_code)).text
  }
  t.match(await shown('203.0.113.7', '198.51.100.9'), 'id="elsewhere"')
  t.match(await shown('203.0.113.7', '198.51.100.9'), '203.0.113.7')
  t.notMatch(await shown('203.0.113.7', '203.0.113.7'), 'id="elsewhere"')
  t.notMatch(
    await shown('2001:db8::1', '203.0.113.7'),
    'id="elsewhere"',
    'a household may have both families'
  )
  t.notMatch(await shown('2001:db8::1', '2001:db8::2'), 'id="elsewhere"')
  t.match(await shown('2001:db8::1', '2001:db8:0:1::1'), 'id="elsewhere"')
})
