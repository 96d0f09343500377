// The plan oidcc-dynamic-certification-test-plan with response_type=code: clients that register themselves, and prove who
// they are with their keys.
import t from 'tap'
import { startSuite } from '../helpers/conformance.ts'
import { runPlan } from './plan.ts'

t.test('Dynamic OP', async t => {
  const suite = await startSuite(t)
  const { service, discovery } = suite

  await t.test(
    'oidcc-discovery-endpoint-verification (OpenID Connect Core 1.0 §15.2): everything that dynamic providers must offer is on offer',
    async t => {
      t.ok(String(discovery.registration_endpoint).startsWith(`${service.issuer}/`))
      const holds = (member: string, values: string[]) =>
        t.strictSame(
          values.filter(value => !(discovery[member] as string[]).includes(value)),
          [],
          member
        )
      holds('response_types_supported', ['code', 'id_token', 'id_token token'])
      holds('grant_types_supported', ['authorization_code', 'implicit'])
      holds('subject_types_supported', ['public', 'pairwise'])
      holds('request_object_signing_alg_values_supported', ['RS256'])
      t.type(discovery.claims_parameter_supported, 'boolean')
      t.type(discovery.request_parameter_supported, 'boolean')
      t.equal(discovery.request_uri_parameter_supported, true)
    }
  )

  await runPlan(t, suite, {
    variant: { responseType: 'code', authMethod: 'private_key_jwt' },
    names: [
      'oidcc-idtoken-rs256',
      'oidcc-idtoken-unsigned',
      'oidcc-userinfo-rs256',
      'oidcc-ensure-redirect-uri-in-authorization-request',
      'oidcc-redirect-uri-query-OK',
      'oidcc-redirect-uri-query-mismatch',
      'oidcc-redirect-uri-query-added',
      'oidcc-redirect-uri-regfrag',
      'oidcc-server',
      'oidcc-registration-logo-uri',
      'oidcc-registration-policy-uri',
      'oidcc-registration-tos-uri',
      'oidcc-registration-jwks-uri',
      'oidcc-registration-sector-uri',
      'oidcc-registration-sector-bad',
      'oidcc-server-rotate-keys',
      'oidcc-refresh-token-rp-key-rotation',
      'oidcc-request-uri-unsigned',
      'oidcc-request-uri-signed-rs256',
      'oidcc-ensure-request-object-with-redirect-uri',
      'oidcc-refresh-token',
      'oidcc-ensure-client-assertion-with-iss-aud-succeeds'
    ]
  })
})
