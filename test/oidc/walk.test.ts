// A person signs in to an application, from nothing: openid-client is the application.
import t from 'tap'
import { createApplication, newcomer, openid, signInAgain } from '../helpers/application.ts'
import { startService, Visitor } from '../helpers/service.ts'

t.test('a newcomer signs up, confirms, agrees and is signed in with real tokens', async t => {
  const service = await startService(t)
  const application = await createApplication(service)
  const { tokens, email } = await newcomer(service, application)
  const sub = tokens.claims()?.sub ?? ''
  t.equal(tokens.claims()?.iss, service.issuer)
  t.match(await openid.fetchUserInfo(application.config, tokens.access_token, sub), {
    name: 'Ada Lovelace',
    email,
    email_verified: true
  })

  const refreshed = await openid.refreshTokenGrant(application.config, tokens.refresh_token ?? '')
  t.not(refreshed.refresh_token, tokens.refresh_token)
  t.equal(refreshed.claims()?.sub, sub)

  const elsewhere = await signInAgain(application, new Visitor(), { email })
  t.equal(elsewhere.claims()?.sub, sub)
})
