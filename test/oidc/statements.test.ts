// What a request costs the database, counted: a statement more is a defect.
import t, { type Test } from 'tap'
import { createApplication, newcomer, openid, signInAgain } from '../helpers/application.ts'
import { startService, Visitor } from '../helpers/service.ts'

t.test('requests stay within their budget of statements', async t => {
  const service = await startService(t)
  const application = await createApplication(service)
  const machine = await createApplication(service, service.clients['demo-service'])
  const count = async <T>(work: () => Promise<T>): Promise<{ statements: string[]; result: T }> => {
    service.statements.length = 0
    const result = await work()
    // Jobs run beside: what pg-boss sends is not the request's.
    return {
      statements: service.statements.filter(
        statement => !/pgboss|mail_outbox|development_mailbox/.test(statement)
      ),
      result
    }
  }
  const within = (t: Test, budget: number, { statements }: { statements: string[] }) =>
    t.ok(statements.length <= budget, `${statements.length} of ${budget} statements`, { statements })

  const { email, tokens, visitor } = await newcomer(service, application)

  t.test('client_credentials: 1 for an opaque token, 0 for a JWT', async t => {
    await openid.clientCredentialsGrant(machine.config, {})
    within(t, 1, await count(() => openid.clientCredentialsGrant(machine.config, {})))
    await openid.clientCredentialsGrant(machine.config, { resource: 'urn:demo:api' })
    within(
      t,
      0,
      await count(() => openid.clientCredentialsGrant(machine.config, { resource: 'urn:demo:api' }))
    )
  })

  t.test('introspection and userinfo: 1', async t => {
    within(t, 1, await count(() => openid.tokenIntrospection(application.config, tokens.access_token)))
    within(t, 1, await count(() => openid.tokenIntrospection(application.config, tokens.refresh_token ?? '')))
    within(
      t,
      1,
      await count(() =>
        openid.fetchUserInfo(application.config, tokens.access_token, openid.skipSubjectCheck)
      )
    )
  })

  t.test('code exchange: 2, and no more where the token ends with the session', async t => {
    for (const scope of ['openid offline_access', 'openid']) {
      const { url, finish } = await application.begin({
        scope,
        ...(scope === 'openid' ? { prompt: '' } : {})
      })
      const page = await visitor.visit(url)
      const back =
        page.location === null ? await visitor.submit(page, 'consent-form', { decision: 'allow' }) : page
      within(t, 2, await count(() => finish(back.location)))
    }
  })

  t.test('refresh with rotation: 2', async t => {
    within(t, 2, await count(() => openid.refreshTokenGrant(application.config, tokens.refresh_token ?? '')))
  })

  t.test('authorization with a session: 4', async t => {
    const { url } = await application.begin({ scope: 'openid', prompt: '' })
    const outcome = await count(() => visitor.visit(url))
    t.match(outcome.result.location, /code=/)
    within(t, 4, outcome)
  })

  t.test('a whole password sign-in with consent: 12', async t => {
    const other = await createApplication(
      service,
      await service.register({
        client_name: 'Other',
        redirect_uris: ['https://other.example/cb'],
        grant_types: ['authorization_code', 'refresh_token']
      })
    )
    // The application is known to the node from here on, as it is after anybody's first visit.
    await new Visitor().visit((await other.begin()).url)
    // In a browser that is known: else a job tells of it, whose statements are not the sign-in's.
    const home = new Visitor()
    home.cookies.set('device|/', { value: visitor.cookie('device') ?? '', path: '/' })
    const outcome = await count(() =>
      signInAgain(other, home, { email, params: { scope: 'openid profile' } })
    )
    within(t, 12, outcome)
  })
})
