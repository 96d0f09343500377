// The conformance profile: what the OpenID Foundation's test suite needs, where nobody else is let in.
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import { ensureTestPerson } from '../../src/development/conformance-service.ts'
import { agree } from '../helpers/application.ts'
import { authorizationUrl, callbackOf, readJwt, userinfo } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'
import { Visitor } from '../helpers/visitor.ts'

/** OpenID Connect Core 1.0 §5.1 */
const standardClaims = [
  ...['sub', 'name', 'given_name', 'family_name', 'middle_name', 'nickname', 'preferred_username', 'profile'],
  ...['picture', 'website', 'email', 'email_verified', 'gender', 'birthdate', 'zoneinfo', 'locale'],
  ...['phone_number', 'phone_number_verified', 'address', 'updated_at']
]
const withoutPkce = { code_challenge: undefined, code_challenge_method: undefined }

t.test('the profile is refused for an address that people are sent to', async t => {
  const load = (ISSUER: string) => loadConfig({ PROFILE: 'conformance', ISSUER }, { writeSecrets: false })
  for (const issuer of ['https://id.example.org', 'https://op.test.example.org', 'https://optest']) {
    const outcome = load(issuer)
    t.ok(!outcome.ok && outcome.faults.some(({ setting }) => setting === 'PROFILE'), issuer)
  }
  for (const issuer of ['http://localhost:3000', 'https://op.test', 'https://gatehouse.op.test:8443'])
    t.ok(load(issuer).ok, issuer)
})

t.test('the test account signs in with what DATA_DIR tells, and has every standard claim', async t => {
  const service = await startService(t, { environment: { PROFILE: 'conformance' } })
  const { ctx } = service.app
  const person = await ensureTestPerson(ctx)
  const path = join(service.dataDir, 'conformance.json')
  t.strictSame(JSON.parse(readFileSync(path, 'utf8')), person)
  t.equal(statSync(path).mode & 0o777, 0o600)
  t.strictSame(await ensureTestPerson(ctx), person, 'a later start changes nothing')

  // The suite's clients need neither PKCE nor consent pages of another kind.
  const suite = await service.register({
    client_name: 'Suite',
    redirect_uris: ['https://suite.example.org/callback'],
    grant_types: ['authorization_code', 'implicit'],
    response_types: [
      'code',
      'id_token',
      'code id_token',
      'id_token token',
      'code token',
      'code id_token token'
    ],
    scope: 'openid profile email address phone'
  })
  const visitor = new Visitor()
  const everything = 'openid profile email address phone'
  const hybrid = { response_type: 'code id_token token', nonce: 'n1', scope: everything }
  const page = await visitor.visit(authorizationUrl(service, suite, { ...withoutPkce, ...hybrid }))
  const done = await agree(visitor, await visitor.submit(page, 'sign-in-form', person))
  const answer = new URLSearchParams(callbackOf(done).hash.slice(1))
  t.ok(answer.get('code'))
  t.equal(readJwt(answer.get('id_token') ?? '').payload.nonce, 'n1')
  const { body } = await userinfo(service, answer.get('access_token') ?? '')
  const missing = standardClaims.filter(claim => body[claim as keyof typeof body] === undefined)
  t.strictSame(missing, [])

  writeFileSync(path, 'lost')
  const renewed = await ensureTestPerson(ctx)
  t.not(renewed.password, person.password, 'where the file was lost, a new password is set')
  const stranger = new Visitor()
  const signIn = await stranger.visit(authorizationUrl(service, suite, withoutPkce))
  t.equal((await stranger.submit(signIn, 'sign-in-form', person)).status, 422)
})
