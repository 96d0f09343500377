// A person signs in to an application, from nothing: openid-client is the application.
import * as client from 'openid-client'
import t from 'tap'
import { signUp, startService, Visitor } from '../helpers/service.ts'

t.test('a newcomer signs up, confirms, agrees and is signed in with real tokens', async t => {
  const service = await startService(t)
  const { client_id, client_secret } = service.clients['demo-web'] ?? {}
  const config = await client.discovery(new URL(service.issuer), client_id ?? '', client_secret, undefined, {
    execute: [client.allowInsecureRequests]
  })
  const verifier = client.randomPKCECodeVerifier()
  const [redirectUri = ''] = service.clients['demo-web']?.redirect_uris as string[]
  const state = client.randomState()
  const url = client.buildAuthorizationUrl(config, {
    redirect_uri: redirectUri,
    scope: 'openid profile email offline_access',
    prompt: 'consent',
    code_challenge: await client.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256',
    state
  })
  const visitor = new Visitor()
  const page = await visitor.visit(url.href)
  const consent = await signUp(service, visitor, { page, email: 'ada@example.org' })
  const done = await visitor.submit(consent, 'consent-form', { decision: 'allow' })
  t.ok(done.location?.startsWith(redirectUri), done.text)
  const tokens = await client.authorizationCodeGrant(config, new URL(done.location ?? ''), {
    pkceCodeVerifier: verifier,
    expectedState: state
  })
  t.equal(tokens.claims()?.iss, service.issuer)
  const info = await client.fetchUserInfo(config, tokens.access_token, tokens.claims()?.sub ?? '')
  t.match(info, { name: 'Ada Lovelace', email: 'ada@example.org', email_verified: true })
  const refreshed = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
  t.not(refreshed.refresh_token, tokens.refresh_token)
  const again = await client.refreshTokenGrant(config, tokens.refresh_token ?? '')
  t.equal(again.refresh_token, refreshed.refresh_token)
})
