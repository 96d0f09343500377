// No address gives out a secret: every route, asked as nobody, as a person and as an application (TOK-5, OID-10).
import t from 'tap'
import { findClient } from '../../src/clients/repository.ts'
import { clientSecretKey, protocolMetadata } from '../../src/clients/service.ts'
import { loadSigningKeys } from '../../src/keys/service.ts'
import { clientOf, obtainTokens, registerPortal, signedInVisitor } from '../helpers/protocol.ts'
import { listRoutes } from '../helpers/routes.ts'
import { startService } from '../helpers/service.ts'

const service = await startService(t, {
  environment: {
    DYNAMIC_REGISTRATION: 'open',
    CLIENT_ID_METADATA_DOCUMENTS: 'on',
    CIBA: 'on',
    JWT_ENCRYPTION: 'on',
    MAIL_SIGN_IN: 'on'
  }
})
const { ctx } = service.app
// Its secret is kept so that it can be read back: HMACs need it.
const shop = await registerPortal(service, {
  client_name: 'Shop',
  token_endpoint_auth_method: 'client_secret_jwt',
  scope: 'openid email'
})
const visitor = await signedInVisitor(service, await registerPortal(service))

t.test('TOK-5, OID-10: no answer holds a private key, a secret of ours, or one of a client', async t => {
  const keys = await loadSigningKeys(ctx)
  const stored = await findClient(ctx.sql, shop.client_id)
  const kept = stored && protocolMetadata(stored, clientSecretKey(ctx.config)).client_secret
  t.equal(kept, shop.client_secret, 'it can be read back, so it could be told')
  const secrets = [
    ...keys.flatMap(key => [key.d, key.p, key.q, key.dp, key.dq, key.qi]),
    String(shop.client_secret),
    String(clientOf(service, 'demo-web').client_secret),
    ctx.config.encryptionKey.toString('base64'),
    ctx.config.encryptionKey.toString('base64url'),
    ctx.config.encryptionKey.toString('hex')
  ].filter(secret => secret !== undefined)
  t.ok(secrets.length > 8)

  const demo = clientOf(service, 'demo-web')
  const { access_token } = await obtainTokens(service, { client: await registerPortal(service), visitor })
  const callers: Record<string, Record<string, string>> = {
    nobody: {},
    'a person': {
      cookie: [...visitor.cookies].map(([name, { value }]) => `${name.split('|')[0]}=${value}`).join('; ')
    },
    'a token': { authorization: `Bearer ${access_token}` },
    'an application': {
      authorization: `Basic ${Buffer.from(`${demo.client_id}:${demo.client_secret}`).toString('base64')}`
    }
  }
  let answers = 0
  for (const { url, methods } of listRoutes(service))
    for (const method of methods.filter(method => method !== 'HEAD'))
      for (const [caller, headers] of Object.entries(callers))
        for (const id of [shop.client_id, 'unknown-1']) {
          const { body } = await service.app.http.inject({
            method: method as 'GET',
            url: url.replace(/:\w+/g, id),
            headers: { host: new URL(service.issuer).host, accept: '*/*', ...headers }
          })
          answers++
          const what = `${method} ${url} as ${caller}`
          t.notOk(
            secrets.some(secret => body.includes(secret)),
            what
          )
          t.notMatch(body, /-----BEGIN [A-Z ]*PRIVATE|"(d|dp|dq|qi)":"|"client_secret":/, what)
        }
  t.ok(answers > 300, `${answers} answers`)
})
