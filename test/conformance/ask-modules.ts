// Modules of the OpenID Connect plans: the parameters that say how a person is asked (OpenID Connect Core 1.0 §3.1.2.1).
import type { Test } from 'tap'
import { type Fields, isSignInPage, responseOf, type Suite, Visitor } from '../helpers/conformance.ts'
import { begin, complete, type Finished, finish } from './flow.ts'
import type { Module, Run } from './plan.ts'

const section = 'OpenID Connect Core 1.0 §3.1.2.1'

/** A request that needs only not to fail. */
const accepts = (says: string, params: (suite: Suite) => Fields): Module => ({
  section,
  says,
  run: async ({ t, suite, variant, register }) => {
    await complete(t, suite, { client: await register(), variant, params: params(suite) })
  }
})

/** Two flows of one browser; `first` tells what came of the one before. */
async function twice(
  { t, suite, variant, register }: Run,
  [before, after]: [Fields, (first: Finished) => Fields]
) {
  const client = await register()
  const first = await complete(t, suite, { client, variant, params: before })
  const params = after(first)
  return { first, second: await begin(suite, { client, variant, params, visitor: first.visitor }) }
}

function sameSignIn(t: Test, first: Finished, second: Finished): void {
  t.equal(second.claims.sub, first.claims.sub)
  t.equal(second.claims.auth_time, first.claims.auth_time)
}

/** No page stands between the second request and its answer. */
async function answersAtOnce(run: Run, flows: [Fields, (first: Finished) => Fields]): Promise<Finished> {
  const { first, second } = await twice(run, flows)
  run.t.equal(responseOf(second.page, run.variant).get('error'), null)
  const again = await finish(run.t, second)
  sameSignIn(run.t, first, again)
  return again
}

/** The second request shows the sign-in page, and its ID token tells the new moment. */
async function asksAgain(run: Run, params: Fields): Promise<void> {
  const { t, suite } = run
  const { first, second } = await twice(run, [
    {},
    () => {
      suite.service.advance(2)
      return params
    }
  ])
  t.ok(isSignInPage(second.page), second.page.text)
  t.match(second.page.text, '<h1>Confirm that it is you</h1>')
  const again = await finish(t, second)
  t.equal(again.claims.sub, first.claims.sub)
  if (params.max_age !== undefined) t.type(again.claims.auth_time, 'number')
  if (again.claims.auth_time !== undefined && first.claims.auth_time !== undefined)
    t.ok(Number(again.claims.auth_time) > Number(first.claims.auth_time))
}

export const asks = {
  'oidcc-display-page': accepts('display=page is accepted', () => ({ display: 'page' })),
  'oidcc-display-popup': accepts('display=popup is accepted', () => ({ display: 'popup' })),
  'oidcc-prompt-login': {
    section,
    says: 'prompt=login asks somebody who is signed in for the password again',
    run: async run => await asksAgain(run, { prompt: 'login' })
  },
  'oidcc-prompt-none-not-logged-in': {
    section: 'OpenID Connect Core 1.0 §3.1.2.6',
    says: 'prompt=none is answered with an error where nobody is signed in',
    run: async ({ t, suite, variant, register }) => {
      const { page, url } = await begin(suite, {
        client: await register(),
        variant,
        params: { prompt: 'none' },
        visitor: new Visitor()
      })
      const response = responseOf(page, variant)
      t.match(response.get('error'), /^(interaction|login|consent)_required$/)
      t.equal(response.get('state'), url.searchParams.get('state'))
      t.strictSame(
        [...response.keys()].filter(name => !['error', 'error_description', 'state', 'iss'].includes(name)),
        []
      )
    }
  },
  'oidcc-prompt-none-logged-in': {
    section,
    says: 'prompt=none is answered at once where somebody is signed in, with the same sign-in',
    run: async run => {
      await answersAtOnce(run, [{}, () => ({ prompt: 'none' })])
    }
  },
  'oidcc-max-age-1': {
    section,
    says: 'a sign-in that is older than max_age is asked for again, and auth_time tells the new one',
    run: async run => await asksAgain(run, { max_age: '1' })
  },
  'oidcc-max-age-10000': {
    section: 'OpenID Connect Core 1.0 §2, §3.1.2.1',
    says: 'a sign-in that is younger than max_age is taken, and auth_time tells it',
    run: async run => {
      const { claims } = await answersAtOnce(run, [{ max_age: '15000' }, () => ({ max_age: '10000' })])
      run.t.type(claims.auth_time, 'number')
    }
  },
  'oidcc-id-token-hint': {
    section: 'OpenID Connect Core 1.0 §3.1.2.1, §3.1.2.2',
    says: 'an id_token_hint of whoever is signed in is answered at once',
    run: async run => {
      await answersAtOnce(run, [{}, ({ idToken }) => ({ prompt: 'none', id_token_hint: idToken })])
    }
  },
  'oidcc-login-hint': accepts('a login_hint of somebody else hinders nobody', ({ service }) => ({
    login_hint: `buffy@${new URL(service.issuer).hostname}`
  })),
  'oidcc-ui-locales': accepts('ui_locales are accepted', () => ({ ui_locales: 'se' })),
  'oidcc-claims-locales': accepts('claims_locales are accepted', () => ({ claims_locales: 'se' })),
  'oidcc-ensure-request-with-acr-values-succeeds': {
    section: 'OpenID Connect Core 1.0 §3.1.2.1, §15.1',
    says: 'the values of the discovery document are accepted as acr_values, and the ID token has one of them',
    run: async ({ t, suite, variant, register }) => {
      const supported = suite.discovery.acr_values_supported as string[]
      const params = { acr_values: supported.join(' ') }
      const { claims } = await complete(t, suite, { client: await register(), variant, params })
      t.ok(supported.includes(String(claims.acr)), String(claims.acr))
    }
  }
} satisfies Record<string, Module>
