// What an application, or somebody with its credentials, tries with CIBA; and what people try with each other's requests.
import t from 'tap'
import { endAllTokens } from '../../src/accounts/service.ts'
import { createMember, eventsOf } from '../helpers/account.ts'
import { ask, asked, decideNewest, pollRequest, registerCaller, requestsOn } from '../helpers/approvals.ts'
import { dump, spellings } from '../helpers/dump.ts'
import { atOnce, clientOf, copyOf, countStatuses, post, userinfo, whileLocked } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { findForm, pageText } from '../helpers/visitor.ts'
import { waitFor } from '../helpers/wait.ts'

t.test('CIBA under attack', async t => {
  const service = await startService(t, {
    environment: { CIBA: 'on', FAILURES_PER_NETWORK_PER_HOUR: '20', MAILS_PER_RECIPIENT_PER_HOUR: '100' }
  })
  const bank = await registerCaller(service)
  const ada = await createMember(service)
  const bob = await createMember(service)
  const approved = async () => {
    const id = await asked(service, bank, { login_hint: ada.email })
    await decideNewest(ada, 'approve')
    return id
  }

  await t.test('an application that cannot prove who it is asks nobody (CIBA Core §4)', async t => {
    await t.rejects(registerCaller(service, { token_endpoint_auth_method: 'none' }), /must not be none/)
    const { client_id } = bank
    t.equal(
      (await post(service, '/backchannel', { client_id, scope: 'openid', login_hint: ada.email })).status,
      401
    )
    t.equal(
      (await ask(service, { client_id, client_secret: 'wrong' }, { login_hint: ada.email })).status,
      401
    )
    const web = await ask(service, clientOf(service, 'demo-web'), { login_hint: ada.email })
    t.equal(web.status, 400)
    t.strictSame(requestsOn(await ada.open('/account/approvals')), [])
  })

  await t.test('a registration that CIBA could not be done with is refused', async t => {
    for (const [over, fault] of [
      [{ backchannel_token_delivery_mode: undefined }, /poll or ping/],
      [{ backchannel_token_delivery_mode: 'push' }, /must be one of poll, ping/],
      [{ backchannel_token_delivery_mode: 'ping' }, /is needed with the delivery mode ping/],
      [{ backchannel_client_notification_endpoint: 'https://bank.example/n' }, /is of no use without/],
      [{ backchannel_user_code_parameter: true }, /there are no user codes here/],
      [{ grant_types: ['client_credentials'] }, /is of no use without the grant type of CIBA/]
    ] as const)
      await t.rejects(registerCaller(service, over), fault)
  })

  await t.test('nobody, the disabled and the unconfirmed look alike: unknown_user_id (§13)', async t => {
    const [off, unconfirmed] = [await createMember(service), await createMember(service)]
    await service.pool`update accounts set disabled_at = now() where id = ${off.account.id}`
    await service.pool`update accounts set email_verified_at = null where id = ${unconfirmed.account.id}`
    const hints = [
      'nobody@example.org',
      off.email,
      off.account.id,
      unconfirmed.email,
      'no address',
      `${ada.email}\0`
    ]
    const replies = await Promise.all(hints.map(login_hint => ask(service, bank, { login_hint })))
    for (const { status, text } of replies) {
      t.equal(status, 400)
      t.equal(text, replies[0]?.text)
    }
    t.equal(replies[0]?.body.error, 'unknown_user_id')
  })

  await t.test('lists of addresses cannot be tried: wrong hints are counted by client', async t => {
    const prober = await registerCaller(service, { client_name: 'Prober' })
    const replies = await atOnce(60, index =>
      ask(service, prober, { login_hint: `person${index}@example.org` })
    )
    const looked = replies.filter(({ body }) => body.error === 'unknown_user_id')
    t.equal(looked.length, 20)
    const right = await ask(service, prober, { login_hint: ada.email })
    t.equal(right.body.error, 'temporarily_unavailable')
    t.match(right.body.error_description, /wait \d+ seconds/)
    const other = await asked(service, bank, { login_hint: ada.email })
    t.ok(other, 'other applications go on')
    await decideNewest(ada, 'deny')
  })

  await t.test('a binding message is plain text of a hundred characters (§7.1, §13)', async t => {
    const wrong = ['', ' ', 'a'.repeat(101), 'a\nb', 'a\u202eb', 'a\u200bb', 'a\u2028b', '\u0007', 'a\u00adb']
    for (const binding_message of wrong) {
      const { body } = await ask(service, bank, { login_hint: ada.email, binding_message })
      const code = binding_message === '' ? undefined : 'invalid_binding_message'
      t.equal(body.error, code, encodeURIComponent(binding_message))
      if (code === undefined) await decideNewest(ada, 'deny')
    }
    for (const binding_message of ['a'.repeat(100), 'Übung №1 – 取引', '<b>&amp;"']) {
      const id = await asked(service, bank, { login_hint: ada.email, binding_message })
      const page = await ada.open('/account/approvals')
      t.notMatch(page.text, '<b>')
      await decideNewest(ada, 'deny')
      t.equal((await pollRequest(service, bank, id)).body.error, 'access_denied')
    }
  })

  await t.test('what is not supported is refused, not ignored', async t => {
    const login_hint = ada.email
    for (const fields of [
      {},
      { login_hint, id_token_hint: 'eyJhbGciOiJub25lIn0.e30.' },
      { login_hint_token: 'x' },
      { login_hint, user_code: '1234' },
      { login_hint, requested_expiry: '0' },
      { login_hint, requested_expiry: '1e9999' },
      { login_hint, scope: 'email' }
    ]) {
      const { status, body } = await ask(service, bank, fields)
      t.strictSame([status, body.error], [400, 'invalid_request'], JSON.stringify(fields))
    }
    t.equal((await ask(service, bank, { id_token_hint: 'eyJhbGciOiJub25lIn0.e30.' })).status, 400)
    t.strictSame(requestsOn(await ada.open('/account/approvals')), [])
  })

  await t.test('what cannot be stored is the application’s fault, wherever it is', async t => {
    for (const fields of [
      { nonce: 'a\0b' },
      { claims: JSON.stringify({ id_token: { 'a\0b': null } }) },
      { claims: JSON.stringify({ id_token: { email: { value: 'a\0b' } } }) },
      { acr_values: 'a\0b' },
      { scope: 'openid a\0b' },
      { resource: 'urn:a\0b' }
    ]) {
      const { status, body } = await ask(service, bank, { login_hint: ada.email, ...fields })
      t.match(body.error ?? 'ignored', /^(invalid_|ignored)/, JSON.stringify(fields))
      t.ok(status < 500)
      if (status === 200) await decideNewest(ada, 'deny')
    }
    t.strictSame(requestsOn(await ada.open('/account/approvals')), [])
  })

  await t.test(
    'nobody is worn out: five requests of an application wait at most, also of twenty at once',
    async t => {
      const eve = await createMember(service)
      const statuses: number[] = []
      for (let index = 0; index < 8; index++)
        statuses.push((await ask(service, bank, { login_hint: eve.email })).status)
      t.strictSame(statuses, [200, 200, 200, 200, 200, 400, 400, 400])
      t.equal(requestsOn(await eve.open('/account/approvals')).length, 5)
      const other = await registerCaller(service, { client_name: 'Another' })
      t.equal((await ask(service, other, { login_hint: eve.email })).status, 200, 'of each application')
      const fay = await createMember(service)
      const replies = await whileLocked(service, 'oidc_artifacts', {
        count: 20,
        work: () => ask(service, bank, { login_hint: fay.email })
      })
      t.strictSame(countStatuses(replies), { 200: 5, 400: 15 })
      t.equal(requestsOn(await fay.open('/account/approvals')).length, 5)
    }
  )

  await t.test('the link of the mail approves nothing, nor does any other GET', async t => {
    const id = await asked(service, bank, { login_hint: ada.email })
    const page = await ada.open('/account/approvals')
    const request = requestsOn(page)[0]
    for (const path of [
      '',
      '/decide',
      `/decide?request=${request}&decision=approve`,
      `?request=${request}&decision=approve`
    ])
      await ada.open(`/account/approvals${path}`)
    t.equal((await pollRequest(service, bank, id)).body.error, 'authorization_pending')
    await decideNewest(ada, 'deny')
  })

  await t.test('another person cannot decide, and is told what nobody’s request is told', async t => {
    const id = await asked(service, bank, { login_hint: ada.email })
    const request = requestsOn(await ada.open('/account/approvals'))[0] ?? ''
    await asked(service, bank, { login_hint: bob.email })
    const page = await bob.open('/account/approvals')
    t.notOk(requestsOn(page).includes(request))
    const own = findForm(page, `decide-${requestsOn(page)[0]}`)
    for (const decision of ['approve', 'deny'])
      for (const foreign of [request, `${request.slice(0, -2)}AA`, '', 'x']) {
        const body = new URLSearchParams({ ...own.fields, request: foreign, decision })
        const answer = await bob.visitor.request(own.action, { method: 'POST', body })
        t.match(answer.location, /done=gone$/)
      }
    t.equal((await pollRequest(service, bank, id)).body.error, 'authorization_pending')
    await decideNewest(bob, 'deny')
    await decideNewest(ada, 'deny')
  })

  await t.test('another site cannot decide in the person’s browser', async t => {
    const id = await asked(service, bank, { login_hint: ada.email })
    const page = await ada.open('/account/approvals')
    const { action, fields } = findForm(page, `decide-${requestsOn(page)[0]}`)
    const { _csrf, ...without } = fields
    for (const [body, headers] of [
      [{ ...without, decision: 'approve' }, {}],
      [{ ...fields, decision: 'approve' }, { origin: 'https://evil.example' }]
    ] as const) {
      const init = { method: 'POST', body: new URLSearchParams(body as Record<string, string>), headers }
      t.equal((await ada.visitor.request(action, init)).status, 403)
    }
    t.equal((await pollRequest(service, bank, id)).body.error, 'authorization_pending')
    await decideNewest(ada, 'deny')
  })

  await t.test('twenty approvals at once are one', async t => {
    const id = await asked(service, bank, { login_hint: ada.email })
    const page = await ada.open('/account/approvals')
    const before = (await eventsOf(service, ada, 'approval.given')).length
    const answers = await whileLocked(service, 'oidc_artifacts', {
      count: 20,
      work: () => copyOf(ada.visitor).post(page, `decide-${requestsOn(page)[0]}`, { decision: 'approve' })
    })
    t.equal(answers.filter(({ location }) => location?.endsWith('done=approved')).length, 1)
    t.equal(answers.filter(({ location }) => location?.endsWith('done=gone')).length, 19)
    t.equal((await eventsOf(service, ada, 'approval.given')).length, before + 1)
    t.equal((await pollRequest(service, bank, id)).status, 200)
  })

  await t.test('yes and no at once: one of them holds', async t => {
    for (let round = 0; round < 5; round++) {
      const id = await asked(service, bank, { login_hint: ada.email })
      const page = await ada.open('/account/approvals')
      const decide = (decision: string) =>
        copyOf(ada.visitor).post(page, `decide-${requestsOn(page)[0]}`, { decision })
      const [yes, no] = await Promise.all([decide('approve'), decide('deny')])
      const { body } = await pollRequest(service, bank, id)
      t.ok(yes?.location?.endsWith('gone') !== no?.location?.endsWith('gone'))
      if (yes?.location?.endsWith('approved')) t.ok(body.access_token)
      else t.equal(body.error, 'access_denied')
    }
  })

  await t.test('of twenty requests for the tokens at once one gets them', async t => {
    const id = await approved()
    const replies = await whileLocked(service, 'oidc_artifacts', {
      count: 20,
      work: () => pollRequest(service, bank, id)
    })
    t.strictSame(countStatuses(replies), { 200: 1, 400: 19 })
    const winner = replies.find(({ status }) => status === 200)
    t.equal((await userinfo(service, winner?.body.access_token)).status, 200)
    service.advance(2)
    t.equal((await pollRequest(service, bank, id)).body.error, 'invalid_grant')
    t.equal(
      (await userinfo(service, winner?.body.access_token)).status,
      401,
      'and once more later takes them back'
    )
  })

  await t.test('one character off is nobody’s, and another application’s is not its own', async t => {
    const id = await approved()
    const other = await registerCaller(service, { client_name: 'Another' })
    const flipped = `${id.slice(0, -1)}${id.endsWith('A') ? 'B' : 'A'}`
    t.equal((await pollRequest(service, bank, flipped)).body.error, 'invalid_grant')
    t.equal((await pollRequest(service, other, id)).body.error, 'invalid_grant')
    const asDevice = { grant_type: 'urn:ietf:params:oauth:grant-type:device_code', device_code: id }
    t.equal((await post(service, '/token', asDevice, { client: bank })).status, 400)
    t.equal((await pollRequest(service, bank, id)).status, 200)
  })

  await t.test('who polls too fast is told to slow down (§11)', async t => {
    const id = await asked(service, bank, { login_hint: ada.email })
    const after = async (seconds: number) => {
      service.advance(seconds)
      return (await pollRequest(service, bank, id)).body.error
    }
    t.equal(await after(0), 'authorization_pending')
    t.equal(await after(4), 'slow_down')
    t.equal(await after(9), 'slow_down', 'ten by now')
    t.equal(await after(15), 'authorization_pending')
    await decideNewest(ada, 'approve')
    t.equal((await pollRequest(service, bank, id)).status, 200, 'what is decided is told at once')
  })

  await t.test('whoever is cut off has approved nothing, before and after', async t => {
    const mia = await createMember(service)
    const before = await asked(service, bank, { login_hint: mia.email })
    const during = await asked(service, bank, { login_hint: mia.email })
    const page = await mia.open('/account/approvals')
    const [newest, older] = requestsOn(page)
    await mia.visitor.submit(page, `decide-${older}`, { decision: 'approve' })
    service.advance(1)
    await endAllTokens(service.app.ctx, mia.account.id)
    t.equal((await pollRequest(service, bank, before)).body.error, 'invalid_grant')
    const answer = await mia.visitor.submit(page, `decide-${newest}`, { decision: 'approve' })
    t.match(answer.text, 'id="sign-in-form"')
    t.equal((await pollRequest(service, bank, during)).body.error, 'authorization_pending')
  })

  await t.test('nor whoever is cut off while the approval is on its way', async t => {
    const kim = await createMember(service)
    const id = await asked(service, bank, { login_hint: kim.email })
    const page = await kim.open('/account/approvals')
    const isWaiting = async () => {
      const rows = await service.pool`
        select from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock' and query like '%oidc_artifacts%'`
      return rows.length > 0
    }
    const deciding = await service.pool.begin(async tx => {
      await tx`lock table oidc_artifacts in access exclusive mode`
      const answer = kim.visitor.post(page, `decide-${requestsOn(page)[0]}`, { decision: 'approve' })
      await waitFor(isWaiting)
      service.advance(1)
      await endAllTokens(service.app.ctx, kim.account.id)
      return { answer }
    })
    t.match((await deciding.answer).location, /done=gone$/)
    t.equal((await pollRequest(service, bank, id)).body.error, 'authorization_pending')
  })

  await t.test(
    'TOK-6: a copy of the database holds neither the request’s id nor the client’s token',
    async t => {
      const pinged = await registerCaller(service, {
        client_name: 'Pinged',
        backchannel_token_delivery_mode: 'ping',
        backchannel_client_notification_endpoint: 'https://bank.example/notify'
      })
      const client_notification_token = 'a-n0tification-t0ken-0f-the-client'
      const waiting = await asked(service, pinged, { login_hint: ada.email, client_notification_token })
      const done = await asked(service, pinged, { login_hint: ada.email, client_notification_token })
      await decideNewest(ada, 'approve')
      const tables = await dump(service.pool)
      for (const secret of [waiting, done, client_notification_token])
        for (const [table, text] of tables)
          t.notOk(
            spellings(secret).some(spelling => text.includes(spelling)),
            `${secret} in ${table}`
          )
    }
  )

  t.match(pageText((await ada.open('/account/approvals')).text), 'Pinged')
})

t.test(
  'a person whom no mail may tell any more is not asked, by no application, until the hour is over',
  async t => {
    const service = await startService(t, { environment: { CIBA: 'on', MAILS_PER_RECIPIENT_PER_HOUR: '3' } })
    const [one, other] = [await registerCaller(service), await registerCaller(service)]
    const eve = await createMember(service)
    const attempt = async (client = one) => {
      const { status, body } = await ask(service, client, { login_hint: eve.email })
      return [status, body.error]
    }
    for (let index = 0; index < 3; index++) t.strictSame(await attempt(), [200, undefined])
    for (const client of [one, other]) t.strictSame(await attempt(client), [400, 'access_denied'])
    t.equal(requestsOn(await eve.open('/account/approvals')).length, 3)
    const [row] = await service.pool<{ sent: number }[]>`
    select count(*)::int as sent from mail_outbox where kind = 'approval_requested'`
    t.equal(row?.sent, 3)
    t.equal((await eventsOf(service, eve, 'approval.requested')).length, 3)
    service.advance(3601)
    t.strictSame(await attempt(other), [200, undefined])
  }
)
