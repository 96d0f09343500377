// Modules of the FAPI 2.0 Security Profile plan: proofs of possession (RFC 9449), with userinfo as the protected resource.

import { calculateJwkThumbprint } from 'jose'
import type { Test } from 'tap'
import { get, type Reply } from '../helpers/conformance.ts'
import { callUserinfo, codeFields, type Deviation, proofOf, push, requestTokens } from '../helpers/fapi.ts'
import { createKey, type Key, seconds } from '../helpers/keyed-client.ts'
import { completeFapi, type FapiModule, type FapiRun, grant, isError, type Obtained } from './fapi-flow.ts'

const bound = { status: 400, errors: ['invalid_request', 'invalid_grant', 'invalid_dpop_proof'] }
const thumbprint = async ({ publicJwk }: Key): Promise<string> => await calculateJwkThumbprint(publicJwk)

/** A whole flow with every proof alike: at the PAR endpoint, the token endpoint and userinfo. */
const accepts = (section: string, says: string, claims: () => Record<string, unknown>): FapiModule => ({
  section,
  says,
  run: async run => {
    const key = createKey('ES256')
    const proof = { claims: claims() }
    await completeFapi(run, run.one, { key, proof, tokenProof: proof })
  }
})

/** Proofs for userinfo that are as the RFC has them, and those that are not (RFC 9449 §4.3). */
const deviations = (url: string, key: Key): Record<string, { good: boolean; deviation: Deviation }> => {
  const good = (deviation: Deviation) => ({ good: true, deviation })
  const bad = (deviation: Deviation) => ({ good: false, deviation })
  const host = new URL(url).host
  return {
    'no typ': bad({ header: { typ: undefined } }),
    'no jwk': bad({ header: { jwk: undefined } }),
    'no jti': bad({ claims: { jti: undefined } }),
    'no htm': bad({ claims: { htm: undefined } }),
    'no htu': bad({ claims: { htu: undefined } }),
    'no iat': bad({ claims: { iat: undefined } }),
    'no ath': bad({ claims: { ath: undefined } }),
    'another typ': bad({ header: { typ: 'dpop+jwt+wrongyousee' } }),
    'a private key in the header': bad({ header: { jwk: key.privateKey.export({ format: 'jwk' }) } }),
    'another method': bad({ claims: { htm: 'PUT' } }),
    'another URL': bad({ claims: { htu: `${url}ohnonotagain` } }),
    'another token': bad({ claims: { ath: 'fUHyO2r2Z3DZ53EsNrWBb0xWXoaNy59IiKCAqksmQEo' } }),
    'a query and a fragment in htu': good({ claims: { htu: `${url}?query#fragment` } }),
    'scheme and host in capitals': good({
      claims: { htu: url.replace('http', 'HTTP').replace(host, host.toUpperCase()) }
    }),
    'members that nobody knows': good({ header: { tx_id: 1 }, claims: { tx_id_key: 1 } })
  }
}

/** What is done to a right proof after it was signed. */
const damages: Record<string, (proof: string) => string> = {
  'two parts': proof => proof.split('.').slice(0, 2).join('.'),
  'no alg': proof => {
    const [header = '', ...rest] = proof.split('.')
    const without = Buffer.from(header, 'base64url').toString().replace('"alg"', '"alg2"')
    return [Buffer.from(without).toString('base64url'), ...rest].join('.')
  },
  'alg none': proof => {
    const header = Buffer.from('{"alg":"none","typ":"dpop+jwt"}').toString('base64url')
    return `${header}.${proof.split('.')[1]}.`
  },
  'a wrong signature': proof => proof.replace(/.{12}$/, end => [...end].reverse().join('')),
  'two proofs': proof => `${proof}, ${proof}`
}

async function tryProofs({ t, suite }: FapiRun, { accessToken, key }: Obtained): Promise<void> {
  const url = `${suite.service.issuer}/userinfo`
  const { headers } = await callUserinfo(suite, accessToken, { key })
  const nonce = headers.get('dpop-nonce')
  const proofFor = { method: 'GET', url, accessToken, ...(nonce === null ? {} : { nonce }) }
  const call = async (proof: string, scheme = 'DPoP'): Promise<Reply> =>
    await get(suite.service, '/userinfo', { authorization: `${scheme} ${accessToken}`, dpop: proof })
  const isRefused = (t: Test, { status, body }: Reply, name: string) => {
    t.ok([400, 401].includes(status), `${name}: ${status}`)
    t.notOk('sub' in body, name)
  }
  for (const [name, { good, deviation }] of Object.entries(deviations(url, key))) {
    const reply = await call(proofOf(key, proofFor, deviation))
    if (good) t.equal(reply.status, 200, name)
    else isRefused(t, reply, name)
  }
  for (const [name, damage] of Object.entries(damages))
    isRefused(t, await call(damage(proofOf(key, proofFor))), name)
  isRefused(t, await call(proofOf(createKey('ES256'), proofFor)), "a stranger's key")
  const once = proofOf(key, proofFor)
  t.equal((await call(once)).status, 200)
  isRefused(t, await call(once), 'the same proof again')
  isRefused(t, await get(suite.service, '/userinfo', { authorization: `DPoP ${accessToken}` }), 'no proof')
  isRefused(t, await get(suite.service, '/userinfo', { authorization: `Bearer ${accessToken}` }), 'a bearer')
  t.equal((await call(proofOf(key, proofFor))).status, 200, 'the token was good all along')
}

export const fapiProofs = {
  'fapi2-security-profile-final-access-token-type-header-case-sensitivity': {
    section: 'RFC 9110 §11.1',
    says: 'the authentication scheme may be written in any case',
    run: async run => {
      const { accessToken, key } = await completeFapi(run, run.one)
      const headers = { authorization: `dPOp ${accessToken}` }
      run.t.equal((await callUserinfo(run.suite, accessToken, { key, headers })).status, 200)
    }
  },
  'fapi2-security-profile-final-check-dpop-proof-nbf-exp': accepts(
    'RFC 7519 §4.1',
    'a proof may have nbf and exp',
    () => ({ nbf: seconds(), exp: seconds() + 300 })
  ),
  'fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-before-succeeds': accepts(
    'FAPI 2.0 Security Profile §5.3.2.1',
    'a clock that is 10 seconds late is borne with',
    () => ({ iat: seconds() - 10 })
  ),
  'fapi2-security-profile-final-ensure-dpopproof-with-iat-10seconds-after-succeeds': accepts(
    'FAPI 2.0 Security Profile §5.3.2.1',
    'a clock that is some seconds ahead is borne with',
    () => ({ iat: seconds() + 8 })
  ),
  'fapi2-security-profile-final-ensure-mismatched-dpop-jkt-fails': {
    section: 'RFC 9449 §10.1',
    says: 'a pushed dpop_jkt of another key than the proof’s is refused',
    run: async ({ t, suite, one }) => {
      const params = { dpop_jkt: await thumbprint(createKey('ES256')) }
      const { reply } = await push(suite, one, { key: createKey('ES256'), params })
      isError(t, reply, { status: 400, errors: ['invalid_request', 'invalid_dpop_proof'] })
    }
  },
  'fapi2-security-profile-final-ensure-token-endpoint-fails-with-mismatched-dpop-proof-jkt': {
    section: 'RFC 9449 §10.1',
    says: 'a code is bound to the key that the pushed request was proven with',
    run: async run => {
      const { code, pushed } = await grant(run, run.one, { key: createKey('ES256') })
      const fields = codeFields(code, pushed)
      isError(run.t, await requestTokens(run.suite, run.one, { fields, key: createKey('ES256') }), bound)
    }
  },
  'fapi2-security-profile-final-ensure-token-endpoint-fails-with-mismatched-dpop-jkt': {
    section: 'RFC 9449 §10',
    says: 'a code is bound to the key that dpop_jkt named',
    run: async run => {
      const params = { dpop_jkt: await thumbprint(createKey('ES256')) }
      const { code, pushed } = await grant(run, run.one, { params })
      const fields = codeFields(code, pushed)
      isError(run.t, await requestTokens(run.suite, run.one, { fields, key: createKey('ES256') }), bound)
    }
  },
  'fapi2-security-profile-final-ensure-dpopproof-at-par-endpoint-binding-success': {
    section: 'RFC 9449 §10.1',
    says: 'the key of the pushed request gets the tokens',
    run: async run => {
      await completeFapi(run, run.one, { key: createKey('ES256') })
    }
  },
  'fapi2-security-profile-final-ensure-dpop-auth-code-binding-success': {
    section: 'RFC 9449 §10, §10.1',
    says: 'the key that dpop_jkt named, and that proved the pushed request, gets the tokens',
    run: async run => {
      const key = createKey('ES256')
      await completeFapi(run, run.one, { key, params: { dpop_jkt: await thumbprint(key) } })
    }
  },
  'fapi2-security-profile-final-dpop-negative-tests': {
    section: 'RFC 9449 §4.3, §7.1',
    says: 'a proof is believed only as it must be, and once',
    run: async run => await tryProofs(run, await completeFapi(run, run.one))
  }
} satisfies Record<string, FapiModule>
