// Proof Key for Code Exchange: a code that was stolen on its way is worth nothing (RFC 7636, RFC 9700 §2.1.1).
import { createHash } from 'node:crypto'
import t from 'tap'
import type { DemoClient } from '../../src/development/clients-service.ts'
import {
  authorizationUrl,
  callbackOf,
  createVerifier,
  type Fields,
  obtainCode,
  redeem,
  redirectUriOf,
  registerPortal,
  signedInVisitor
} from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

t.test('PKCE', async t => {
  const service = await startService(t)
  const portal = await registerPortal(service)
  const publicClient = await registerPortal(service, {
    client_name: 'Portal in the browser',
    token_endpoint_auth_method: 'none'
  })
  const oldApplication = await registerPortal(service, { client_name: 'Old portal', require_pkce: false })
  const visitor = await signedInVisitor(service, portal)
  const ask = async (client: DemoClient, params: Fields) =>
    callbackOf(await visitor.visit(authorizationUrl(service, client, params))).searchParams

  await t.test('OID-4: a public application cannot go without', async t => {
    const without = await ask(publicClient, { code_challenge: undefined, code_challenge_method: undefined })
    t.equal(without.get('error'), 'invalid_request')
    t.equal(without.get('code'), null)
    const methodOnly = await ask(publicClient, { code_challenge: undefined })
    t.equal(methodOnly.get('error'), 'invalid_request')
  })

  await t.test('OID-4: nor can one with a secret, unless it is registered so', async t => {
    const without = await ask(portal, { code_challenge: undefined, code_challenge_method: undefined })
    t.equal(without.get('error'), 'invalid_request')
    t.equal(without.get('code'), null)
  })

  await t.test('OID-4: `plain` is refused, said or meant', async t => {
    const { verifier } = createVerifier()
    for (const client of [portal, publicClient]) {
      const said = await ask(client, { code_challenge: verifier, code_challenge_method: 'plain' })
      t.equal(said.get('error'), 'invalid_request')
      // Without a method RFC 7636 §4.3 means plain.
      const meant = await ask(client, { code_challenge: verifier, code_challenge_method: undefined })
      t.equal(meant.get('error'), 'invalid_request')
      t.equal(meant.get('code'), null)
    }
  })

  await t.test('OID-4: a challenge has the form of one', async t => {
    for (const length of [1, 42, 129, 5000]) {
      const asked = await ask(portal, { code_challenge: 'a'.repeat(length) })
      t.equal(asked.get('error'), 'invalid_request', `${length} characters`)
    }
    for (const challenge of [`${'a'.repeat(42)}=`, `${'a'.repeat(42)} `, `${'a'.repeat(42)}ä`])
      t.equal((await ask(portal, { code_challenge: challenge })).get('error'), 'invalid_request')
  })

  await t.test('OID-4: a verifier has the form of one, even where it would fit', async t => {
    for (const verifier of ['a'.repeat(42), 'a'.repeat(129), `${'a'.repeat(42)}+`]) {
      const code_challenge = createHash('sha256').update(verifier).digest('base64url')
      const callback = await ask(publicClient, { code_challenge })
      const { status, body } = await redeem(service, publicClient, {
        code: callback.get('code') ?? '',
        verifier,
        redirectUri: redirectUriOf(publicClient)
      })
      t.equal(status, 400, `${verifier.length} characters`)
      t.match(body.error, /^invalid_(grant|request)$/)
    }
  })

  await t.test('OID-4: the right verifier redeems, none or another does not', async t => {
    const code = await obtainCode(service, { client: publicClient, visitor })
    t.equal((await redeem(service, publicClient, code, { code_verifier: undefined })).status, 400)
    t.equal(
      (await redeem(service, publicClient, code, { code_verifier: createVerifier().verifier })).status,
      400
    )
    t.equal((await redeem(service, publicClient, code)).status, 200)
  })

  await t.test(
    'OID-4: a verifier for a request that had no challenge is a downgrade and refused',
    async t => {
      const withoutChallenge = { code_challenge: undefined, code_challenge_method: undefined }
      const callback = await ask(oldApplication, withoutChallenge)
      const code = {
        code: callback.get('code') ?? '',
        verifier: createVerifier().verifier,
        redirectUri: redirectUriOf(oldApplication)
      }
      t.not(code.code, '')
      t.equal((await redeem(service, oldApplication, code)).body.error, 'invalid_grant')
      // A confidential application that never used PKCE is known by its secret.
      t.equal((await redeem(service, oldApplication, code, { code_verifier: undefined })).status, 200)
    }
  )
})
