// Modules of the OpenID Connect plans: request objects, in the request and by reference.
import type { Fields } from '../helpers/conformance.ts'
import { startSite } from '../helpers/https-site.ts'
import { signJws } from '../helpers/jws.ts'
import { begin, type Finished, finish } from './flow.ts'
import type { Module, Run } from './plan.ts'

type Given = { clientId: string; params: Record<string, string> }

/** A whole flow, asked with a request object of the same parameters as the request; they are all sent beside it too. */
async function completeWith(
  { t, suite, variant, register }: Run,
  {
    over = {},
    ask
  }: {
    over?: Record<string, unknown>
    ask: (given: Given, client: Awaited<ReturnType<Run['register']>>) => Fields
  }
): Promise<Finished> {
  const client = await register(over)
  const plain = await begin(suite, { client, variant })
  const params = Object.fromEntries(plain.url.searchParams)
  const { client_id: clientId = '' } = params
  const begun = await begin(suite, {
    client,
    variant,
    params: { ...params, state: undefined, nonce: undefined, ...ask({ clientId, params }, client) }
  })
  // What the answer must fit: it was in the request object alone.
  for (const name of ['state', 'nonce']) begun.url.searchParams.set(name, params[name] ?? '')
  return await finish(t, begun)
}

const unsigned = (claims: object): string => signJws({ alg: 'none' }, claims, null)

/** One that is asked for at the client's own site, in a flow to the end. */
async function byReference(
  run: Run,
  { alg, over = {} }: { alg: 'none' | 'RS256'; over?: Record<string, unknown> }
): Promise<void> {
  const { t, suite } = run
  t.equal(suite.discovery.request_uri_parameter_supported, true)
  t.ok((suite.discovery.request_object_signing_alg_values_supported as string[]).includes(alg))
  const { origin, pages, asked } = await startSite(t)
  const reference = `${origin}/requesturi/${'a'.repeat(96)}`
  await completeWith(run, {
    over: { request_uris: [reference], ...over },
    ask: ({ clientId, params }, { key }) => {
      const claims = alg === 'none' ? params : { ...params, iss: clientId, aud: suite.service.issuer }
      const body = alg === 'none' ? unsigned(claims) : signJws({ alg }, claims, key.privateKey)
      pages.set(new URL(reference).pathname, { headers: { 'content-type': 'application/jose' }, body })
      return { request_uri: reference }
    }
  })
  t.strictSame(asked, [new URL(reference).pathname])
}

/** Without a signature and in the request, in a flow to the end. */
const byValue = async (run: Run, beside: Fields = {}): Promise<Finished> =>
  await completeWith(run, {
    ask: ({ clientId, params }) => ({
      request: unsigned({ ...params, iss: clientId, aud: run.suite.service.issuer }),
      ...beside
    })
  })

export const requestObjects = {
  'oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported': {
    section: 'OpenID Connect Core 1.0 §6.2',
    says: 'a request object by reference is fetched and used',
    run: async run => await byReference(run, { alg: 'none' })
  },
  'oidcc-request-uri-unsigned': {
    section: 'OpenID Connect Core 1.0 §6.2, §15.2',
    says: 'a request object by reference is fetched and used',
    run: async run => await byReference(run, { alg: 'none' })
  },
  'oidcc-request-uri-signed-rs256': {
    section: 'OpenID Connect Core 1.0 §6.2, §15.2',
    says: 'so is one that is signed as it was registered',
    run: async run => await byReference(run, { alg: 'RS256', over: { request_object_signing_alg: 'RS256' } })
  },
  'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported': {
    section: 'OpenID Connect Core 1.0 §6.1',
    says: 'a request object without a signature is used',
    run: async run => void (await byValue(run))
  },
  'oidcc-ensure-request-object-with-redirect-uri': {
    section: 'OpenID Connect Core 1.0 §6.1',
    says: 'its redirect URI comes before the one beside it',
    run: async run =>
      void (await byValue(run, { redirect_uri: 'https://localhost.emobix.co.uk:8443/elsewhere' }))
  }
} satisfies Record<string, Module>
