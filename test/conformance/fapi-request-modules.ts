// Modules of the FAPI 2.0 Security Profile plan: authorization requests, which are pushed (RFC 9126).
import { randomBytes } from 'node:crypto'
import { callbackUrl, goOn, isSignInPage, requestUrl, Visitor } from '../helpers/conformance.ts'
import {
  answerAtClient,
  assertionOf,
  authorize,
  type Push,
  push,
  redirectUris,
  visitPushed
} from '../helpers/fapi.ts'
import { completeFapi, type FapiModule, type FapiRun, grant, isError } from './fapi-flow.ts'

const profile = 'FAPI 2.0 Security Profile §5.3.2.2'

/** Text of this length, which nothing in a URL changes. */
const long = (length: number) => randomBytes(length).toString('hex').slice(0, length)

const isErrorPage = ({ status, text, location }: { status: number; text: string; location: string | null }) =>
  status === 400 &&
  location === null &&
  text.includes('<h1>The application sent something that we cannot accept</h1>')

/** A request that the PAR endpoint must refuse. */
const refusesPush = (section: string, says: string, options: Push, errors: string[]): FapiModule => ({
  section,
  says,
  run: async ({ t, suite, one }) => {
    const { reply } = await push(suite, one, options)
    isError(t, reply, { status: 400, errors })
  }
})

/** A request that is answered in full. */
const completes = (section: string, says: string, options: () => Push): FapiModule => ({
  section,
  says,
  run: async run => {
    await completeFapi(run, run.one, options())
  }
})

/** What stands beside request_uri in the browser is of no account. */
async function ignoresBeside(run: FapiRun, name: 'nonce' | 'state', pushedValue?: string): Promise<void> {
  const { t, suite, one } = run
  const pushed = await push(suite, one, { params: { [name]: pushedValue } })
  const response = await authorize(suite, one, { pushed, params: { [name]: 'beside' } })
  t.equal(response.get('error'), null)
  t.equal(response.get('state'), pushed.params.state ?? null)
}

export const fapiRequests = {
  'fapi2-security-profile-final-user-rejects-authentication': {
    section: 'RFC 6749 §4.1.2.1',
    says: 'who cancels, or denies, is back at the client with access_denied and the whole state',
    run: async ({ t, suite, one, two }) => {
      const state = long(128)
      const rejected = async (client: typeof one, redirect_uri: string, reject: 'cancel' | 'deny') => {
        const pushed = await push(suite, client, { params: { state, redirect_uri, prompt: 'consent' } })
        const visitor = new Visitor()
        const page = await visitPushed(suite, client, { pushed, visitor })
        if (reject === 'cancel') return answerAtClient(await visitor.submit(page, 'cancel-form'))
        const consent = await visitor.submit(page, 'sign-in-form', suite.person)
        return answerAtClient(await visitor.submit(consent, 'consent-form', { decision: 'deny' }))
      }
      for (const response of [
        await rejected(one, callbackUrl, 'cancel'),
        await rejected(two, String(redirectUris[1]), 'deny')
      ]) {
        t.equal(response.get('error'), 'access_denied')
        t.equal(response.get('state'), state)
        t.equal(response.get('iss'), suite.service.issuer)
        t.notOk(response.has('code'))
      }
    }
  },
  'fapi2-security-profile-final-ensure-authorization-request-without-state-success': {
    section: 'RFC 6749 §4.1.1',
    says: 'state is optional, and none comes back where none was sent',
    run: async run => {
      const { response } = await grant(run, run.one, { params: { state: undefined } })
      run.t.notOk(response.has('state'))
    }
  },
  'fapi2-security-profile-final-ensure-authorization-request-without-nonce-success': completes(
    'OpenID Connect Core 1.0 §3.1.2.1',
    'nonce is optional, and none comes back where none was sent',
    () => ({ params: { nonce: undefined } })
  ),
  'fapi2-security-profile-final-ensure-authorization-request-with-64-char-nonce-success': completes(
    profile,
    'a nonce of 64 characters comes back',
    () => ({ params: { nonce: long(64) } })
  ),
  'fapi2-security-profile-final-ensure-other-scope-order-succeeds': completes(
    'RFC 6749 §3.3',
    'the order of scopes is of no account',
    () => ({ params: { scope: 'email openid' } })
  ),
  'fapi2-security-profile-final-ensure-different-nonce-inside-and-outside-request-object': {
    section: 'RFC 9126 §4',
    says: 'a nonce beside the pushed one is not used',
    run: async run => await ignoresBeside(run, 'nonce', 'inside')
  },
  'fapi2-security-profile-final-ensure-different-state-inside-and-outside-request-object': {
    section: 'RFC 9126 §4',
    says: 'a state beside the pushed one is not used',
    run: async run => await ignoresBeside(run, 'state', 'inside')
  },
  'fapi2-security-profile-final-state-only-outside-request-object-not-used': {
    section: 'RFC 9126 §4',
    says: 'a state that was not pushed is not used',
    run: async run => await ignoresBeside(run, 'state')
  },
  'fapi2-security-profile-final-ensure-authorization-request-with-long-nonce': completes(
    profile,
    'a nonce of 384 characters comes back whole',
    () => ({ params: { nonce: long(384) } })
  ),
  'fapi2-security-profile-final-ensure-authorization-request-with-long-state': completes(
    profile,
    'a state of 1000 characters comes back whole',
    () => ({ params: { state: long(1000) } })
  ),
  'fapi2-security-profile-final-ensure-request-object-without-redirect-uri-fails': refusesPush(
    profile,
    'a pushed request without redirect_uri is refused',
    { params: { redirect_uri: undefined } },
    ['invalid_request', 'invalid_request_object']
  ),
  'fapi2-security-profile-final-ensure-redirect-uri-in-authorization-request': refusesPush(
    profile,
    'redirect_uri must be sent, however many are registered',
    { params: { redirect_uri: undefined } },
    ['invalid_request', 'invalid_request_object']
  ),
  'fapi2-security-profile-final-plain-fapi-tolerate-unregistered-redirect-uri': refusesPush(
    'RFC 9126 §2.4',
    'a redirect URI that is not registered is refused, though the RFC would let it pass',
    { params: { redirect_uri: `${callbackUrl}/another` } },
    // The suite asks for one of the two.
    ['invalid_request', 'invalid_request_object']
  ),
  'fapi2-security-profile-final-ensure-unsigned-authorization-request-without-using-par-fails': {
    section: 'FAPI 2.0 Security Profile §5.3.2.2',
    says: 'a request that was not pushed is refused',
    run: async ({ t, suite, one }) => {
      const page = await new Visitor().visit(
        requestUrl(suite, {
          client: one,
          variant: { responseType: 'code' },
          params: { code_challenge: long(43), code_challenge_method: 'S256' }
        })
      )
      const error = page.location === null ? null : answerAtClient(page).get('error')
      t.ok(isErrorPage(page) || error === 'invalid_request', error ?? page.text)
    }
  },
  'fapi2-security-profile-final-ensure-response-type-code-idtoken-fails': refusesPush(
    profile,
    'only response_type=code is taken',
    { params: { response_type: 'code id_token' } },
    ['unsupported_response_type', 'invalid_request', 'unauthorized_client']
  ),
  'fapi2-security-profile-final-ensure-response-type-token-fails': refusesPush(
    profile,
    'only response_type=code is taken',
    { params: { response_type: 'token' } },
    ['unsupported_response_type', 'invalid_request', 'unauthorized_client']
  ),
  'fapi2-security-profile-final-par-ensure-reused-request-uri-prior-to-auth-completion-succeeds': {
    section: `${profile} note 3`,
    says: 'a request_uri that was opened and left is still good: it is spent by the answer',
    run: async ({ t, suite, one }) => {
      const pushed = await push(suite, one)
      const visitor = new Visitor()
      t.ok(isSignInPage(await visitPushed(suite, one, { pushed, visitor })))
      const page = await visitPushed(suite, one, { pushed, visitor })
      const response = answerAtClient(await goOn(suite, visitor, page))
      t.match(response.get('code'), /.+/)
    }
  },
  'fapi2-security-profile-final-par-attempt-reuse-request_uri': {
    section: 'RFC 9126 §7.3',
    says: 'a request_uri that was answered is good for nothing more',
    run: async run => {
      const { pushed } = await grant(run, run.one)
      const page = await visitPushed(run.suite, run.one, { pushed, visitor: new Visitor() })
      run.t.ok(isErrorPage(page), page.text)
      run.t.match(page.text, 'invalid_request_uri')
    }
  },
  'fapi2-security-profile-final-par-attempt-to-use-expired-request_uri': {
    section: 'RFC 9126 §2.2',
    says: 'a request_uri ends when it was said to',
    run: async ({ t, suite, one }) => {
      const pushed = await push(suite, one)
      suite.service.advance(Number(pushed.reply.body.expires_in) + 1)
      const page = await visitPushed(suite, one, { pushed, visitor: new Visitor() })
      t.ok(isErrorPage(page), page.text)
      t.match(page.text, 'invalid_request_uri')
    }
  },
  'fapi2-security-profile-final-par-attempt-to-use-request_uri-for-different-client': {
    section: 'RFC 9126 §2.2',
    says: "another client's request_uri is good for nothing",
    run: async ({ t, suite, one, two }) => {
      const pushed = await push(suite, one)
      const page = await visitPushed(suite, two, { pushed, visitor: new Visitor() })
      t.ok(isErrorPage(page), page.text)
    }
  },
  'fapi2-security-profile-final-par-authorization-request-containing-request_uri-form-param': refusesPush(
    'RFC 9126 §2.1',
    'request_uri is not for pushing',
    { params: { request_uri: 'urn:ietf:params:oauth:request_uri:abc' } },
    ['invalid_request', 'invalid_request_object', 'request_uri_not_supported']
  ),
  'fapi2-security-profile-final-par-attempt-invalid-http-method': {
    section: 'RFC 9126 §2.3',
    says: 'only POST is taken',
    run: async ({ t, suite, one }) => {
      const body = new URLSearchParams((await assertionOf(suite, one)) as Record<string, string>)
      const { status } = await fetch(`${suite.service.issuer}/par`, { method: 'PUT', body })
      t.ok(status >= 400 && status < 500, `${status}`)
    }
  },
  'fapi2-security-profile-final-par-ensure-pkce-required': refusesPush(
    profile,
    'a request without PKCE is refused',
    { params: { code_challenge: undefined, code_challenge_method: undefined } },
    ['invalid_request']
  ),
  'fapi2-security-profile-final-par-plain-pkce-rejected': refusesPush(
    profile,
    'PKCE must be S256',
    { params: { code_challenge: long(43), code_challenge_method: 'plain' } },
    ['invalid_request']
  ),
  'fapi2-security-profile-final-par-without-duplicate-parameters': completes(
    'RFC 9101 §5',
    'client_id and request_uri are all that the browser needs to bring',
    () => ({})
  )
} satisfies Record<string, FapiModule>
