// Step-up authentication (RFC 9470) at userinfo, the API of our own, and where it says that its tokens come from (RFC 9728).
import t from 'tap'
import { replaceClient } from '../../src/clients/service.ts'
import {
  authorizationUrl,
  callbackOf,
  get,
  introspect,
  obtainCode,
  obtainTokens,
  readJwt,
  redeem,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { waitFor } from '../helpers/wait.ts'

const mfa = 'urn:gatehouse:acr:mfa'
const documentPath = '/.well-known/oauth-protected-resource/userinfo'

t.test('step-up', async t => {
  const service = await startService(t)
  const { issuer } = service
  const metadata = {
    client_name: 'Portal',
    redirect_uris: ['https://portal.example/callback'],
    first_party: true,
    resources: ['urn:demo:api']
  }
  const client = await registerPortal(service, metadata)
  const visitor = await signedInVisitor(service, client)

  await t.test('RFC 9728 §2, §4: userinfo is described, and the server names it', async t => {
    const { body } = await get(service, documentPath)
    t.match(body, {
      resource: `${issuer}/userinfo`,
      authorization_servers: [issuer],
      jwks_uri: `${issuer}/jwks`,
      bearer_methods_supported: ['header', 'body']
    })
    const server = (await get(service, '/.well-known/oauth-authorization-server')).body
    t.strictSame(server.protected_resources, [body.resource])
  })

  await t.test('RFC 9728 §5.1: who needs a token is told where the document is', async t => {
    for (const headers of [{}, { authorization: 'Bearer nobody' }]) {
      const reply = await get(service, '/userinfo', headers)
      t.equal(reply.status, 401)
      t.match(reply.headers.get('www-authenticate'), `resource_metadata="${issuer}${documentPath}"`)
    }
  })

  await t.test('RFC 9470 §6.1, §6.2: a token and introspection tell how sure and how fresh', async t => {
    const { access_token } = await obtainTokens(service, { client, visitor })
    const facts = { acr: 'urn:gatehouse:acr:1fa', auth_time: Number }
    t.match((await introspect(service, client, access_token)).body, facts)
    const params = { scope: 'openid api:read', resource: 'urn:demo:api' }
    const code = await obtainCode(service, { client, visitor, params })
    const { body } = await redeem(service, client, code, { resource: 'urn:demo:api' })
    t.match(readJwt(body.access_token).payload, facts)
  })

  await t.test('RFC 9470 §4: who may not be asked is told that a stronger sign-in is needed', async t => {
    const url = authorizationUrl(service, client, { acr_values: mfa, prompt: 'none' })
    t.equal(callbackOf(await visitor.visit(url)).searchParams.get('error'), 'login_required')
  })

  await t.test('RFC 9470 §3: a client that demands more than its token stands for is challenged', async t => {
    const { access_token } = await obtainTokens(service, { client, visitor })
    t.equal((await userinfo(service, access_token)).status, 200)
    await replaceClient(service.app.ctx, client.client_id, { ...metadata, required_acr: mfa })
    await waitFor(async () => (await userinfo(service, access_token)).status === 401)
    const { body, headers } = await userinfo(service, access_token)
    t.strictSame(body, { error: 'insufficient_user_authentication' })
    const challenge = headers.get('www-authenticate')
    t.match(challenge, 'Bearer realm=')
    t.match(challenge, 'error="insufficient_user_authentication"')
    t.match(challenge, `acr_values="${mfa}"`)
    t.match(challenge, `resource_metadata="${issuer}${documentPath}"`)
  })
})
