// Modules of the OpenID Connect plans: request objects without a signature and those by reference are not for sale here.
import { type Fields, responseOf, suiteUrl } from '../helpers/conformance.ts'
import { begin } from './flow.ts'
import type { Module, Run } from './plan.ts'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A request object with alg none, as the suite makes it of an authorization request. */
const unsigned = (claims: Fields): string => `${part({ alg: 'none' })}.${part(claims)}.`

/** The answer to a request with an extra parameter that must not be ignored. */
async function refusal({ suite, variant, register }: Run, params: (clientId: string) => Fields) {
  const client = await register()
  const { page } = await begin(suite, { client, variant, params: params(client.client_id) })
  return { page, error: responseOf(page, variant).get('error') }
}

const refusesUnsigned = async (run: Run): Promise<void> => {
  const { t, suite, variant } = run
  const { error } = await refusal(run, iss => ({
    request: unsigned({ iss, aud: suite.service.issuer, client_id: iss, response_type: variant.responseType })
  }))
  const algorithms = suite.discovery.request_object_signing_alg_values_supported as string[] | undefined
  // Where signed ones are taken, the discovery document says that these are not, and the suite skips.
  if (algorithms !== undefined) t.notOk(algorithms.includes('none'))
  t.equal(error, algorithms === undefined ? 'request_not_supported' : 'invalid_request_object')
}

export const requestObjects = {
  'oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported': {
    section: 'OpenID Connect Core 1.0 §3.1.2.6, §6.2',
    says: 'a request object by reference is refused as not supported',
    run: async run => {
      run.t.equal(run.suite.discovery.request_uri_parameter_supported, false)
      const { error } = await refusal(run, () => ({ request_uri: `${suiteUrl}/requesturi/abc` }))
      run.t.equal(error, 'request_uri_not_supported')
    }
  },
  'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported': {
    section: 'OpenID Connect Core 1.0 §3.1.2.6, §6.1',
    says: 'a request object without a signature is refused, never ignored',
    run: async run => await refusesUnsigned(run)
  },
  'oidcc-ensure-request-object-with-redirect-uri': {
    section: 'OpenID Connect Core 1.0 §6.1',
    says: 'what a request object without a signature says is not used',
    run: async run => await refusesUnsigned(run)
  }
} satisfies Record<string, Module>
