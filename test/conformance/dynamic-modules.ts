// Modules of the Dynamic plan: what an application that registered itself is given, and what it may not register.
import { createLocalJWKSet, jwtVerify } from 'jose'
import { rotateSigningKey } from '../../src/keys/service.ts'
import {
  askForTokens,
  callbackUrl,
  isSignInPage,
  metadataFor,
  readJwt,
  sendRegistration,
  suiteUrl
} from '../helpers/conformance.ts'
import { startSite } from '../helpers/https-site.ts'
import { createKey, jwksOf } from '../helpers/keyed-client.ts'
import { waitFor } from '../helpers/wait.ts'
import { begin, complete } from './flow.ts'
import type { Module, Run } from './plan.ts'

const registration = 'OpenID Connect Dynamic Client Registration 1.0'

/** A request whose redirect_uri is not the registered one is answered with a page. */
async function refusesRedirectUri(
  { t, suite, variant, register }: Run,
  { registered, sent, phrase }: { registered: string; sent: string | undefined; phrase: string }
): Promise<void> {
  const client = await register({ redirect_uris: [registered] })
  const { page } = await begin(suite, { client, variant, params: { redirect_uri: sent } })
  t.equal(page.status, 400)
  t.equal(page.location, null)
  t.match(page.text, '<h1>The application sent something that we cannot accept</h1>')
  t.match(page.text, phrase)
}

/** What a client registered of itself is seen where people sign in. */
const isSeen = (member: string, uri: string, seen: string): Module => ({
  section: `${registration} §2`,
  says: `${member} is seen on the sign-in page`,
  run: async ({ t, suite, variant, register }) => {
    const { page } = await begin(suite, { client: await register({ [member]: uri }), variant })
    t.ok(isSignInPage(page))
    t.match(page.text, seen)
    if (member === 'logo_uri')
      t.match(page.headers.get('content-security-policy'), `img-src 'self' data: ${new URL(uri).origin};`)
  }
})

/** A registration that must be refused; why it is. */
async function refusesRegistration(
  { t, suite, variant }: Run,
  over: Record<string, unknown>,
  errors: string[]
): Promise<string> {
  const { status, headers, body } = await sendRegistration(suite, { ...metadataFor(variant), ...over })
  t.equal(status, 400)
  t.match(headers.get('content-type'), /^application\/json/)
  t.ok(errors.includes(body.error ?? ''), body.error ?? '')
  return body.error_description ?? ''
}

/** A list of redirect URIs at another site, and the members that name it. */
async function sectorOf({ t }: Run, redirectUris: string[]) {
  const { origin, pages } = await startSite(t)
  pages.set('/redirect_uris.json', { body: redirectUris })
  return { subject_type: 'pairwise', sector_identifier_uri: `${origin}/redirect_uris.json` }
}

/** A client whose keys are at an address of its own. */
async function clientWithJwksUri({ t, register }: Run, over: Record<string, unknown> = {}) {
  const { origin, pages } = await startSite(t)
  const publish = (kid: string) => {
    const key = createKey('RS256', kid)
    pages.set('/jwks', { headers: { 'cache-control': 'no-store' }, body: jwksOf(key) })
    return key
  }
  const key = publish('first')
  const client = await register({ jwks: undefined, jwks_uri: `${origin}/jwks`, key, ...over })
  return { client, publish }
}

export const dynamics = {
  'oidcc-idtoken-rs256': {
    section: 'OpenID Connect Core 1.0 §3.1.3.7, §15.1',
    says: 'a client that asks for RS256 gets it',
    run: async ({ t, suite, variant, register }) => {
      const client = await register({ id_token_signed_response_alg: 'RS256' })
      const { header } = readJwt((await complete(t, suite, { client, variant })).idToken)
      t.equal(header.alg, 'RS256')
      t.match(header.kid, /.+/)
    }
  },
  'oidcc-userinfo-rs256': {
    section: 'OpenID Connect Core 1.0 §5.3.2',
    says: 'a client that asks for signed userinfo gets a JWT',
    run: async ({ t, suite, variant, register }) => {
      const algorithms = suite.discovery.userinfo_signing_alg_values_supported as string[]
      t.ok(algorithms.includes('RS256'))
      const client = await register({ userinfo_signed_response_alg: 'RS256' })
      const { accessToken, claims } = await complete(t, suite, { client, variant })
      const headers = { authorization: `Bearer ${accessToken}` }
      const answer = await fetch(String(suite.discovery.userinfo_endpoint), { headers })
      t.match(answer.headers.get('content-type'), /^application\/jwt/)
      const { payload, protectedHeader } = await jwtVerify(
        await answer.text(),
        createLocalJWKSet(suite.keys),
        { issuer: suite.service.issuer, audience: client.client_id }
      )
      t.equal(protectedHeader.alg, 'RS256')
      t.equal(payload.sub, claims.sub)
      t.notOk('nonce' in payload)
    }
  },
  'oidcc-ensure-redirect-uri-in-authorization-request': {
    section: 'OpenID Connect Core 1.0 §3.1.2.1',
    says: 'redirect_uri must be sent, though one alone is registered',
    run: async run =>
      await refusesRedirectUri(run, { registered: callbackUrl, sent: undefined, phrase: 'redirect_uri' })
  },
  'oidcc-redirect-uri-query-OK': {
    section: 'RFC 6749 §3.1.2',
    says: 'a query of the registered redirect URI is kept',
    run: async ({ t, suite, variant, register }) => {
      const redirect_uri = `${callbackUrl}?foo=bar`
      const client = await register({ redirect_uris: [redirect_uri] })
      const { response } = await complete(t, suite, { client, variant, params: { redirect_uri } })
      t.equal(response.get('foo'), 'bar')
    }
  },
  'oidcc-redirect-uri-query-mismatch': {
    section: 'OpenID Connect Core 1.0 §3.1.2.1',
    says: 'another query makes another redirect URI',
    run: async run =>
      await refusesRedirectUri(run, {
        registered: `${callbackUrl}?foo=bar`,
        sent: `${callbackUrl}?bar=foo`,
        phrase: 'redirect_uri did not match'
      })
  },
  'oidcc-redirect-uri-query-added': {
    section: 'OpenID Connect Core 1.0 §3.1.2.1',
    says: 'a query where none is registered makes another redirect URI',
    run: async run =>
      await refusesRedirectUri(run, {
        registered: callbackUrl,
        sent: `${callbackUrl}?foo=bar`,
        phrase: 'redirect_uri did not match'
      })
  },
  'oidcc-redirect-uri-regfrag': {
    section: 'RFC 6749 §3.1.2',
    says: 'a redirect URI with a fragment cannot be registered',
    run: async run => {
      const over = { redirect_uris: [`${callbackUrl}#foobar`] }
      await refusesRegistration(run, over, ['invalid_request', 'invalid_redirect_uri'])
    }
  },
  'oidcc-registration-logo-uri': isSeen('logo_uri', `${suiteUrl}/logo.png`, `src="${suiteUrl}/logo.png"`),
  'oidcc-registration-policy-uri': isSeen(
    'policy_uri',
    `${suiteUrl}/policy.html`,
    `id="policy" href="${suiteUrl}/policy.html"`
  ),
  'oidcc-registration-tos-uri': isSeen(
    'tos_uri',
    `${suiteUrl}/tos.html`,
    `id="terms" href="${suiteUrl}/tos.html"`
  ),
  'oidcc-registration-jwks-uri': {
    section: `${registration} §2`,
    says: 'the keys of a client are fetched from where it says',
    run: async run => {
      const { client } = await clientWithJwksUri(run)
      await complete(run.t, run.suite, { client, variant: run.variant })
    }
  },
  'oidcc-registration-sector-uri': {
    section: `${registration} §5`,
    says: 'a sector that lists the redirect URIs is believed',
    run: async run => {
      const types = run.suite.discovery.subject_types_supported as string[]
      run.t.ok(types.includes('pairwise'))
      await run.register(await sectorOf(run, [callbackUrl]))
    }
  },
  'oidcc-registration-sector-bad': {
    section: `${registration} §3.3, §5`,
    says: 'a sector that does not list the redirect URIs is refused',
    run: async run => {
      const over = await sectorOf(run, ['https://example.com/op'])
      const why = await refusesRegistration(run, over, ['invalid_client_metadata'])
      run.t.match(why, 'sector_identifier_uri must list all of redirect_uris')
    }
  },
  'oidcc-server-rotate-keys': {
    section: 'OpenID Connect Core 1.0 §10.1.1',
    says: 'a new signing key is published beside the old ones',
    run: async ({ t, suite }) => {
      const kids = async () => {
        const { keys } = (await (await fetch(String(suite.discovery.jwks_uri))).json()) as {
          keys: { kid: string; use: string }[]
        }
        return keys.filter(({ use }) => use === 'sig').map(({ kid }) => kid)
      }
      const before = await kids()
      const { kid } = await rotateSigningKey(suite.service.app.ctx, 'RS256')
      t.notOk(before.includes(kid))
      await waitFor(async () => (await kids()).includes(kid))
      const after = await kids()
      for (const old of before) t.ok(after.includes(old))
    }
  },
  'oidcc-refresh-token-rp-key-rotation': {
    section: 'OpenID Connect Core 1.0 §10.1.1, §12',
    says: 'a client that signs with a new key of its jwks_uri is known by it',
    run: async run => {
      const { t, suite, variant } = run
      const { client, publish } = await clientWithJwksUri(run, {
        grant_types: ['authorization_code', 'refresh_token']
      })
      const params = { scope: 'openid offline_access', prompt: 'consent' }
      const { tokens, claims } = await complete(t, suite, { client, variant, params })
      const key = publish('second')
      suite.service.advance(60)
      const { refresh_token } = tokens
      const use = { grant_type: 'refresh_token', refresh_token }
      const { status, body } = await askForTokens(suite, { ...client, key }, use)
      t.equal(status, 200, body.error_description ?? '')
      t.equal(readJwt(body.id_token).payload.sub, claims.sub)
    }
  },
  'oidcc-ensure-client-assertion-with-iss-aud-succeeds': {
    section: 'OpenID Connect Core 1.0 §9',
    says: 'an assertion for the issuer is as good as one for the token endpoint',
    run: async ({ t, suite, variant, register }) => {
      const redeem = { aud: suite.service.issuer }
      await complete(t, suite, { client: await register(), variant, redeem })
    }
  }
} satisfies Record<string, Module>
