// Modules of the OpenID Connect plans: what comes of a request that is answered, and of one that must not be.
import { get, post, readJwt, responseOf, suiteUrl } from '../helpers/conformance.ts'
import { begin, complete, finish } from './flow.ts'
import type { Module, Run } from './plan.ts'

const isErrorPage = (text: string): boolean =>
  text.includes('<h1>The application sent something that we cannot accept</h1>')

/** The claims that userinfo must have, asked in one way of several. */
async function askUserinfo(
  { t, suite, variant, register }: Run,
  ask: (accessToken: string) => ReturnType<typeof post>
): Promise<void> {
  const { accessToken, claims } = await complete(t, suite, { client: await register(), variant })
  const { status, headers, body } = await ask(accessToken ?? '')
  t.equal(status, 200)
  t.match(headers.get('content-type'), /^application\/json/)
  t.equal(body.sub, claims.sub)
}

export const answers = {
  'oidcc-server': {
    section: 'OpenID Connect Core 1.0 §3',
    says: 'a whole flow, without anything in the ID token that was not asked for',
    run: async ({ t, suite, variant, register }) => {
      const { claims } = await complete(t, suite, { client: await register(), variant })
      t.notOk('name' in claims, 'OpenID Connect Core 1.0 §5.4')
    }
  },
  'oidcc-response-type-missing': {
    section: 'RFC 6749 §3.1.1',
    says: 'a request without response_type is refused, on a page or at the client',
    run: async ({ t, suite, variant, register }) => {
      const request = { client: await register(), variant, params: { response_type: undefined } }
      const { page, url } = await begin(suite, request)
      // Nothing tells how the client expects its answer, so it comes in the query unless a form was asked for.
      const response = responseOf(page, { ...variant, responseType: 'code' })
      t.equal(response.get('error'), 'invalid_request')
      t.equal(response.get('state'), url.searchParams.get('state'))
    }
  },
  'oidcc-idtoken-signature': {
    section: 'OpenID Connect Core 1.0 §3.1.3.7, §10.1',
    says: 'the ID token of a client that names no algorithm is signed with RS256, and names its key',
    run: async ({ t, suite, variant, register }) => {
      const { idToken } = await complete(t, suite, { client: await register(), variant })
      const { header } = readJwt(idToken)
      t.equal(header.alg, 'RS256')
      t.match(header.kid, /.+/)
    }
  },
  'oidcc-idtoken-unsigned': {
    section: 'OpenID Connect Core 1.0 §2',
    says: 'ID tokens without a signature are not offered, so the module is skipped',
    run: async ({ t, suite }) => {
      const algorithms = suite.discovery.id_token_signing_alg_values_supported as string[]
      t.ok(algorithms.includes('RS256'))
      t.notOk(algorithms.includes('none'))
    }
  },
  'oidcc-userinfo-get': {
    section: 'OpenID Connect Core 1.0 §5.3.1, RFC 6750 §2.1',
    says: 'userinfo answers a GET with the token in the header',
    run: async run =>
      await askUserinfo(run, token =>
        get(run.suite.service, '/userinfo', { authorization: `Bearer ${token}` })
      )
  },
  'oidcc-userinfo-post-header': {
    section: 'OpenID Connect Core 1.0 §5.3.1, RFC 6750 §2.1',
    says: 'userinfo answers a POST with the token in the header',
    run: async run =>
      await askUserinfo(run, token =>
        post(run.suite.service, '/userinfo', {}, { headers: { authorization: `Bearer ${token}` } })
      )
  },
  'oidcc-userinfo-post-body': {
    section: 'OpenID Connect Core 1.0 §5.3.1, RFC 6750 §2.2',
    says: 'userinfo answers a POST with the token in the body',
    run: async run =>
      await askUserinfo(run, token => post(run.suite.service, '/userinfo', { access_token: token }))
  },
  'oidcc-ensure-request-without-nonce-succeeds-for-code-flow': {
    section: 'OpenID Connect Core 1.0 §3.1.2.1',
    says: 'a nonce is optional where no ID token comes from the authorization endpoint',
    run: async ({ t, suite, variant, register }) => {
      const request = { client: await register(), variant, params: { nonce: undefined } }
      const { claims } = await complete(t, suite, request)
      t.notOk('nonce' in claims)
    }
  },
  'oidcc-ensure-request-without-nonce-fails': {
    section: 'OpenID Connect Core 1.0 §3.2.2.1, §3.3.2.11',
    says: 'an ID token from the authorization endpoint needs a nonce',
    run: async ({ t, suite, variant, register }) => {
      const request = { client: await register(), variant, params: { nonce: undefined } }
      const { page, url } = await begin(suite, request)
      const response = responseOf(page, variant)
      t.equal(response.get('error'), 'invalid_request')
      t.equal(response.get('state'), url.searchParams.get('state'))
      t.equal(response.get('iss'), suite.service.issuer)
      for (const name of ['code', 'id_token', 'access_token']) t.notOk(response.has(name), name)
    }
  },
  'oidcc-ensure-request-with-unknown-parameter-succeeds': {
    section: 'OpenID Connect Core 1.0 §3.1.2.1',
    says: 'a parameter that nobody knows is ignored',
    run: async ({ t, suite, variant, register }) => {
      await complete(t, suite, { client: await register(), variant, params: { extra: 'foobar' } })
    }
  },
  'oidcc-ensure-request-with-valid-pkce-succeeds': {
    section: 'RFC 7636 §4',
    says: 'a client that sends a code challenge is answered, and its verifier is checked',
    run: async ({ t, suite, variant, register }) => {
      const client = await register()
      const params = {
        code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
        code_challenge_method: 'S256'
      }
      const redeem = { code_verifier: 'dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk' }
      await complete(t, suite, { client, variant, params, redeem })
    }
  },
  'oidcc-ensure-post-request-succeeds': {
    section: 'OpenID Connect Core 1.0 §3.1.2.1',
    says: 'the authorization request may come as POST',
    run: async ({ t, suite, variant, register }) => {
      const begun = await begin(suite, { client: await register(), variant })
      const { origin, pathname, searchParams } = begun.url
      const posted = await begun.visitor.request(`${origin}${pathname}`, {
        method: 'POST',
        body: searchParams,
        headers: { origin: suiteUrl }
      })
      await finish(t, { ...begun, page: await begun.visitor.follow(posted) })
    }
  },
  'oidcc-server-client-secret-post': {
    section: 'OpenID Connect Core 1.0 §9',
    says: 'a client that registered for it sends its secret in the body',
    run: async ({ t, suite, variant, register }) => {
      const methods = suite.discovery.token_endpoint_auth_methods_supported as string[]
      t.ok(methods.includes('client_secret_post') && methods.includes('client_secret_basic'))
      const client = await register({ token_endpoint_auth_method: 'client_secret_post' })
      await complete(t, suite, { client, variant })
    }
  },
  'oidcc-ensure-registered-redirect-uri': {
    section: 'OpenID Connect Core 1.0 §3.1.2.1',
    says: 'a redirect URI that is not registered is answered with a page, and nobody is sent there',
    run: async ({ t, suite, variant, register }) => {
      const params = { redirect_uri: `${suiteUrl}/${'x'.repeat(10)}` }
      const { page } = await begin(suite, { client: await register(), variant, params })
      t.equal(page.status, 400)
      t.equal(page.location, null)
      t.ok(isErrorPage(page.text))
      t.match(page.text, 'redirect_uri did not match')
    }
  }
} satisfies Record<string, Module>
