// Applications whose client_id is the URL of what they say of themselves (OAuth Client ID Metadata Document).
import t from 'tap'
import { isClientIdUrl } from '../../src/clients/metadata-document-model.ts'
import { createMember } from '../helpers/account.ts'
import { createApplication, newcomer, openid, signInAgain } from '../helpers/application.ts'
import { cibaGrant, decideNewest } from '../helpers/approvals.ts'
import { type Page, startSite } from '../helpers/https-site.ts'
import { createKey, jwksOf, postSigned } from '../helpers/keyed-client.ts'
import { atOnce, authorizationUrl, get, readJwt } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { pageText, Visitor } from '../helpers/visitor.ts'

const site = await startSite(t)
const guarded = await startService(t, { environment: { CLIENT_ID_METADATA_DOCUMENTS: 'on' } })
const choosy = await startService(t, {
  environment: {
    CLIENT_ID_METADATA_DOCUMENTS: 'on',
    CLIENT_ID_METADATA_HOSTS: 'tools.example.org',
    OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8,::1'
  }
})
const off = await startService(t)
// The last one: the clock is that one's.
const service = await startService(t, {
  environment: {
    CLIENT_ID_METADATA_DOCUMENTS: 'on',
    OUTBOUND_ALLOWED_NETWORKS: '127.0.0.0/8,::1',
    CIBA: 'on',
    REGISTRATION_GRANT_TYPES: `authorization_code,refresh_token,${cibaGrant}`
  }
})

let documents = 0
/** Publishes a document at an address of its own; `over` is laid over what is right. */
function publish(over: Record<string, unknown> = {}, page: Page = {}) {
  const path = `/client-${++documents}.json`
  const client_id = `${site.origin}${path}`
  const document = {
    client_id,
    client_name: 'Tide tables',
    redirect_uris: ['https://tides.example/callback'],
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    ...over
  }
  site.pages.set(path, { body: document, ...page })
  const asked = () => site.asked.filter(asking => asking === path).length
  return { ...document, client_id, path, asked }
}

type Published = Pick<ReturnType<typeof publish>, 'client_id' | 'redirect_uris'>

/** What a browser sees at the start of a sign-in: the status, and the words of the page. */
async function begin(at: typeof service, client: Published) {
  const { status, text } = await new Visitor().visit(authorizationUrl(at, client as never))
  return { status, words: pageText(text) }
}
const signInShown = { status: 200, words: /Sign in/ }

/** Sites are asked so often a minute; each test has a minute of its own. */
t.beforeEach(() => service.advance(61))

t.test('§5: discovery says whether such ids are known', async t => {
  const at = '/.well-known/oauth-authorization-server'
  t.equal((await get(service, at)).body.client_id_metadata_document_supported, true)
  t.notOk('client_id_metadata_document_supported' in (await get(off, at)).body)
})

t.test('somebody signs in with an application that nobody registered', async t => {
  const client = publish()
  const application = await createApplication(service, client as never)
  const { tokens, email, visitor } = await newcomer(service, application)
  t.equal(tokens.claims()?.aud, client.client_id)
  const { url } = await application.begin({ scope: 'openid', prompt: '' })
  t.match((await visitor.visit(url)).location, /[?&]code=/, 'what was agreed to is remembered')
  const refreshed = await openid.refreshTokenGrant(application.config, tokens.refresh_token ?? '')
  t.match(refreshed, { access_token: /./ })
  const info = await openid.fetchUserInfo(application.config, refreshed.access_token, openid.skipSubjectCheck)
  t.equal(info.email, email)
  t.equal(client.asked(), 1, 'the document was fetched once')
  const [row] = await service.pool`select registered_by, last_used_at, first_party from clients
    where client_id = ${client.client_id}`
  t.match(row, { registeredBy: 'client_id_metadata_document', lastUsedAt: Date, firstParty: false })
  const refused = await signInAgain(await createApplication(off, client as never), new Visitor(), {
    email
  }).catch(() => 'refused')
  t.equal(refused, 'refused')
})

t.test('OID-15: the page says who speaks for the application, and where the browser goes', async t => {
  const consentOf = async (over: Record<string, unknown>, email: string) => {
    const client = publish({ client_name: 'Your bank', client_uri: 'https://bank.example/', ...over })
    const application = await createApplication(service, client as never)
    const visitor = new Visitor()
    const { visitor: known } = await newcomer(service, await createApplication(service), { email })
    for (const [key, cookie] of known.cookies) visitor.cookies.set(key, cookie)
    const { url } = await application.begin({ scope: 'openid', prompt: '' })
    return pageText((await visitor.visit(url)).text)
  }
  const web = await consentOf({}, 'web@example.org')
  t.match(web, /Nobody at .* has checked this application/)
  t.match(web, `It is what ${new URL(site.origin).host} says that it is`)
  t.match(web, 'you go on to tides.example')
  t.notMatch(web, 'bank.example', 'what it says of its home proves nothing')
  const native = await consentOf({ redirect_uris: ['http://localhost/callback'] }, 'native@example.org')
  t.match(native, 'you go on to a program on this device')
})

t.test('private_key_jwt is the one way for such an application to prove who it is', async t => {
  const { publicKey, privateKey } = await crypto.subtle.generateKey(
    { name: 'ECDSA', namedCurve: 'P-256' },
    true,
    ['sign', 'verify']
  )
  const jwk = { ...(await crypto.subtle.exportKey('jwk', publicKey)), kid: 'k1', use: 'sig', alg: 'ES256' }
  const client = publish({ token_endpoint_auth_method: 'private_key_jwt', jwks: { keys: [jwk] } })
  const unproven = await createApplication(service, client as never)
  const refused = await newcomer(service, unproven, { email: 'key@example.org' }).catch(error => error)
  t.match(refused, { error: 'invalid_client' })
  const proof = openid.PrivateKeyJwt({ key: privateKey, kid: 'k1' })
  const application = await createApplication(service, client as never, proof)
  t.match(await signInAgain(application, new Visitor(), { email: 'key@example.org' }), { access_token: /./ })
})

t.test('its person may approve elsewhere (CIBA Core 1.0)', async t => {
  const key = createKey('ES256')
  const client = publish({
    grant_types: ['authorization_code', cibaGrant],
    token_endpoint_auth_method: 'private_key_jwt',
    backchannel_token_delivery_mode: 'poll',
    jwks: jwksOf(key)
  })
  const ada = await createMember(service)
  const fields = { scope: 'openid', login_hint: ada.email }
  const sent = { client: client as never, key }
  const started = await postSigned(service, '/backchannel', { ...sent, fields })
  t.equal(started.status, 200, started.text)
  await decideNewest(ada, 'approve')
  const poll = { grant_type: cibaGrant, auth_req_id: String(started.body.auth_req_id) }
  const { status, body } = await postSigned(service, '/token', { ...sent, fields: poll })
  t.equal(status, 200)
  t.match(readJwt(body.id_token).payload, { sub: ada.account.id, aud: client.client_id })
})

const wrong: Record<string, [over: Record<string, unknown>, says: RegExp]> = {
  'of another id': [{ client_id: 'https://other.example/client.json' }, /client_id must be the URL/],
  'without an id': [{ client_id: undefined }, /client_id must be the URL/],
  'with a secret': [{ client_secret: 'everybody knows' }, /client_secret must not be/],
  'with a secret’s end': [{ client_secret_expires_at: 0 }, /client_secret_expires_at must not be/],
  'with a secret to post': [
    { token_endpoint_auth_method: 'client_secret_post' },
    /token_endpoint_auth_method/
  ],
  'with a secret to sign with': [
    { token_endpoint_auth_method: 'client_secret_jwt' },
    /token_endpoint_auth_method/
  ],
  'with a secret by default': [
    { token_endpoint_auth_method: 'client_secret_basic' },
    /token_endpoint_auth_method/
  ],
  'with a symmetric key': [{ jwks: { keys: [{ kty: 'oct', k: 'c2VjcmV0' }] } }, /jwks key 1/],
  'with HS256': [{ id_token_signed_response_alg: 'HS256' }, /id_token_signed_response_alg/],
  'without redirect URIs': [{ redirect_uris: [] }, /redirect_uris/],
  'with http': [{ redirect_uris: ['http://tides.example/callback'] }, /redirect_uris\[0\] must use https/],
  'with script': [{ redirect_uris: ['javascript:alert(1)'] }, /redirect_uris\[0\]/],
  'with a logo inside': [{ logo_uri: 'https://10.0.0.1/x.png' }, /logo_uri must not be on a loopback/],
  'with keys inside': [{ jwks_uri: 'https://169.254.169.254/' }, /jwks_uri must not be on a loopback/],
  'with an implicit flow': [
    { grant_types: ['implicit'], response_types: ['token'] },
    /grant_types must hold/
  ],
  'with what only the library refuses': [{ response_modes: [] }, /document at client_id is wrong: \S/],
  'with a name of two lines': [{ client_name: 'a\nb' }, /client_name/]
}

t.test('§4: a document that is wrong is refused, and whoever develops it is told why', async t => {
  for (const [what, [over, says]] of Object.entries(wrong)) {
    service.advance(61)
    const client = publish(over)
    const { redirect_uris } = publish({})
    const { status, words } = await begin(service, {
      client_id: `${site.origin}${client.path}`,
      redirect_uris
    })
    t.ok(status >= 400 && status < 500, `${what}: ${status}`)
    t.match(words, says, what)
  }
})

t.test('a document cannot grant what only the operator grants', async t => {
  const client = publish({
    first_party: true,
    introspection: true,
    resources: ['urn:demo:api'],
    scope: 'openid admin',
    grant_types: ['authorization_code', 'client_credentials']
  })
  t.match(await begin(service, client), signInShown)
  const found = await service.app.oidc.current().registry.clients.find(client.client_id)
  t.match(found, {
    first_party: false,
    introspection: false,
    resources: [],
    grantTypes: ['authorization_code']
  })
  t.equal(found?.registered_scope, 'openid')
  const { words } = await begin(service, { ...client, redirect_uris: ['https://evil.example/callback'] })
  t.match(words, /redirect_uri/)
})

const answers: Record<string, Page | null> = {
  'an error': { status: 500 },
  'not found': { status: 404 },
  'a redirect': { status: 302, headers: { location: '/client-1.json' } },
  'no content': { status: 204 },
  HTML: { headers: { 'content-type': 'text/html' } },
  'no type': { headers: { 'content-type': '' } },
  'no JSON': { body: '{' },
  'a list': { body: '[]' },
  nothing: { body: '' },
  'more than 5 KB': { body: `{"x":"${'x'.repeat(6000)}"}` },
  'a connection that breaks off': null
}

t.test('§6: an answer that is no document is refused', async t => {
  for (const [what, page] of Object.entries(answers)) {
    service.advance(61)
    const client = publish({}, page ?? {})
    if (page === null) site.pages.delete(client.path)
    const { status, words } = await begin(service, client)
    t.ok(status >= 400 && status < 500, `${what}: ${status}`)
    t.match(words, /the document at client_id (could not be fetched|is not)/, what)
    t.equal(client.asked(), 1)
  }
})

t.test('§3: which URLs are ids', async t => {
  for (const id of [
    'https://a.example/c',
    'https://a.example/c.json',
    'https://a.example:8443/c',
    'https://a.example/?c'
  ])
    t.equal(isClientIdUrl(id), id !== 'https://a.example/?c', id)
  for (const id of [
    'http://a.example/c',
    'HTTPS://a.example/c',
    'https://A.example/c',
    'https://a.example',
    'https://a.example/',
    'https://a.example/c#',
    'https://a.example/c#x',
    'https://u@a.example/c',
    'https://u:p@a.example/c',
    'https://@a.example/c',
    'https://a.example:443/c',
    'https://a.example/x/../c',
    'https://a.example/x/%2e%2e/c',
    'https://a.example/./c',
    'https://a.example\\c',
    'https:\\\\a.example/c',
    'https:a.example/c',
    'https:///a.example/c',
    ' https://a.example/c',
    'https://a.example/c ',
    'https://a.example/c\n',
    'https://2130706433/c',
    'https://bücher.example/c',
    `https://a.example/${'x'.repeat(500)}`,
    'data:application/json,{}',
    'file:///etc/passwd',
    ''
  ])
    t.equal(isClientIdUrl(id), false, id)
})

t.test('SSRF: what is not public is not asked, and looks like any site that is down', async t => {
  const client = publish()
  const inside = await begin(guarded, client)
  t.equal(client.asked(), 0)
  const down = await begin(guarded, { ...client, client_id: 'https://nowhere.invalid/client.json' })
  t.strictSame(inside, { ...down, words: inside.words })
  t.match(inside.words, 'could not be fetched')
  t.equal(inside.words.replace(/\S{36}/g, ''), down.words.replace(/\S{36}/g, ''))
  for (const host of ['127.0.0.1', '[::1]', '10.0.0.1', '169.254.169.254', '[::ffff:127.0.0.1]'])
    t.match(
      (await begin(guarded, { ...client, client_id: `https://${host}/c` })).words,
      /could not be fetched|client/
    )
})

t.test('CLIENT_ID_METADATA_HOSTS: other hosts’ documents are not asked for', async t => {
  const client = publish()
  t.match((await begin(choosy, client)).words, 'is of a host that is not believed here')
  t.equal(client.asked(), 0)
  t.match((await begin(off, client)).words, /client/)
  t.equal(client.asked(), 0, 'nor any where there are none')
})

t.test(
  'RFC 9111: a document is good as long as it says, for a minute at least and about a day at most',
  async t => {
    const cases: [cacheControl: string | undefined, fresh: number][] = [
      [undefined, 299],
      ['max-age=3600', 3599],
      ['max-age=1', 59],
      ['no-store', 59],
      ['max-age=31536000', 86_399],
      ['private, MAX-AGE="600"', 599],
      ['max-age=-1', 299]
    ]
    for (const [cacheControl, fresh] of cases) {
      const client = publish(
        {},
        cacheControl === undefined ? {} : { headers: { 'cache-control': cacheControl } }
      )
      await begin(service, client)
      service.advance(fresh)
      await begin(service, client)
      t.equal(client.asked(), 1, `${cacheControl}: fresh for ${fresh} s`)
      // A client is remembered for a minute, whatever it is made of.
      service.advance(62)
      await begin(service, client)
      t.equal(client.asked(), 2, `${cacheControl}: stale after`)
    }
  }
)

t.test(
  'a change is heard of; a site that is down puts nobody out for a day, one that denies it does',
  async t => {
    const client = publish({}, { headers: { 'cache-control': 'max-age=60' } })
    t.match(await begin(service, client), signInShown)
    const page = site.pages.get(client.path) as Page
    service.advance(61)
    site.pages.set(client.path, { status: 503 })
    t.match(await begin(service, client), signInShown)
    service.advance(86_400)
    t.match((await begin(service, client)).words, 'could not be fetched')
    service.advance(61)
    site.pages.set(client.path, page)
    t.match(await begin(service, client), signInShown)
    service.advance(61)
    site.pages.set(client.path, { status: 404 })
    t.match((await begin(service, client)).words, 'could not be fetched', 'it was taken back')
  }
)

t.test('OID-16: a document that turns wrong hides none of a person’s applications', async t => {
  const client = publish({}, { headers: { 'cache-control': 'max-age=60' } })
  const application = await createApplication(service, client as never)
  const { visitor } = await newcomer(service, application, { email: 'turned@example.org' })
  const page = site.pages.get(client.path)
  site.pages.set(client.path, { ...page, body: { ...(page?.body as object), response_modes: [] } })
  service.advance(61)
  const { status, text } = await visitor.visit(new URL('/account/applications', service.issuer).href)
  t.equal(status, 200)
  t.match(pageText(text), client.client_id)
})

t.test('nobody has us hammer a site', async t => {
  const slow = Promise.withResolvers<void>()
  const shared = publish({}, { after: slow.promise })
  const all = atOnce(20, () => begin(service, shared))
  while (shared.asked() === 0) await new Promise(resolve => setTimeout(resolve, 5))
  slow.resolve()
  for (const answer of await all) t.match(answer, signInShown)
  t.equal(shared.asked(), 1, 'one fetch serves all who wait')

  service.advance(61)
  const missing = publish({}, { status: 404 })
  for (let tries = 0; tries < 5; tries++) await begin(service, missing)
  t.equal(missing.asked(), 1, 'a failure is remembered')

  service.advance(61)
  site.asked.length = 0
  for (let tries = 0; tries < 40; tries++) await begin(service, publish())
  t.equal(site.asked.length, 12, 'of one site, whichever documents')
  t.match((await begin(service, publish())).words, 'cannot be fetched just now')
  service.advance(61)
  t.match(await begin(service, publish()), signInShown)
})

t.test('what somebody let in is fetched, whatever else is asked of its site', async t => {
  const client = publish({}, { headers: { 'cache-control': 'max-age=60' } })
  const application = await createApplication(service, client as never)
  await newcomer(service, application, { email: 'crowded@example.org' })
  service.advance(61)
  for (let tries = 0; tries < 20; tries++) await begin(service, publish())
  t.match((await begin(service, publish())).words, 'cannot be fetched just now')
  t.match(await begin(service, client), signInShown)
  t.equal(client.asked(), 2)
})

t.test('addresses that lead nowhere push out no document', async t => {
  const client = publish({}, { headers: { 'cache-control': 'max-age=3600' } })
  t.match(await begin(service, client), signInShown)
  const { clients } = service.app.oidc.current().registry
  for (let host = 0; host < 1001; host++)
    t.equal(await clients.find(`https://127.1.${host >> 8}.${host & 255}/client.json`), undefined)
  service.advance(61)
  t.match(await begin(service, client), signInShown)
  t.equal(client.asked(), 1)
})
