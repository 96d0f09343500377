// APIs that say how they are to be used (RFC 9728), and that ask for a stronger or fresher sign-in (RFC 9470).
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { replaceClient } from '../../src/clients/service.ts'
import { stepUpChallenge } from '../../src/oidc/protected-resource.ts'
import { agree, createApplication, openid } from '../helpers/application.ts'
import { documentOf } from '../helpers/document-server.ts'
import {
  get,
  introspect,
  obtainTokens,
  readJwt,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { password, startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

const [oneFactor, twoFactors] = ['urn:gatehouse:acr:1fa', 'urn:gatehouse:acr:mfa']

t.test('step-up', async t => {
  const service = await startService(t)
  const { issuer } = service
  const metadataUrl = `${issuer}/.well-known/oauth-protected-resource/userinfo`
  const portal = await registerPortal(service, { resources: ['urn:demo:api'], introspection: true })
  const visitor = await signedInVisitor(service, portal)

  await t.test('RFC 9728 §3: userinfo describes itself, for any page to read', async t => {
    const { status, headers, body } = await get(service, new URL(metadataUrl).pathname)
    t.equal(status, 200)
    t.match(body, {
      resource: `${issuer}/userinfo`,
      authorization_servers: [issuer],
      bearer_methods_supported: ['header', 'body'],
      scopes_supported: ['openid', 'profile', 'email', 'address', 'phone'],
      dpop_signing_alg_values_supported: ['ES256', 'EdDSA']
    })
    t.match(headers.get('content-type'), 'application/json')
    t.equal(headers.get('access-control-allow-origin'), '*')
    t.equal((await get(service, `${new URL(metadataUrl).pathname}x`)).status, 404)
    const server = await get(service, '/.well-known/oauth-authorization-server')
    t.strictSame(server.body.protected_resources, [`${issuer}/userinfo`], '§4')
  })

  await t.test('RFC 9728 §5.1: every challenge says where that is', async t => {
    const answers = [
      await get(service, '/userinfo'),
      await userinfo(service, 'x'),
      await get(service, '/userinfo', { authorization: 'DPoP x', dpop: 'x' })
    ]
    for (const { status, headers } of answers) {
      t.equal(status, 401)
      const challenges = (headers.get('www-authenticate') ?? '').split(/, (?=Bearer|DPoP)/)
      for (const challenge of challenges)
        t.ok(challenge.endsWith(`resource_metadata="${metadataUrl}"`), challenge)
    }
    const tokens = await obtainTokens(service, { client: portal, visitor })
    const { status, headers } = await userinfo(service, tokens.access_token)
    t.equal(status, 200)
    t.equal(headers.get('www-authenticate'), null)
  })

  await t.test('RFC 9470 §6: tokens and introspection say how sure and how fresh the sign-in is', async t => {
    const api = { scope: 'openid api:read', resource: 'urn:demo:api' }
    const application = await createApplication(service, portal)
    const { url, finish } = await application.begin({ ...api, prompt: 'none' })
    const { location } = await visitor.visit(url)
    const opaque = await finish(location)
    t.match((await introspect(service, portal, opaque.access_token)).body, {
      acr: oneFactor,
      auth_time: Number
    })
    const jwt = await openid.refreshTokenGrant(application.config, opaque.refresh_token ?? '', {
      resource: 'urn:demo:api'
    })
    t.match(readJwt(jwt.access_token).payload, { acr: oneFactor, auth_time: Number })
    t.match((await introspect(service, portal, jwt.access_token)).body, { acr: oneFactor, auth_time: Number })
    t.equal(readJwt(jwt.access_token).payload.auth_time, opaque.claims()?.auth_time)
    const robot = await service.register({
      client_name: 'Robot',
      grant_types: ['client_credentials'],
      resources: ['urn:demo:api']
    })
    const machine = await openid.clientCredentialsGrant((await createApplication(service, robot)).config, {
      resource: 'urn:demo:api'
    })
    t.notOk('acr' in readJwt(machine.access_token).payload, 'a client by itself has not signed in')
  })

  await t.test(
    'RFC 9470 §3, §4: an API asks for a fresher sign-in, and openid-client comes back with one',
    async t => {
      const application = await createApplication(service, portal)
      const guard = await createApplication(service, portal)
      // An API of somebody else's, which introspects and challenges as the RFC says.
      const api = createServer(async (request, response) => {
        const token = String(request.headers.authorization).split(' ')[1] ?? ''
        const { active, auth_time = 0 } = await openid.tokenIntrospection(guard.config, token)
        if (active && Date.now() / 1000 - Number(auth_time) <= 60)
          return documentOf(() => ({ paid: true }))(request, response)
        response
          .writeHead(401, {
            'www-authenticate': `Bearer ${stepUpChallenge({ acrValues: oneFactor, maxAgeSeconds: 60 })}`
          })
          .end()
      })
      await new Promise<void>(resolve => api.listen(0, '127.0.0.1', resolve))
      t.teardown(() => api.close())
      const apiUrl = new URL(`http://127.0.0.1:${(api.address() as AddressInfo).port}/pay`)
      const use = async (token: string) =>
        await openid.fetchProtectedResource(application.config, token, apiUrl, 'POST')

      service.advance(120)
      const stale = await application.begin({ scope: 'openid', prompt: 'none' })
      const old = await stale.finish((await visitor.visit(stale.url)).location)
      const challenge = await use(old.access_token).then(
        () => null,
        (error: openid.WWWAuthenticateChallengeError) => error.cause[0]?.parameters
      )
      t.match(challenge, { error: 'insufficient_user_authentication', max_age: '60', acr_values: oneFactor })

      const asked = {
        scope: 'openid',
        max_age: challenge?.max_age ?? '',
        acr_values: challenge?.acr_values ?? ''
      }
      const silent = await application.begin({ ...asked, prompt: 'none' })
      t.match((await visitor.visit(silent.url)).location, 'error=login_required', 'not without the person')
      const fresh = await application.begin(asked)
      const page = await visitor.visit(fresh.url)
      const next = await visitor.submit(page, 'sign-in-form', { email: 'ada@example.org', password })
      const { location } = await agree(visitor, next)
      const tokens = await fresh.finish(location)
      t.strictSame(await (await use(tokens.access_token)).json(), { paid: true })
    }
  )

  await t.test('RFC 9470 §3: userinfo asks for what its client meanwhile demands', async t => {
    const tokens = await obtainTokens(service, { client: portal, visitor, params: { scope: 'openid email' } })
    t.equal((await userinfo(service, tokens.access_token)).status, 200)
    const { client_id, client_secret: _secret, ...metadata } = portal
    await replaceClient(service.app.ctx, client_id, { ...metadata, required_acr: twoFactors })
    await waitFor(async () => (await userinfo(service, tokens.access_token)).status === 401)
    const answer = await userinfo(service, tokens.access_token)
    t.strictSame(answer.body, { error: 'insufficient_user_authentication' })
    const challenge = answer.headers.get('www-authenticate') ?? ''
    for (const part of [
      'Bearer ',
      'error="insufficient_user_authentication"',
      `acr_values="${twoFactors}"`,
      `resource_metadata="${metadataUrl}"`
    ])
      t.match(challenge, part)
  })
})
