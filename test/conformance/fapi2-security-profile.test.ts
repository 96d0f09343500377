// The plan fapi2-security-profile-final-test-plan: private_key_jwt, DPoP, plain FAPI, OpenID Connect, unsigned requests.
import t from 'tap'
import { get, startSuite } from '../helpers/conformance.ts'
import { callUserinfo, redirectUris, registerFapiClient } from '../helpers/fapi.ts'
import { createKey } from '../helpers/keyed-client.ts'
import { fapiProofs } from './fapi-dpop-modules.ts'
import { completeFapi, type FapiModule, type FapiRun } from './fapi-flow.ts'
import { fapiRequests } from './fapi-request-modules.ts'
import { fapiTokens } from './fapi-token-modules.ts'

const fapiAlgs = ['PS256', 'ES256', 'EdDSA']

/** What the plan begins with. */
const first = {
  'fapi2-security-profile-final-discovery-end-point-verification': {
    section: 'FAPI 2.0 Security Profile §5.3.2, RFC 8414 §3',
    says: 'both discovery documents offer what the profile asks for',
    run: async ({ t, suite }) => {
      for (const path of ['openid-configuration', 'oauth-authorization-server']) {
        const { status, headers, body } = await get(suite.service, `/.well-known/${path}`)
        t.equal(status, 200)
        t.match(headers.get('content-type'), /^application\/json/)
        t.equal(body.issuer, suite.service.issuer)
        const has = (name: string, values: string[]) =>
          t.ok(
            (body[name] as string[]).some(value => values.includes(value)),
            name
          )
        has('response_types_supported', ['code'])
        has('dpop_signing_alg_values_supported', fapiAlgs)
        has('id_token_signing_alg_values_supported', fapiAlgs)
        has('userinfo_signing_alg_values_supported', fapiAlgs)
        has('token_endpoint_auth_signing_alg_values_supported', fapiAlgs)
        has('token_endpoint_auth_methods_supported', ['private_key_jwt'])
        has('code_challenge_methods_supported', ['S256'])
        has('scopes_supported', ['openid'])
        t.equal(body.authorization_response_iss_parameter_supported, true, 'RFC 9207 §3')
        t.equal(body.pushed_authorization_request_endpoint, `${suite.service.issuer}/par`, 'RFC 9126 §5')
        t.ok(['boolean', 'undefined'].includes(typeof body.require_pushed_authorization_requests))
      }
    }
  },
  'fapi2-security-profile-final-happy-flow': {
    section: 'FAPI 2.0 Security Profile §5.3.2',
    says: 'two clients get tokens that are bound to their keys, one at a redirect URI with a query of its own',
    run: async run => {
      const { t, suite, one, two } = run
      const own = await completeFapi(run, one)
      const known = ['iss', 'sub', 'aud', 'exp', 'iat', 'auth_time', 'nonce', 'acr', 'amr', 'azp', 'at_hash']
      t.strictSame(
        Object.keys(own.claims).filter(name => !known.includes(name)),
        [],
        'nothing in the ID token that was not asked for'
      )
      const { service } = suite
      const inQuery = await get(service, `/userinfo?access_token=${own.accessToken}`)
      t.ok([400, 401].includes(inQuery.status), '§5.3.4')
      for (const accept of ['application/json;charset=UTF-8', 'application/json, application/*+json, */*']) {
        const headers = { accept, 'accept-charset': 'utf-8' }
        t.equal((await callUserinfo(suite, own.accessToken, { key: own.key, headers })).status, 200, accept)
      }
      const state = 's'.repeat(128)
      const nonce = 'n'.repeat(43)
      const redirect_uri = String(redirectUris[1])
      const theirs = await completeFapi(run, two, {
        params: { state, nonce, redirect_uri },
        tokenKey: createKey('ES256')
      })
      t.equal(theirs.response.get('dummy1'), 'lorem', 'RFC 6749 §3.1.2')
      t.equal(theirs.response.get('dummy2'), 'ipsum')
      const withOwnKey = await callUserinfo(suite, theirs.accessToken, { key: own.key })
      t.equal(withOwnKey.status, 401)
    }
  },
  'fapi2-security-profile-final-test-claims-parameter-identity-claims': {
    section: 'OpenID Connect Core 1.0 §5.5',
    says: 'every claim of claims_supported is given where it is asked for, and an unknown one is ignored',
    run: async run => {
      const { t, suite, one } = run
      const known = (suite.discovery.claims_supported as string[]).filter(
        name => !['sub', 'sid', 'iss', 'acr', 'amr', 'auth_time'].includes(name)
      )
      const asked = Object.fromEntries(known.map((name, index) => [name, index % 2 === 0 ? null : {}]))
      const claims = JSON.stringify({
        id_token: { ...asked, unknown_claim: null },
        userinfo: { ...asked, unknown_claim: { essential: false } }
      })
      const { accessToken, key, claims: inIdToken } = await completeFapi(run, one, { params: { claims } })
      const { body: info } = await callUserinfo(suite, accessToken, { key })
      for (const learned of [inIdToken, info]) {
        t.strictSame(
          known.filter(name => learned[name] === undefined),
          []
        )
        t.notOk('unknown_claim' in learned)
      }
    }
  }
} satisfies Record<string, FapiModule>

t.test('FAPI 2.0 Security Profile OP, private_key_jwt and DPoP', async t => {
  const suite = await startSuite(t)
  const clients = {
    one: await registerFapiClient(suite, 'PS256'),
    two: await registerFapiClient(suite, 'ES256')
  }
  const modules: Record<string, FapiModule> = { ...first, ...fapiRequests, ...fapiProofs, ...fapiTokens }
  for (const [name, { section, says, run }] of Object.entries(modules))
    await t.test(`${name} (${section}): ${says}`, async t => {
      await run({ t, suite, ...clients } satisfies FapiRun)
    })
})
