// What browsers and password managers look up about passkeys, and the headers that let our pages use them.
import t, { type Test } from 'tap'
import { mountWellKnown } from '../../src/self-service/well-known-routes.ts'
import { createPagesApp, testConfig } from '../helpers/pages.ts'

const appOf = async (t: Test, settings: Record<string, string> = {}) => {
  const config = testConfig({ ISSUER: 'http://localhost:4000', ...settings })
  return await createPagesApp(t, config, app => mountWellKnown(app, config))
}

t.test('a password manager finds where passkeys are added and managed', async t => {
  const app = await appOf(t)
  const answer = await app.inject('/.well-known/passkey-endpoints')
  t.match(answer.headers['content-type'], /^application\/json/)
  t.equal(answer.headers['cache-control'], 'public, max-age=3600')
  t.strictSame(answer.json(), {
    enroll: 'http://localhost:4000/account/security',
    manage: 'http://localhost:4000/account/security'
  })
})

t.test('origins that may use the passkeys too are published, if there are any', async t => {
  const app = await appOf(t, { WEBAUTHN_RELATED_ORIGINS: 'https://shop.example, https://app.example:8443' })
  const answer = await app.inject('/.well-known/webauthn')
  t.match(answer.headers['content-type'], /^application\/json/)
  t.strictSame(answer.json(), {
    origins: ['http://localhost:4000', 'https://shop.example', 'https://app.example:8443']
  })
  t.equal((await (await appOf(t)).inject('/.well-known/webauthn')).statusCode, 404)
})

t.test('our own pages alone may use passkeys, and ask nobody else for options', async t => {
  const { headers } = await (await appOf(t)).inject('/.well-known/passkey-endpoints')
  t.match(headers['permissions-policy'], 'publickey-credentials-get=(self)')
  t.match(headers['permissions-policy'], 'publickey-credentials-create=(self)')
  t.match(headers['content-security-policy'], /(^|;)connect-src 'self'(;|$)/)
})
