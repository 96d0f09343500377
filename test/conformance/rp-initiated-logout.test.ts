// The plan oidcc-rp-initiated-logout-certification-test-plan (OpenID Connect RP-Initiated Logout 1.0).
import { generateKeyPair, SignJWT } from 'jose'
import t, { type Test } from 'tap'
import {
  type Answer,
  type Fields,
  registerFor,
  responseOf,
  type Suite,
  startSuite,
  suiteUrl
} from '../helpers/conformance.ts'
import { begin, complete, type Finished } from './flow.ts'

const variant = { responseType: 'code' }
const post_logout_redirect_uri = `${suiteUrl}/post_logout_redirect`
/** As the suite's: of printable characters, and long. */
const state = `${'s"<>&%#?=;\'\\'.repeat(9)}~`

type Asked = { signedIn: Finished; page: Answer }

async function isSignedIn(suite: Suite, { client, visitor }: Finished): Promise<boolean> {
  const { page } = await begin(suite, { client, variant, visitor, params: { prompt: 'none' } })
  return responseOf(page, variant).get('error') === null
}

t.test('RP-Initiated OP', async t => {
  const suite = await startSuite(t)
  const { service, discovery } = suite
  const endpoint = String(discovery.end_session_endpoint)

  /** Signs somebody in, and sends them to the end session endpoint; a parameter that is undefined is left out. */
  const logOut = async (t: Test, over: (signedIn: Finished) => Fields): Promise<Asked> => {
    const client = await registerFor(suite, variant, {
      post_logout_redirect_uris: [post_logout_redirect_uri]
    })
    const signedIn = await complete(t, suite, { client, variant })
    const url = new URL(endpoint)
    const params: Fields = {
      id_token_hint: signedIn.idToken,
      post_logout_redirect_uri,
      state,
      ...over(signedIn)
    }
    for (const [name, value] of Object.entries(params))
      if (value !== undefined) url.searchParams.set(name, value)
    return { signedIn, page: await signedIn.visitor.visit(url.href) }
  }
  const confirm = async ({ signedIn, page }: Asked) =>
    await signedIn.visitor.submit(page, 'sign-out-form', { logout: 'yes' })

  /** The person is asked, and then back at the client with these parameters, and signed out. */
  async function comesBack(t: Test, over: Fields, expected: [string, string][]): Promise<void> {
    const asked = await logOut(t, () => over)
    t.match(asked.page.text, '<h1>Sign out?</h1>')
    const { location } = await confirm(asked)
    const back = new URL(location ?? '')
    t.equal(`${back.origin}${back.pathname}`, post_logout_redirect_uri)
    t.strictSame([...back.searchParams], expected)
    t.notOk(await isSignedIn(suite, asked.signedIn))
  }

  /** The person is asked, stays here, and is signed out. */
  async function endsHere(t: Test, over: Fields): Promise<void> {
    const asked = await logOut(t, () => over)
    const done = await confirm(asked)
    t.equal(done.status, 200)
    t.equal(done.location, null)
    t.match(done.text, '<h1>You are signed out</h1>')
    t.notOk(await isSignedIn(suite, asked.signedIn))
  }

  /** The request is answered with an error page: nobody is sent anywhere, and nobody is signed out. */
  async function isRefused(t: Test, over: (signedIn: Finished) => Fields): Promise<void> {
    const { page, signedIn } = await logOut(t, over)
    t.equal(page.status, 400)
    t.equal(page.location, null)
    t.match(page.text, '<h1>The application sent something that we cannot accept</h1>')
    t.ok(await isSignedIn(suite, signedIn))
  }

  await t.test(
    'oidcc-rp-initiated-logout-discovery-endpoint-verification (RP-Initiated Logout 1.0 §2.1): there is an end_session_endpoint',
    async t => {
      t.ok(endpoint.startsWith(`${service.issuer}/`))
    }
  )

  await t.test(
    'oidcc-rp-initiated-logout (RP-Initiated Logout 1.0 §2, §3): the person is signed out and back at the client, with the state as it was sent',
    async t => await comesBack(t, {}, [['state', state]])
  )

  await t.test(
    'oidcc-rp-initiated-logout-bad-post-logout-redirect-uri (RP-Initiated Logout 1.0 §3): nobody is sent to a URI that is not registered',
    async t => await isRefused(t, () => ({ post_logout_redirect_uri: `${suiteUrl}/another` }))
  )

  await t.test(
    'oidcc-rp-initiated-logout-modified-id-token-hint (RP-Initiated Logout 1.0 §2): a hint whose signature was taken off is refused',
    async t =>
      await isRefused(t, ({ idToken }) => {
        const none = Buffer.from('{"alg":"none"}').toString('base64url')
        return { id_token_hint: `${none}.${idToken.split('.')[1]}.` }
      })
  )

  await t.test(
    'oidcc-rp-initiated-logout-no-id-token-hint (RP-Initiated Logout 1.0 §3): without a hint the person is asked, and stays here',
    async t => await endsHere(t, { id_token_hint: undefined })
  )

  await t.test(
    'oidcc-rp-initiated-logout-no-params (RP-Initiated Logout 1.0 §2): without parameters the person is signed out here',
    async t =>
      await endsHere(t, { id_token_hint: undefined, post_logout_redirect_uri: undefined, state: undefined })
  )

  await t.test(
    'oidcc-rp-initiated-logout-no-post-logout-redirect-uri (RP-Initiated Logout 1.0 §2): with a hint alone the person is signed out here',
    async t => await endsHere(t, { post_logout_redirect_uri: undefined })
  )

  await t.test(
    'oidcc-rp-initiated-logout-no-state (RP-Initiated Logout 1.0 §3): no state comes back where none was sent',
    async t => await comesBack(t, { state: undefined }, [])
  )

  await t.test(
    'oidcc-rp-initiated-logout-only-state (RP-Initiated Logout 1.0 §2): with a state alone the person is signed out here',
    async t => await endsHere(t, { id_token_hint: undefined, post_logout_redirect_uri: undefined })
  )

  await t.test(
    'oidcc-rp-initiated-logout-query-added-to-post-logout-redirect-uri (RP-Initiated Logout 1.0 §3): a registered URI with a query added is another URI',
    async t => await isRefused(t, () => ({ post_logout_redirect_uri: `${post_logout_redirect_uri}?foo=bar` }))
  )

  await t.test(
    'oidcc-rp-initiated-logout-bad-id-token-hint (RP-Initiated Logout 1.0 §2): a hint that somebody else signed is refused',
    async t => {
      const { privateKey } = await generateKeyPair('RS256')
      const signed = await new SignJWT({ sub: 'somebody' })
        .setProtectedHeader({ alg: 'RS256' })
        .setIssuer(service.issuer)
        .setIssuedAt()
        .setExpirationTime('5m')
        .sign(privateKey)
      await isRefused(t, () => ({ id_token_hint: signed }))
    }
  )
})
