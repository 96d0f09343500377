// Applications that prove themselves, and sign what they ask for, with keys of their own.
import { generateKeyPairSync, type KeyObject, type webcrypto } from 'node:crypto'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { openid } from './application.ts'
import { signJws } from './jws.ts'
import { type Fields, post, type Reply } from './protocol.ts'
import type { Service } from './service.ts'

export type Alg = 'ES256' | 'EdDSA' | 'RS256' | 'PS256'
export type Key = { alg: Alg; kid: string; privateKey: KeyObject; publicJwk: Record<string, unknown> }

export function createKey(alg: Alg, kid: string = alg): Key {
  const { publicKey, privateKey } =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : alg === 'EdDSA'
        ? generateKeyPairSync('ed25519')
        : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { alg, kid, privateKey, publicJwk: { ...publicKey.export({ format: 'jwk' }), kid, use: 'sig' } }
}

export const jwksOf = (...keys: Key[]) => ({ keys: keys.map(({ publicJwk }) => publicJwk) })

export const seconds = () => Math.floor(Date.now() / 1000)

export const assertionType = 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'

export type Spoilt = { claims?: Record<string, unknown>; header?: Record<string, unknown> }

/** A JWT of this client's: its header and claims as they should be, but for what is spoilt. */
export const signAs = (
  { client_id }: DemoClient,
  { alg, kid, privateKey }: Key,
  { claims = {}, header = {} }: Spoilt = {}
): string =>
  signJws(
    { alg, kid, ...header },
    {
      iss: client_id,
      iat: seconds(),
      nbf: seconds(),
      exp: seconds() + 60,
      jti: crypto.randomUUID(),
      ...claims
    },
    privateKey
  )

export const assertionOf = (
  service: Service,
  client: DemoClient,
  { key, claims = {}, header = {} }: Spoilt & { key: Key }
): string =>
  signAs(client, key, { header, claims: { sub: client.client_id, aud: service.issuer, ...claims } })

/** Posts a form as a client that proves itself by an assertion. */
export const postSigned = async (
  service: Service,
  path: string,
  {
    client,
    key,
    fields,
    headers = {}
  }: { client: DemoClient; key: Key; fields: Fields; headers?: Record<string, string> }
): Promise<Reply> =>
  await post(
    service,
    path,
    {
      ...fields,
      client_assertion_type: assertionType,
      client_assertion: assertionOf(service, client, { key })
    },
    { headers }
  )

/** A WebCrypto key, as openid-client takes it. */
export async function toCryptoKey({ alg, privateKey }: Key): Promise<webcrypto.CryptoKey> {
  const algorithms = {
    ES256: { name: 'ECDSA', namedCurve: 'P-256' },
    EdDSA: { name: 'Ed25519' },
    RS256: { name: 'RSASSA-PKCS1-v1_5', hash: 'SHA-256' },
    PS256: { name: 'RSA-PSS', hash: 'SHA-256' }
  }
  const jwk = privateKey.export({ format: 'jwk' }) as webcrypto.JsonWebKey
  return await crypto.subtle.importKey('jwk', jwk, algorithms[alg], false, ['sign'])
}

/** openid-client with `private_key_jwt`. */
export async function configureKeyed(
  { issuer }: Service,
  { client_id }: DemoClient,
  key: Key
): Promise<openid.Configuration> {
  const auth = openid.PrivateKeyJwt({ key: await toCryptoKey(key), kid: key.kid })
  return await openid.discovery(new URL(issuer), client_id, undefined, auth, {
    execute: [openid.allowInsecureRequests]
  })
}
