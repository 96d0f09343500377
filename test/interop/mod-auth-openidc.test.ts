// Apache with mod_auth_openidc in front of pages and of an API: it signs people in, refreshes their tokens, signs them
// out, and believes access tokens of ours, with nothing but its own directives.
import { createPublicKey, type JsonWebKey } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { apacheIsThere, startApache } from '../helpers/apache.ts'
import { agree } from '../helpers/application.ts'
import { haveInstalled } from '../helpers/debian.ts'
import { freePorts } from '../helpers/process.ts'
import { type Body, countStatuses, post, readJwt } from '../helpers/protocol.ts'
import { type Service, signUp, startService, Visitor } from '../helpers/service.ts'
import type { Answer } from '../helpers/visitor.ts'
import { waitFor } from '../helpers/wait.ts'

const installed = await haveInstalled('Apache with mod_auth_openidc', apacheIsThere)

/** Every server of this test: redirects from one to another are followed. */
const within = 'http://localhost:'

/** The published RSA keys as files, named `kid#path`. An address to fetch them from would have to be https. */
async function writeSigningKeys({ issuer, dataDir }: Service): Promise<string> {
  const { keys } = (await (await fetch(`${issuer}/jwks`)).json()) as {
    keys: (JsonWebKey & { kid: string })[]
  }
  return keys
    .filter(({ alg }) => alg === 'RS256')
    .map(key => {
      const path = join(dataDir, `${key.kid}.pem`)
      writeFileSync(path, createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'pem' }))
      return `${key.kid}#${path}`
    })
    .join(' ')
}

const register = async (service: Service, site: string, metadata: Record<string, unknown>) =>
  await service.register({
    client_name: 'Members',
    redirect_uris: [`${site}/members/callback`],
    post_logout_redirect_uris: [`${site}/goodbye.html`],
    backchannel_logout_uri: `${site}/members/callback?logout=backchannel`,
    backchannel_logout_session_required: true,
    grant_types: ['authorization_code', 'refresh_token'],
    ...metadata
  })

/** A client with a secret, whose API introspects. */
async function directivesOfFirst(service: Service, site: string): Promise<string> {
  const client = await register(service, site, { introspection: true, resources: ['urn:demo:api'] })
  return `
  OIDCClientID ${client.client_id}
  OIDCClientSecret ${client.client_secret}
  OIDCOAuthServerMetadataURL ${service.issuer}/.well-known/oauth-authorization-server
  OIDCOAuthClientID ${client.client_id}
  OIDCOAuthClientSecret ${client.client_secret}
  OIDCOAuthTokenIntrospectionInterval 0`
}

/** A client that proves its secret, asks by POST and is answered by POST, and whose API verifies tokens itself. */
async function directivesOfSecond(service: Service, site: string): Promise<string> {
  const client = await register(service, site, { token_endpoint_auth_method: 'client_secret_jwt' })
  return `
  OIDCClientID ${client.client_id}
  OIDCClientSecret ${client.client_secret}
  OIDCProviderTokenEndpointAuth client_secret_jwt
  OIDCProviderAuthRequestMethod POST
  OIDCResponseMode form_post
  OIDCOAuthVerifyCertFiles ${await writeSigningKeys(service)}`
}

async function startSites(t: Test, service: Service) {
  const port = await freePorts()
  const sites = [port, port + 1].map(port => ({ port, url: `http://localhost:${port}` }))
  const [first, second] = sites.map(({ url }) => url) as [string, string]
  const directives = [await directivesOfFirst(service, first), await directivesOfSecond(service, second)]
  const hosts = sites.map(
    ({ port, url }, index) => `
Listen 127.0.0.1:${port}
<VirtualHost *:${port}>
  OIDCProviderMetadataURL ${service.issuer}/.well-known/openid-configuration
  OIDCRedirectURI ${url}/members/callback
  OIDCCryptoPassphrase "any words will do"
  # Cookies are not told apart by port.
  OIDCCookie members-${index}
  OIDCStateMaxNumberOfCookies 20 true
  OIDCScope "openid profile email offline_access"
  OIDCAuthRequestParams prompt=consent
  OIDCPKCEMethod S256
  OIDCRemoteUserClaim email
  # Longer than they live: they are refreshed at every request.
  OIDCRefreshAccessTokenBeforeExpiry 7200
  OIDCInfoHook access_token id_token refresh_token userinfo
  # Else whoever does not say that they navigate, as fetch does not, is answered 401.
  OIDCUnAuthAction auth true
  <Location /members>
    AuthType openid-connect
    Require valid-user
  </Location>
  <Location /api>
    AuthType oauth20
    Require claim "scope:api:read api:write"
  </Location>
  ${directives[index]}
</VirtualHost>`
  )
  const apache = await startApache(t, {
    pages: {
      'members/index.html':
        '<h1><!--#echo var="OIDC_CLAIM_name" --></h1><p><!--#echo var="REMOTE_USER" --></p>',
      'goodbye.html': '<h1>Goodbye</h1>',
      'api/index.html': '<!--#echo var="OIDC_CLAIM_client_id" --> <!--#echo var="OIDC_CLAIM_scope" -->'
    },
    directives: hosts.join('\n')
  })
  return { first, second, errors: apache.errors }
}

type Info = { access_token: string; refresh_token: string; id_token: Record<string, unknown>; userinfo: Body }

t.test('Apache with mod_auth_openidc', { skip: !installed && 'it is not installed' }, async t => {
  const service = await startService(t, { environment: { OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8,::1' } })
  const { first, second, errors } = await startSites(t, service)
  const ada = new Visitor()
  const open = async (site = first): Promise<Answer> => await ada.visit(`${site}/members/`, { within })
  const info = async (site = first): Promise<Info> =>
    JSON.parse((await ada.visit(`${site}/members/callback?info=json`)).text)

  await t.test('OpenID Connect Core 1.0 §3.1: somebody signs up on the way to a page', async t => {
    const asked = await ada.request(`${first}/members/`)
    const request = new URL(asked.location ?? '').searchParams
    t.equal(request.get('code_challenge_method'), 'S256')
    t.ok(request.get('nonce'))
    const page = await signUp(service, ada, { page: await open(), email: 'ada@example.org' })
    const members = await ada.follow(await agree(ada, page), within)
    t.equal(members.url, `${first}/members/`)
    t.equal(members.text, '<h1>Ada Lovelace</h1><p>ada@example.org</p>')

    const { id_token, userinfo } = await info()
    t.match(id_token, { iss: service.issuer, sub: userinfo.sub })
    t.match(userinfo, { name: 'Ada Lovelace', email: 'ada@example.org', email_verified: true })
  })

  await t.test('RFC 6749 §6: every request refreshes, one after the other', async t => {
    const seen: string[] = []
    for (let request = 0; request < 3; request++) {
      t.equal((await open()).status, 200)
      seen.push((await info()).refresh_token)
    }
    t.equal(new Set(seen).size, 3, 'each got a new refresh token')
  })

  await t.test('OID-7: a page whose twelve parts are asked for at once costs nobody the session', async t => {
    const before = await info()
    const answers = await Promise.all(Array.from({ length: 12 }, () => open()))
    t.strictSame(countStatuses(answers), { 200: 12 })
    t.strictSame(
      answers.map(({ url }) => url),
      Array(12).fill(`${first}/members/`)
    )
    t.not((await info()).refresh_token, before.refresh_token)
    t.equal((await open()).url, `${first}/members/`, 'and it goes on')
  })

  await t.test('OAuth 2.0 Form Post Response Mode: asked by POST, answered by POST', async t => {
    const asked = await open(second)
    const back = await agree(ada, await ada.follow(await ada.post(asked), within))
    const members = await ada.follow(await ada.post(back), within)
    t.equal(members.url, `${second}/members/`)
    t.equal(members.text, '<h1>Ada Lovelace</h1><p>ada@example.org</p>')
    t.equal((await open(second)).status, 200, 'and its tokens are refreshed by an assertion')
  })

  await t.test(
    'RP-Initiated Logout 1.0 §2, Back-Channel Logout 1.0 §2.5: out of one site is out of all',
    async t => {
      t.equal((await open(first)).url, `${first}/members/`)
      const goodbye = encodeURIComponent(`${second}/goodbye.html`)
      const question = await ada.visit(`${second}/members/callback?logout=${goodbye}`, { within })
      const there = await ada.follow(await ada.submit(question, 'sign-out-form', { logout: 'yes' }), within)
      t.match(there.text, '<h1>Goodbye</h1>')
      t.equal((await ada.request(`${second}/members/`)).text.includes('Ada'), false)
      await waitFor(async () => (await ada.request(`${first}/members/`)).status === 302)
      t.match((await open(first)).text, 'id="sign-in-form"', 'and of Gatehouse')
    }
  )

  const client = await service.register({
    client_name: 'Caller',
    grant_types: ['client_credentials'],
    resources: ['urn:demo:api'],
    access_token_signing_alg: 'RS256'
  })
  const tokenFor = async (scope: string): Promise<string> => {
    const fields = { grant_type: 'client_credentials', resource: 'urn:demo:api', scope }
    return (await post(service, '/token', fields, { client })).body.access_token ?? ''
  }
  const call = async (at: string, token?: string): Promise<Answer> =>
    await new Visitor().request(`${at}/api/`, {
      headers: token === undefined ? {} : { authorization: `Bearer ${token}` }
    })

  for (const [how, at] of Object.entries({
    'RFC 7662 §2: introspects': first,
    'RFC 9068 §4: verifies': second
  }))
    await t.test(`${how} access tokens for an API`, async t => {
      const token = await tokenFor('api:read api:write')
      t.equal(readJwt(token).header.typ, 'at+jwt')
      t.match(await call(at, token), { status: 200, text: `${client.client_id} api:read api:write` })
      t.equal((await call(at, await tokenFor('api:read'))).status, 401, 'a narrower scope')
      t.equal((await call(at)).status, 401, 'no token')
      const [header = '', payload = '', signature = ''] = token.split('.')
      const off = `${header}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`
      t.equal((await call(at, off)).status, 401, 'one character off')
      await post(service, '/revoke', { token }, { client })
      const after = (await call(at, token)).status
      t.equal(after, at === first ? 401 : 200, 'taken back, whoever asks here knows it (RFC 7009 §2)')
    })

  t.notMatch(errors(), /exit signal|:(crit|alert|emerg)\]/, 'Apache is well')
})
