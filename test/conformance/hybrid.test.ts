// The plan oidcc-hybrid-certification-test-plan, which the conformance profile alone has the flow for.
import t from 'tap'
import { startSuite } from '../helpers/conformance.ts'
import { type ModuleName, runPlan } from './plan.ts'

/** What the plan runs with each response type; `nonce`: the module of a request without one. */
const namesWith = (nonce: ModuleName): ModuleName[] => [
  'oidcc-server',
  'oidcc-idtoken-signature',
  'oidcc-userinfo-get',
  'oidcc-userinfo-post-header',
  'oidcc-userinfo-post-body',
  nonce,
  'oidcc-scope-profile',
  'oidcc-scope-email',
  'oidcc-scope-address',
  'oidcc-scope-phone',
  'oidcc-scope-all',
  'oidcc-display-page',
  'oidcc-display-popup',
  'oidcc-prompt-login',
  'oidcc-prompt-none-not-logged-in',
  'oidcc-prompt-none-logged-in',
  'oidcc-max-age-1',
  'oidcc-max-age-10000',
  'oidcc-ensure-request-with-unknown-parameter-succeeds',
  'oidcc-id-token-hint',
  'oidcc-login-hint',
  'oidcc-ui-locales',
  'oidcc-claims-locales',
  'oidcc-ensure-request-with-acr-values-succeeds',
  'oidcc-codereuse',
  'oidcc-codereuse-30seconds',
  'oidcc-ensure-registered-redirect-uri',
  'oidcc-server-client-secret-post',
  'oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported',
  'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported',
  'oidcc-claims-essential',
  'oidcc-ensure-request-object-with-redirect-uri',
  'oidcc-refresh-token'
]

const once: ModuleName[] = [
  'oidcc-response-type-missing',
  'oidcc-ensure-other-scope-order-succeeds',
  'oidcc-alternate-happy-flow',
  'oidcc-ensure-request-with-valid-pkce-succeeds'
]

t.test('Hybrid OP', async t => {
  const suite = await startSuite(t)
  const names = {
    'code id_token': [...namesWith('oidcc-ensure-request-without-nonce-fails'), ...once],
    'code token': namesWith('oidcc-ensure-request-without-nonce-succeeds-for-code-flow'),
    'code id_token token': namesWith('oidcc-ensure-request-without-nonce-fails')
  }
  for (const [responseType, modules] of Object.entries(names))
    await t.test(`response_type=${responseType}`, async t => {
      await runPlan(t, suite, { variant: { responseType }, names: modules })
    })
})
