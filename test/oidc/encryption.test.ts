// ID tokens and userinfo that only their application can read (OpenID Connect Core 1.0 §10.2), and signed userinfo.
import { generateKeyPairSync, type webcrypto } from 'node:crypto'
import {
  compactDecrypt,
  createRemoteJWKSet,
  decodeProtectedHeader,
  importJWK,
  type JWK,
  jwtVerify
} from 'jose'
import t from 'tap'
import { createApplication, openid } from '../helpers/application.ts'
import { get, obtainTokens, readJwt, registerPortal, signedInVisitor, userinfo } from '../helpers/protocol.ts'
import { startService } from '../helpers/service.ts'

function createEncryptionKey(alg: string): { jwk: JWK; privateJwk: JWK } {
  const { publicKey, privateKey } = alg.startsWith('RSA')
    ? generateKeyPairSync('rsa', { modulusLength: 2048 })
    : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const members = { kid: `for ${alg}`, use: 'enc', alg }
  return {
    jwk: { ...(publicKey.export({ format: 'jwk' }) as JWK), ...members },
    privateJwk: { ...(privateKey.export({ format: 'jwk' }) as JWK), ...members }
  }
}

t.test('encryption', async t => {
  const service = await startService(t, { environment: { JWT_ENCRYPTION: 'on' } })
  const keys = createRemoteJWKSet(new URL('/jwks', service.issuer))
  const portal = await registerPortal(service)
  const visitor = await signedInVisitor(service, portal)

  for (const [alg, enc] of [
    ['RSA-OAEP-256', 'A256GCM'],
    ['ECDH-ES', 'A128CBC-HS256'],
    ['ECDH-ES+A256KW', 'A128GCM']
  ] as const)
    await t.test(`§10.2: ${alg} with ${enc}, signed within`, async t => {
      const { jwk, privateJwk } = createEncryptionKey(alg)
      const client = await registerPortal(service, {
        jwks: { keys: [jwk] },
        id_token_encrypted_response_alg: alg,
        id_token_encrypted_response_enc: enc,
        userinfo_signed_response_alg: 'ES256',
        userinfo_encrypted_response_alg: alg,
        userinfo_encrypted_response_enc: enc
      })
      const tokens = await obtainTokens(service, {
        client,
        visitor,
        params: { scope: 'openid email', nonce: 'n-1' }
      })
      t.equal(tokens.id_token?.split('.').length, 5)
      t.match(decodeProtectedHeader(tokens.id_token ?? ''), { alg, enc, kid: jwk.kid, cty: 'JWT' })
      const decrypt = async (jwe: string) => {
        const { plaintext } = await compactDecrypt(jwe, await importJWK(privateJwk, alg))
        return await jwtVerify(plaintext, keys, { issuer: service.issuer, audience: client.client_id })
      }
      const { payload, protectedHeader } = await decrypt(tokens.id_token ?? '')
      t.equal(protectedHeader.alg, 'ES256')
      t.match(payload, { nonce: 'n-1', sub: /.+/ })

      const answer = await userinfo(service, tokens.access_token)
      t.match(answer.headers.get('content-type'), 'application/jwt')
      t.match((await decrypt(answer.text)).payload, { sub: payload.sub, email: 'ada@example.org' })
      const other = createEncryptionKey(alg)
      await t.rejects(async () => await compactDecrypt(answer.text, await importJWK(other.privateJwk, alg)))
    })

  await t.test('openid-client decrypts it', async t => {
    const { jwk, privateJwk } = createEncryptionKey('RSA-OAEP-256')
    const client = await registerPortal(service, {
      jwks: { keys: [jwk] },
      id_token_encrypted_response_alg: 'RSA-OAEP-256',
      id_token_encrypted_response_enc: 'A256GCM'
    })
    const application = await createApplication(service, client)
    const key = (await importJWK(privateJwk, 'RSA-OAEP-256')) as webcrypto.CryptoKey
    openid.enableDecryptingResponses(application.config, ['A256GCM'], { key, kid: String(jwk.kid) })
    const { url, finish } = await application.begin({ scope: 'openid', prompt: 'none' })
    const tokens = await finish((await visitor.visit(url)).location)
    t.match(tokens.claims(), { iss: service.issuer, aud: client.client_id })
  })

  await t.test('it is never left away: without a key of the client’s there is no token', async t => {
    const signing = createEncryptionKey('ECDH-ES')
    const client = await registerPortal(service, {
      jwks: { keys: [{ ...signing.jwk, use: 'sig', alg: 'ES256' }] },
      id_token_encrypted_response_alg: 'RSA-OAEP-256'
    })
    await t.rejects(obtainTokens(service, { client, visitor }), /invalid_client_metadata|encryption key/)
  })

  await t.test('the metadata says what there is, and nothing of encrypted requests', async t => {
    const { body } = await get(service, '/.well-known/openid-configuration')
    t.ok((body.id_token_encryption_alg_values_supported as string[]).includes('RSA-OAEP-256'))
    t.ok((body.userinfo_encryption_enc_values_supported as string[]).includes('A128GCM'))
    t.notMatch(JSON.stringify(body.id_token_encryption_alg_values_supported), /RSA1_5|"RSA-OAEP"|dir/)
    for (const name of ['request_object', 'introspection', 'authorization'])
      t.notOk(`${name}_encryption_alg_values_supported` in body, name)
  })
})

t.test('without JWT_ENCRYPTION', async t => {
  const service = await startService(t)
  const { jwk } = createEncryptionKey('ECDH-ES')

  await t.test('nobody registers for it', async t => {
    await t.rejects(
      registerPortal(service, { jwks: { keys: [jwk] }, id_token_encrypted_response_alg: 'ECDH-ES' }),
      /JWT_ENCRYPTION/
    )
    t.notMatch(JSON.stringify((await get(service, '/.well-known/openid-configuration')).body), /encryption/)
  })

  await t.test(
    'OpenID Connect Core 1.0 §5.3.2: userinfo is signed for whoever registered for that',
    async t => {
      for (const alg of ['ES256', 'RS256', 'EdDSA']) {
        const client = await registerPortal(service, { userinfo_signed_response_alg: alg })
        const visitor = await signedInVisitor(service, client, { email: `${alg.toLowerCase()}@example.org` })
        const tokens = await obtainTokens(service, { client, visitor, params: { scope: 'openid email' } })
        const answer = await userinfo(service, tokens.access_token)
        t.match(answer.headers.get('content-type'), 'application/jwt')
        const { payload } = await jwtVerify(
          answer.text,
          createRemoteJWKSet(new URL('/jwks', service.issuer)),
          {
            issuer: service.issuer,
            audience: client.client_id,
            algorithms: [alg]
          }
        )
        t.equal(payload.sub, readJwt(tokens.id_token).payload.sub)
      }
    }
  )
})
