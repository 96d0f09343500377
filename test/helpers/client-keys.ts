// Keys of clients, and what they sign with them.
import { generateKeyPairSync, type KeyObject } from 'node:crypto'
import { type JWTPayload, SignJWT } from 'jose'

export type KeyAlg = 'ES256' | 'PS256' | 'RS256'
export type Key = { privateKey: KeyObject; jwk: Record<string, unknown>; alg: KeyAlg }

/** A new pair; `jwk` is the public half alone. */
export function createKey(alg: KeyAlg = 'ES256'): Key {
  const { publicKey, privateKey } =
    alg === 'ES256'
      ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
      : generateKeyPairSync('rsa', { modulusLength: 2048 })
  return { privateKey, jwk: { ...publicKey.export({ format: 'jwk' }) }, alg }
}

export type Json = Record<string, unknown>

/** A member that is undefined is left out. */
export const signJwt = async (
  { privateKey, alg }: Key,
  { claims, header = {} }: { claims: Json; header?: Json }
): Promise<string> =>
  await new SignJWT(claims as JWTPayload).setProtectedHeader({ alg, ...header }).sign(privateKey)
