// oauth4webapi with the grants beside the code: a device, an approval elsewhere, one token for another, a workload's token,
// and an application that registers itself first.
import * as oauth from 'oauth4webapi'
import t from 'tap'
import { registerResource } from '../../src/clients/resource-service.ts'
import { trustWorkload } from '../../src/clients/workload-service.ts'
import { createMember } from '../helpers/account.ts'
import { decideNewest, registerCaller } from '../helpers/approvals.ts'
import { letIn } from '../helpers/devices.ts'
import { back, grantType as exchangeGrant, front, registerParts, tokenType } from '../helpers/exchange.ts'
import { startIssuer, subject } from '../helpers/issuer.ts'
import { createParty, discover, errorOf, http, type Party, signIn } from '../helpers/oauth4webapi.ts'
import { readJwt, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { writeFiles } from '../helpers/tls.ts'

const paymentType = {
  title: 'Pay from your account',
  schema: {
    type: 'object',
    properties: {
      type: { const: 'payment' },
      amount: { type: 'string', title: 'Amount' },
      creditor: { type: 'string', title: 'To' }
    },
    required: ['type', 'amount', 'creditor'],
    additionalProperties: false
  }
}

t.test('oauth4webapi', async t => {
  const { payment } = writeFiles(t, { payment: JSON.stringify({ payment: paymentType }) })
  const service = await startService(t, {
    environment: {
      AUTHORIZATION_DETAILS_TYPES_FILE: payment,
      CIBA: 'on',
      DYNAMIC_REGISTRATION: 'open',
      OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8,::1'
    }
  })
  const as = await discover(service)
  const ada = await signedInVisitor(service, await registerPortal(service))

  const grant = async ({ client, auth }: Party, grantType: string, asked: Record<string, string>) => {
    const response = await oauth.genericTokenEndpointRequest(as, client, auth, grantType, asked, http)
    return await oauth.processGenericTokenEndpointResponse(as, client, response)
  }

  await t.test('RFC 9396 §2, §7: a payment is asked for in detail, and the token says which', async t => {
    const party = createParty(
      as,
      await registerPortal(service, { authorization_details_types: ['payment'], resources: ['urn:demo:api'] })
    )
    const payment = { type: 'payment', amount: '12.50', creditor: 'Harbour kiosk' }
    const asked = { authorization_details: JSON.stringify([payment]), resource: 'urn:demo:api' }
    const tokens = await signIn(party, ada, asked)
    t.strictSame(tokens.authorization_details, [payment])
  })

  await t.test('RFC 8628 §3: a device is let in', async t => {
    const tv = createParty(
      as,
      await service.register({
        client_name: 'Television',
        token_endpoint_auth_method: 'none',
        grant_types: ['urn:ietf:params:oauth:grant-type:device_code', 'refresh_token']
      })
    )
    const { client, auth } = tv
    const asked = { scope: 'openid email offline_access' }
    const started = await oauth.processDeviceAuthorizationResponse(
      as,
      client,
      await oauth.deviceAuthorizationRequest(as, client, auth, asked, http)
    )
    const poll = async () =>
      await oauth.processDeviceCodeResponse(
        as,
        client,
        await oauth.deviceCodeGrantRequest(as, client, auth, started.device_code, http)
      )
    t.equal(await errorOf(poll()), 'authorization_pending')
    await letIn(service, ada, started.user_code)
    service.advance(started.interval ?? 5)
    const tokens = await poll()
    t.equal(oauth.getValidatedIdTokenClaims(tokens)?.aud, client.client_id)
    t.ok(tokens.refresh_token)
    service.advance(started.interval ?? 5)
    t.equal(await errorOf(poll()), 'invalid_grant', 'once')
  })

  await t.test('CIBA Core 1.0 §7, §10: a person approves on another device', async t => {
    const { client, auth } = createParty(as, await registerCaller(service))
    const member = await createMember(service)
    const asked = { scope: 'openid email', login_hint: member.email, binding_message: 'Order 4711' }
    const started = await oauth.processBackchannelAuthenticationResponse(
      as,
      client,
      await oauth.backchannelAuthenticationRequest(as, client, auth, asked, http)
    )
    const poll = async () =>
      await oauth.processBackchannelAuthenticationGrantResponse(
        as,
        client,
        await oauth.backchannelAuthenticationGrantRequest(as, client, auth, started.auth_req_id, http)
      )
    t.equal(await errorOf(poll()), 'authorization_pending')
    await decideNewest(member, 'approve')
    service.advance(started.interval ?? 5)
    t.equal(oauth.getValidatedIdTokenClaims(await poll())?.sub, member.account.id)
  })

  await t.test('RFC 8693 §2: an API exchanges what it was called with for the next API', async t => {
    const { gateway, obtain } = await registerParts(service)
    const { access_token: called = '' } = await obtain(ada, { scope: 'openid read', resource: front })
    const party = createParty(as, gateway)
    const asked = { subject_token: called, subject_token_type: tokenType('access_token'), audience: back }
    const next = await grant(party, exchangeGrant, asked)
    t.equal(next.issued_token_type, tokenType('access_token'))
    const request = new Request('https://api.example/', {
      headers: { authorization: `Bearer ${next.access_token}` }
    })
    const claims = await oauth.validateJwtAccessToken(as, request, back, http)
    t.match(claims, { aud: back, client_id: gateway.client_id, sub: readJwt(called).payload.sub })
    const wider = { ...asked, scope: 'orders:write' }
    t.equal(await errorOf(grant(party, exchangeGrant, wider)), 'invalid_scope', 'never widened')
  })

  await t.test('RFC 7523 §2.1: a workload brings a token of its own issuer, and no secret', async t => {
    const issuer = await startIssuer(t, service.issuer)
    await registerResource(service.app.ctx, { identifier: 'urn:test:deploy', scopes: ['deploy'] })
    const registered = await service.register({
      client_name: 'Deployment',
      grant_types: ['urn:ietf:params:oauth:grant-type:jwt-bearer'],
      token_endpoint_auth_method: 'none',
      resources: ['urn:test:deploy']
    })
    await trustWorkload(service.app.ctx, {
      clientId: registered.client_id,
      issuer: issuer.url,
      audience: null,
      subject,
      claims: {},
      jwks: null,
      reusable: false
    })
    const party = createParty(as, registered)
    const asked = { assertion: await issuer.sign(), resource: 'urn:test:deploy', scope: 'deploy' }
    const { access_token } = await grant(party, 'urn:ietf:params:oauth:grant-type:jwt-bearer', asked)
    t.match(readJwt(access_token).payload, { aud: 'urn:test:deploy', client_id: registered.client_id })
  })

  await t.test('RFC 7591 §3: an application registers itself, and signs people in', async t => {
    const metadata = {
      client_name: 'Photo album',
      redirect_uris: ['https://album.example/callback'],
      grant_types: ['authorization_code', 'refresh_token'],
      token_endpoint_auth_method: 'client_secret_post'
    }
    const response = await oauth.dynamicClientRegistrationRequest(as, metadata, http)
    const client = await oauth.processDynamicClientRegistrationResponse(response)
    t.match(client, {
      client_name: 'Photo album',
      registration_client_uri: `${service.issuer}/register/${client.client_id}`
    })
    const tokens = await signIn(createParty(as, client, oauth.ClientSecretPost), ada)
    t.equal(oauth.getValidatedIdTokenClaims(tokens)?.aud, client.client_id)
    const refused = await oauth.dynamicClientRegistrationRequest(as, { redirect_uris: ['nowhere'] }, http)
    t.equal(await errorOf(oauth.processDynamicClientRegistrationResponse(refused)), 'invalid_redirect_uri')
  })
})
