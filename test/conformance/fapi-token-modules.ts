// Modules of the FAPI 2.0 Security Profile plan: the token endpoint, and who a client is.

import type { Reply } from '../helpers/conformance.ts'
import { readJwt } from '../helpers/conformance.ts'
import {
  callUserinfo,
  codeFields,
  type Deviation,
  type FapiClient,
  push,
  requestTokens,
  type TokenRequest
} from '../helpers/fapi.ts'
import { createKey } from '../helpers/keyed-client.ts'
import { type Authorized, completeFapi, type FapiModule, type FapiRun, grant, isError } from './fapi-flow.ts'

type Attempt = Partial<TokenRequest> & { client?: FapiClient }

/** A code that was granted, presented with something amiss. */
async function present(
  run: FapiRun,
  amiss: (authorized: Authorized) => Attempt | Promise<Attempt>
): Promise<Reply> {
  const authorized = await grant(run, run.one)
  const { client = run.one, ...request } = await amiss(authorized)
  return await requestTokens(run.suite, client, {
    fields: codeFields(authorized.code, authorized.pushed),
    key: createKey('ES256'),
    ...request
  })
}

const invalidClient = { status: [400, 401], errors: ['invalid_client', 'invalid_request'] }
const invalidGrant = { status: 400, errors: ['invalid_grant'] }

/** A token request with an assertion that must not be believed. */
const refusesAssertion = (
  section: string,
  says: string,
  deviation: (run: FapiRun) => Deviation
): FapiModule => ({
  section,
  says,
  run: async run => isError(run.t, await present(run, () => ({ assertion: deviation(run) })), invalidClient)
})

/** The same, at the PAR endpoint. */
const refusesAtPar = (section: string, says: string, deviation: (run: FapiRun) => Deviation): FapiModule => ({
  section,
  says,
  run: async run => {
    const { reply } = await push(run.suite, run.one, { assertion: deviation(run) })
    isError(run.t, reply, invalidClient)
  }
})

const aimedAt = (aud: (issuer: string) => unknown) => (run: FapiRun) => ({
  claims: { aud: aud(run.suite.service.issuer) }
})

const now = () => Math.floor(Date.now() / 1000)

export const fapiTokens = {
  'fapi2-security-profile-final-ensure-client-id-in-token-endpoint': {
    section: 'RFC 6749 §5.2',
    says: "another client's name with one's own key is refused",
    run: async run => {
      const { one, two } = run
      isError(run.t, await present(run, () => ({ client: two, assertion: { key: one.key } })), {
        status: [400, 401],
        errors: ['invalid_client', 'invalid_grant']
      })
    }
  },
  'fapi2-security-profile-final-ensure-holder-of-key-required': {
    section: 'FAPI 2.0 Security Profile §5.3.2.1, RFC 9449 §5',
    says: 'no token without a proof of possession',
    run: async run =>
      isError(run.t, await present(run, () => ({ key: null })), {
        status: 400,
        errors: ['invalid_request', 'invalid_grant', 'invalid_dpop_proof']
      })
  },
  'fapi2-security-profile-final-ensure-authorization-code-is-bound-to-client': {
    section: 'RFC 6749 §4.1.3',
    says: "another client's code is worth nothing",
    run: async run => isError(run.t, await present(run, () => ({ client: run.two })), invalidGrant)
  },
  'fapi2-security-profile-final-attempt-reuse-authorization-code-after-one-second': {
    section: 'FAPI 2.0 Security Profile §5.3.2.2, RFC 6749 §4.1.2',
    says: 'a code is good for one token request',
    run: async run => {
      const { suite, one } = run
      const { code, pushed, key } = await completeFapi(run, one)
      suite.service.advance(1)
      const reply = await requestTokens(suite, one, { fields: codeFields(code, pushed), key })
      isError(run.t, reply, invalidGrant)
    }
  },
  'fapi2-security-profile-final-ensure-token-endpoint-fails-with-expired-auth-code': {
    section: 'FAPI 2.0 Security Profile §5.3.2.1',
    says: 'a code ends after 60 seconds',
    run: async run =>
      isError(
        run.t,
        await present(run, () => {
          run.suite.service.advance(62)
          return {}
        }),
        invalidGrant
      )
  },
  'fapi2-security-profile-final-ensure-signed-client-assertion-with-RS256-fails': {
    section: 'FAPI 2.0 Security Profile §5.4.1',
    says: 'an assertion with the padding of PKCS #1 v1.5 is refused',
    run: async run => {
      run.t.equal(run.one.key.alg, 'PS256', 'the suite skips without RSA keys')
      const key = { ...run.one.key, alg: 'RS256' as never }
      isError(run.t, await present(run, () => ({ assertion: { key } })), {
        status: [400, 401],
        errors: ['invalid_client']
      })
    }
  },
  'fapi2-security-profile-final-ensure-client-assertion-in-token-endpoint': {
    section: 'FAPI 2.0 Security Profile §5.3.2.1',
    says: 'a client that proves nothing is refused',
    run: async run => isError(run.t, await present(run, () => ({ assertion: null })), invalidClient)
  },
  'fapi2-security-profile-final-ensure-client-assertion-with-exp-is-5-minutes-in-past-fails':
    refusesAssertion('RFC 7523 §3', 'an assertion that has ended is refused', () => ({
      claims: { exp: now() - 300 }
    })),
  'fapi2-security-profile-final-ensure-client-assertion-with-wrong-aud-fails': refusesAssertion(
    'RFC 7523 §3',
    'an assertion for another server is refused',
    aimedAt(() => 'https://www.other1.example.com/')
  ),
  'fapi2-security-profile-final-ensure-client-assertion-with-no-sub-fails': refusesAssertion(
    'RFC 7523 §3',
    'an assertion without sub is refused: it could be a request object',
    () => ({ claims: { sub: undefined } })
  ),
  'fapi2-security-profile-final-refresh-token': {
    section: 'FAPI 2.0 Security Profile §5.3.2.1, RFC 6749 §6',
    says: 'a refresh token stays good, with any key of its own client and with none of another',
    run: async run => {
      const { t, suite, one, two } = run
      t.ok((suite.discovery.grant_types_supported as string[]).includes('refresh_token'))
      const first = await completeFapi(run, one)
      const { refresh_token = '' } = first.tokens
      t.match(refresh_token, /^[\x21-\x7e]{43,}$/)
      const fields = { grant_type: 'refresh_token', refresh_token, scope: first.pushed.params.scope }
      const rotated: unknown[] = []
      // The token before is tried again half a minute later, should it have been replaced.
      for (const pause of [1, 30]) {
        suite.service.advance(pause)
        const key = createKey('ES256')
        const { status, body } = await requestTokens(suite, one, { fields, key })
        t.equal(status, 200, body.error_description ?? '')
        t.equal(body.token_type, 'DPoP')
        t.not(body.access_token, first.accessToken)
        const { payload } = readJwt(body.id_token)
        for (const name of ['iss', 'sub', 'aud', 'auth_time'])
          t.strictSame(payload[name], first.claims[name], name)
        t.equal((await callUserinfo(suite, body.access_token ?? '', { key })).status, 200)
        rotated.push(body.refresh_token !== undefined && body.refresh_token !== refresh_token)
      }
      t.strictSame(rotated, [false, false], 'FAPI 2.0 Security Profile §5.3.2.1, note 1')
      isError(t, await requestTokens(suite, one, { fields, key: null }), {
        status: 400,
        errors: ['invalid_client', 'invalid_grant', 'invalid_request', 'invalid_dpop_proof']
      })

      const other = await completeFapi(run, two)
      const theirs = { grant_type: 'refresh_token', refresh_token: other.tokens.refresh_token }
      isError(t, await requestTokens(suite, one, { fields: theirs, key: createKey('ES256') }), invalidGrant)
      t.equal((await callUserinfo(suite, other.accessToken, { key: first.key })).status, 401)
    }
  },
  'fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-8-seconds-in-the-future-is-accepted': {
    section: 'FAPI 2.0 Security Profile §5.3.2.1',
    says: 'a clock that is 8 seconds ahead is borne with',
    run: async run => {
      const at = now() + 8
      await grant(run, run.one, { assertion: { claims: { iat: at, nbf: at } } })
    }
  },
  'fapi2-security-profile-final-par-ensure-jwt-client-assertions-nbf-over-60-seconds-in-the-future-fails':
    refusesAtPar('FAPI 2.0 Security Profile §5.3.2.1', 'a clock that is 62 seconds ahead is not', () => ({
      claims: { iat: now() + 62, exp: now() + 122 }
    })),
  'fapi2-security-profile-final-ensure-pkce-code-verifier-required': {
    section: 'RFC 7636 §4.6',
    says: 'no token without the code verifier',
    run: async run => {
      const reply = await present(run, ({ code, pushed }) => ({
        fields: { ...codeFields(code, pushed), code_verifier: undefined }
      }))
      isError(run.t, reply, invalidGrant)
    }
  },
  'fapi2-security-profile-final-incorrect-pkce-code-verifier-rejected': {
    section: 'RFC 7636 §4.6',
    says: 'no token with another code verifier',
    run: async run => {
      const reply = await present(run, ({ code, pushed }) => ({
        fields: { ...codeFields(code, pushed), code_verifier: `${pushed.verifier.slice(0, -1)}~` }
      }))
      isError(run.t, reply, invalidGrant)
    }
  },
  'fapi2-security-profile-final-par-test-array-as-audience-fails': refusesAtPar(
    'FAPI 2.0 Security Profile §5.3.2.1',
    'an assertion for the issuer and somebody else is refused',
    aimedAt(issuer => [issuer, 'https://other1.example.com/'])
  ),
  'fapi2-security-profile-final-par-test-par-endpoint-url-as-audience-fails': refusesAtPar(
    'FAPI 2.0 Security Profile §5.3.2.1',
    'an assertion for the PAR endpoint is refused',
    aimedAt(issuer => `${issuer}/par`)
  ),
  'fapi2-security-profile-final-par-test-token-endpoint-url-as-audience-fails': refusesAtPar(
    'FAPI 2.0 Security Profile §5.3.2.1',
    'an assertion for the token endpoint is refused',
    aimedAt(issuer => `${issuer}/token`)
  )
} satisfies Record<string, FapiModule>
