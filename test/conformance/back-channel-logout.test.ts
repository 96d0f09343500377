// The plan oidcc-backchannel-rp-initiated-logout-certification-test-plan (OpenID Connect Back-Channel Logout 1.0).
import { createLocalJWKSet, jwtVerify } from 'jose'
import t from 'tap'
import { registerFor, responseOf, startSuite, suiteUrl } from '../helpers/conformance.ts'
import { startSite } from '../helpers/https-site.ts'
import { waitFor } from '../helpers/wait.ts'
import { begin, complete } from './flow.ts'

const variant = { responseType: 'code' }
const post_logout_redirect_uri = `${suiteUrl}/post_logout_redirect`

t.test('Back-Channel OP', async t => {
  const suite = await startSuite(t)
  const { service, discovery, keys } = suite

  await t.test(
    'oidcc-backchannel-logout-discovery-endpoint-verification (Back-Channel Logout 1.0 §2.1): it is announced, with session identifiers',
    async t => {
      t.equal(discovery.backchannel_logout_supported, true)
      t.equal(discovery.backchannel_logout_session_supported, true)
      t.ok(String(discovery.end_session_endpoint).startsWith(`${service.issuer}/`))
    }
  )

  await t.test(
    'oidcc-backchannel-rp-initiated-logout (Back-Channel Logout 1.0 §2.4, §2.5): the client is told of the sign-out that it began, in a logout token',
    async t => {
      const { origin, pages, posted } = await startSite(t)
      pages.set('/backchannel_logout', {})
      const client = await registerFor(suite, variant, {
        post_logout_redirect_uris: [post_logout_redirect_uri],
        backchannel_logout_uri: `${origin}/backchannel_logout`,
        backchannel_logout_session_required: true
      })
      const { visitor, idToken, claims } = await complete(t, suite, { client, variant })
      t.type(claims.sid, 'string')
      const url = new URL(String(discovery.end_session_endpoint))
      const params = { id_token_hint: idToken, post_logout_redirect_uri, state: 'state-1' }
      for (const [name, value] of Object.entries(params)) url.searchParams.set(name, value)
      const done = await visitor.submit(await visitor.visit(url.href), 'sign-out-form', { logout: 'yes' })
      t.equal(done.location, `${post_logout_redirect_uri}?state=state-1`)

      await waitFor(() => posted.length > 0)
      const [{ path = '', type = '', body = '' } = {}] = posted
      t.equal(posted.length, 1)
      t.equal(path, '/backchannel_logout')
      t.match(type, /^application\/x-www-form-urlencoded/)
      const form = new URLSearchParams(body)
      t.strictSame([...form.keys()], ['logout_token'])
      const { payload, protectedHeader } = await jwtVerify(
        form.get('logout_token') ?? '',
        createLocalJWKSet(keys),
        { issuer: service.issuer, audience: client.client_id, requiredClaims: ['iat', 'jti', 'exp'] }
      )
      t.equal(protectedHeader.alg, 'RS256')
      t.equal(payload.sub, claims.sub)
      t.equal(payload.sid, claims.sid)
      t.strictSame(payload.events, { 'http://schemas.openid.net/event/backchannel-logout': {} })
      t.notOk('nonce' in payload)

      const { page } = await begin(suite, { client, variant, visitor, params: { prompt: 'none' } })
      t.equal(responseOf(page, variant).get('error'), 'login_required')
    }
  )
})
