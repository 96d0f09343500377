// Modules of the OpenID Connect plans: request objects without a signature and those by reference are not for sale here.
import { type Fields, responseOf, type Suite, suiteUrl } from '../helpers/conformance.ts'
import { begin } from './flow.ts'
import type { Module, Run } from './plan.ts'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A request object with alg none, as the suite makes it of an authorization request. */
const unsigned = (claims: Fields): string => `${part({ alg: 'none' })}.${part(claims)}.`

const offersUnsigned = ({ discovery }: Suite): boolean =>
  ((discovery.request_object_signing_alg_values_supported ?? ['none']) as string[]).includes('none')

/** The answer to a request with an extra parameter that must not be ignored. */
async function refusal({ suite, variant, register }: Run, params: (clientId: string) => Fields) {
  const client = await register()
  const { page } = await begin(suite, { client, variant, params: params(client.client_id) })
  return { page, error: responseOf(page, variant).get('error') }
}

const refusesUnsigned = async (run: Run, over: Fields): Promise<void> => {
  const { t, suite, variant } = run
  t.notOk(offersUnsigned(suite), 'the discovery document offers no such thing, so the suite skips')
  const { error } = await refusal(run, iss => ({
    request: unsigned({ iss, aud: suite.service.issuer, client_id: iss, response_type: variant.responseType }),
    ...over
  }))
  t.match(error, /^(request_not_supported|invalid_request_object|invalid_request)$/)
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
    run: async run => await refusesUnsigned(run, {})
  },
  'oidcc-ensure-request-object-with-redirect-uri': {
    section: 'OpenID Connect Core 1.0 §6.1',
    says: 'what a request object without a signature says is not used',
    run: async run => await refusesUnsigned(run, {})
  }
} satisfies Record<string, Module>
