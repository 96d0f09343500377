// The plan oidcc-config-certification-test-plan: what the discovery document and the key set must say.
import { importJWK } from 'jose'
import t from 'tap'
import { get, startSuite } from '../helpers/conformance.ts'

/** OpenID Connect Core 1.0 §5.1 */
const standardClaims = [
  ...['sub', 'name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'profile'],
  ...['picture', 'website', 'email', 'email_verified', 'gender', 'birthdate', 'zoneinfo', 'locale'],
  ...['phone_number', 'phone_number_verified', 'address', 'updated_at']
]
const secretMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']

t.test('Config OP', async t => {
  const { service, discovery, keys } = await startSuite(t)
  const { issuer } = service
  const listOf = (member: string): string[] => {
    const list = discovery[member]
    if (!Array.isArray(list)) throw new Error(`${member} is no list`)
    return list as string[]
  }
  const holds = (member: string, values: string[]) =>
    t.strictSame(
      values.filter(value => !listOf(member).includes(value)),
      [],
      member
    )

  await t.test(
    'oidcc-discovery-endpoint-verification (OpenID Connect Discovery 1.0 §3, §4): the document is where it belongs, and names the issuer exactly',
    async t => {
      const { status, headers } = await get(service, '/.well-known/openid-configuration')
      t.equal(status, 200)
      t.match(headers.get('content-type'), /^application\/json/)
      t.equal(discovery.issuer, issuer)
      for (const [name, value] of Object.entries(discovery))
        if (/_(endpoint|uri)$/.test(name)) t.ok(String(value).startsWith(`${issuer}/`), name)
      for (const name of ['authorization', 'token', 'userinfo', 'end_session'])
        t.type(discovery[`${name}_endpoint`], 'string', name)
    }
  )

  await t.test(
    'oidcc-discovery-endpoint-verification (OpenID Connect Discovery 1.0 §3): everything that the profiles ask for is on offer',
    async t => {
      t.ok(discovery.claims_parameter_supported)
      t.equal(discovery.request_parameter_supported, true)
      t.equal(discovery.request_uri_parameter_supported, true)
      t.equal(discovery.require_request_uri_registration, true)
      for (const scope of listOf('scopes_supported')) t.match(scope, /^[\x21\x23-\x5b\x5d-\x7e]+$/)
      t.ok(Array.isArray(discovery.code_challenge_methods_supported), 'RFC 8414 §2')
      t.ok(listOf('subject_types_supported').every(type => ['public', 'pairwise'].includes(type)))
      holds('scopes_supported', ['openid', 'profile', 'email', 'address', 'phone', 'offline_access'])
      holds('response_types_supported', ['code', 'id_token', 'id_token token'])
      holds('response_modes_supported', ['query', 'fragment', 'form_post'])
      holds('grant_types_supported', ['authorization_code', 'implicit', 'refresh_token'])
      holds('subject_types_supported', ['public'])
      holds('id_token_signing_alg_values_supported', ['RS256'])
      holds('claims_supported', standardClaims)
      holds('token_endpoint_auth_methods_supported', [
        'client_secret_basic',
        'client_secret_post',
        'private_key_jwt'
      ])
    }
  )

  await t.test(
    'oidcc-discovery-endpoint-verification (RFC 7517 §4, §5): the key set holds public keys that can be used, each of its own name',
    async t => {
      const kids = keys.keys.map(({ kid }) => kid)
      t.ok(kids.every(kid => typeof kid === 'string' && kid !== ''))
      t.equal(new Set(kids).size, kids.length)
      for (const key of keys.keys) {
        t.equal(key.use, 'sig')
        t.strictSame(
          secretMembers.filter(member => member in key),
          []
        )
        await t.resolves(importJWK(key, key.alg ?? ''))
      }
      for (const alg of ['RS256', 'ES256'])
        t.ok(
          keys.keys.some(key => key.alg === alg),
          alg
        )
    }
  )
})
