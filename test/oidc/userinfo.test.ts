// What an application is told of a person (OpenID Connect Core 1.0 §5.3, §5.4).
import t from 'tap'
import {
  clientOf,
  get,
  introspect,
  obtainTokens,
  post,
  readJwt,
  registerPortal,
  signedInVisitor,
  userinfo
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('userinfo', async t => {
  const service = await startService(t)
  const client = await registerPortal(service)
  const other = await registerPortal(service, { client_name: 'Other' })
  const visitor = await signedInVisitor(service, client)
  const tokensFor = async (scope: string, as = client) =>
    await obtainTokens(service, { client: as, visitor, params: { scope } })

  await t.test(
    'OID-14: tells of the same person as ID token and introspection do, under every application',
    async t => {
      const tokens = await tokensFor('openid')
      const { sub } = (await userinfo(service, tokens.access_token)).body
      t.match(sub, /^[0-9a-f-]{36}$/)
      t.equal(readJwt(tokens.id_token).payload.sub, sub)
      t.equal((await introspect(service, client, tokens.access_token)).body.sub, sub)
      // A public subject; a pairwise one would differ.
      t.equal(readJwt((await tokensFor('openid', other)).id_token).payload.sub, sub)
    }
  )

  await t.test('OID-14: tells what the scope opens and no more', async t => {
    await service.pool`update accounts set profile = ${service.pool.json({
      given_name: 'Ada',
      phone_number: '+44 20 7946 0000',
      address: { country: 'GB' },
      secret_member: 'never'
    })}`
    const claims = async (scope: string) =>
      Object.keys((await userinfo(service, (await tokensFor(scope)).access_token)).body).sort()
    t.strictSame(await claims('openid'), ['sub'])
    t.strictSame(await claims('openid email'), ['email', 'email_verified', 'sub'])
    t.strictSame(await claims('openid profile'), ['given_name', 'name', 'sub', 'updated_at'])
    t.strictSame(await claims('openid phone'), ['phone_number', 'sub'])
    t.strictSame(await claims('openid address'), ['address', 'sub'])
    const idToken = readJwt((await tokensFor('openid email profile')).id_token).payload
    t.notOk('email' in idToken, 'userinfo is where an application with a code asks (§5.4)')
  })

  await t.test('OID-14: single claims on request', async t => {
    const claims = {
      userinfo: { name: null, email: { essential: true } },
      id_token: { email_verified: null }
    }
    const tokens = await obtainTokens(service, {
      client,
      visitor,
      params: { claims: JSON.stringify(claims) }
    })
    t.strictSame(Object.keys((await userinfo(service, tokens.access_token)).body).sort(), [
      'email',
      'name',
      'sub'
    ])
    t.equal(readJwt(tokens.id_token).payload.email_verified, true)
  })

  await t.test(
    'OID-14, TOK-2: only an access token of an OpenID Connect sign-in is good, in the header or the body',
    async t => {
      const tokens = await tokensFor('openid')
      const good = tokens.access_token ?? ''
      t.equal((await post(service, '/userinfo', { access_token: good })).status, 200)
      t.equal(
        (await post(service, '/userinfo', {}, { headers: { authorization: `Bearer ${good}` } })).status,
        200
      )

      const refused = async (authorization: string) => {
        const { status, headers } = await get(service, '/userinfo', { authorization })
        t.ok([400, 401].includes(status), `${status} for ${authorization.slice(0, 24)}`)
        return headers.get('www-authenticate')
      }
      t.match(await refused(`Bearer ${tokens.id_token}`), /invalid_token/)
      t.match(await refused(`Bearer ${good}x`), /invalid_token/)
      t.match(await refused('Bearer x'), /invalid_token/)
      await refused(`Basic ${good}`)
      await refused(good)
      t.ok([400, 401].includes((await get(service, '/userinfo')).status))
      t.equal((await get(service, `/userinfo?access_token=${good}`)).status, 400, 'never in the URL')
      const both = await post(
        service,
        '/userinfo',
        { access_token: good },
        { headers: { authorization: `Bearer ${good}` } }
      )
      t.equal(both.status, 400, 'not by two ways at once (RFC 6750 §2)')
    }
  )

  await t.test('TOK-2: a token of a resource opens the resource, not userinfo', async t => {
    const { access_token } = await obtainTokens(service, {
      client: clientOf(service, 'demo-web'),
      visitor,
      params: { scope: 'openid api:read', resource: 'urn:demo:api' }
    })
    // The code's resource is asked for by name; without, the token is for userinfo.
    t.equal((await userinfo(service, access_token)).status, 200)
    const ofApi = await post(
      service,
      '/token',
      { grant_type: 'client_credentials', resource: 'urn:demo:api' },
      { client: clientOf(service, 'demo-service') }
    )
    t.equal(ofApi.status, 200)
    t.equal((await userinfo(service, ofApi.body.access_token)).status, 401)
  })

  await t.test('OID-14: when the person is gone, so is the token', async t => {
    const { access_token } = await tokensFor('openid email')
    t.equal((await userinfo(service, access_token)).status, 200)
    await service.pool`delete from accounts`
    const { status, headers, body } = await userinfo(service, access_token)
    t.equal(status, 401)
    t.match(headers.get('www-authenticate'), /invalid_token/)
    t.notOk('sub' in body)
  })
})
