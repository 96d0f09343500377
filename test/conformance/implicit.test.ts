// The plan oidcc-implicit-certification-test-plan, which the conformance profile alone has the flow for.
import t from 'tap'
import { startSuite } from '../helpers/conformance.ts'
import { type ModuleName, runPlan } from './plan.ts'

const names: readonly ModuleName[] = [
  'oidcc-server',
  'oidcc-idtoken-signature',
  'oidcc-ensure-request-without-nonce-fails',
  'oidcc-scope-profile',
  'oidcc-scope-email',
  'oidcc-scope-address',
  'oidcc-scope-phone',
  'oidcc-scope-all',
  'oidcc-ensure-other-scope-order-succeeds',
  'oidcc-alternate-happy-flow',
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
  'oidcc-ensure-registered-redirect-uri',
  'oidcc-request-uri-unsigned-supported-correctly-or-rejected-as-unsupported',
  'oidcc-unsigned-request-object-supported-correctly-or-rejected-as-unsupported',
  'oidcc-ensure-request-object-with-redirect-uri',
  'oidcc-claims-essential'
]

t.test('Implicit OP', async t => {
  const suite = await startSuite(t)
  for (const responseType of ['id_token', 'id_token token'])
    await t.test(`response_type=${responseType}`, async t => {
      await runPlan(t, suite, { variant: { responseType }, names })
    })
  await t.test('once, with response_type=id_token token', async t => {
    await runPlan(t, suite, {
      variant: { responseType: 'id_token token' },
      names: [
        'oidcc-userinfo-get',
        'oidcc-userinfo-post-header',
        'oidcc-userinfo-post-body',
        'oidcc-response-type-missing'
      ]
    })
  })
})
