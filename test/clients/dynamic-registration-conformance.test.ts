// What is registered where the OpenID Foundation's suite tests the service.
import { exportJWK, generateKeyPair } from 'jose'
import t from 'tap'
import { startSite } from '../helpers/https-site.ts'
import { atOnce, countStatuses } from '../helpers/protocol.ts'
import { sendRegistration, webApplication } from '../helpers/registrations.ts'
import { startService } from '../helpers/service.ts'

const site = await startSite(t)
const conformance = await startService(t, { environment: { PROFILE: 'conformance' } })
const { redirect_uris } = webApplication
const jwks = {
  keys: [{ ...(await exportJWK((await generateKeyPair('RS256')).publicKey)), kid: 'a', use: 'sig' }]
}

const sector = '/sector.json'
site.pages.set(sector, { body: [...redirect_uris, 'https://album.example/other'] })
site.pages.set('/other-sector.json', { body: ['https://other.example/callback'] })
site.pages.set('/long-sector.json', {
  body: [...redirect_uris, `https://album.example/${'x'.repeat(65_536)}`]
})
site.pages.set('/sector-of-nothing', { status: 404 })
site.pages.set('/no-list.json', { body: { redirect_uris } })

const suite: Record<string, Record<string, unknown>> = {
  'code, in Basic': { grant_types: ['authorization_code'], response_types: ['code'] },
  'id_token, in Implicit': { grant_types: ['implicit'], response_types: ['id_token'] },
  'id_token token, in Implicit': { grant_types: ['implicit'], response_types: ['id_token token'] },
  'token first': { grant_types: ['implicit'], response_types: ['token id_token'] },
  'code id_token, in Hybrid': {
    grant_types: ['authorization_code', 'implicit'],
    response_types: ['code id_token']
  },
  'code token': { grant_types: ['authorization_code', 'implicit'], response_types: ['code token'] },
  'code id_token token': {
    grant_types: ['authorization_code', 'implicit'],
    response_types: ['code id_token token']
  },
  'response types alone': { grant_types: undefined, response_types: ['code id_token'] },
  'a client_secret_post client': { token_endpoint_auth_method: 'client_secret_post' },
  'a client_secret_jwt client': { token_endpoint_auth_method: 'client_secret_jwt' },
  'a private_key_jwt client': {
    token_endpoint_auth_method: 'private_key_jwt',
    token_endpoint_auth_signing_alg: 'RS256',
    jwks
  },
  'keys at an address': { token_endpoint_auth_method: 'private_key_jwt', jwks_uri: `${site.origin}/jwks` },
  'addresses for people': {
    client_uri: 'https://album.example/',
    logo_uri: 'https://album.example/logo.png',
    policy_uri: 'https://album.example/policy',
    tos_uri: 'https://album.example/terms',
    contacts: ['certification@oidf.org']
  },
  'a sector': { sector_identifier_uri: `${site.origin}${sector}` },
  'a login address': { initiate_login_uri: 'https://album.example/login' },
  'a signed request object': { request_object_signing_alg: 'RS256', jwks },
  'an RS256 ID token': { id_token_signed_response_alg: 'RS256' },
  'signed userinfo': { userinfo_signed_response_alg: 'RS256' },
  'an age': { default_max_age: 3600, require_auth_time: true },
  'on loopback with http': { redirect_uris: ['http://localhost:8443/callback'], application_type: 'web' },
  'a back channel': {
    backchannel_logout_uri: `${site.origin}/logout`,
    backchannel_logout_session_required: true
  },
  'the way back from signing out': { post_logout_redirect_uris: ['https://album.example/out'] },
  'a refresh token': { grant_types: ['authorization_code', 'refresh_token'] }
}

t.test(
  'OpenID Connect Dynamic Client Registration 1.0 §2: what the suite registers is taken and told back',
  async t => {
    for (const [what, metadata] of Object.entries(suite)) {
      const sent: Record<string, unknown> = { client_name: `suite: ${what}`, redirect_uris, ...metadata }
      const { status, body, text } = await sendRegistration(conformance, '/register', sent)
      t.equal(status, 201, `${what}: ${text}`)
      const inOrder = (type: string) => type.split(' ').sort().join(' ')
      const expected = {
        ...sent,
        ...(sent.response_types === undefined
          ? {}
          : { response_types: (sent.response_types as string[]).map(inOrder) })
      }
      t.match(body, JSON.parse(JSON.stringify(expected)), what)
      const secret = String(body.token_endpoint_auth_method).startsWith('client_secret_')
      t.equal('client_secret' in body, secret, what)
    }
  }
)

t.test('the suite is not counted', async t => {
  const send = () => sendRegistration(conformance, '/register', webApplication)
  t.strictSame(countStatuses(await atOnce(80, send)), { 201: 80 })
})

t.test('OpenID Connect Core 1.0 §8.1: a sector’s site must list the redirect URIs', async t => {
  for (const path of [
    '/other-sector.json',
    '/long-sector.json',
    '/sector-of-nothing',
    '/no-list.json',
    '/breaks-off'
  ]) {
    const sent = { ...webApplication, sector_identifier_uri: `${site.origin}${path}` }
    const { status, body } = await sendRegistration(conformance, '/register', sent)
    t.equal(status, 400, path)
    t.match(body, { error: 'invalid_client_metadata', error_description: /^sector_identifier_uri must/ })
  }
})
