// Proofs of possession, as an application makes them for each request (RFC 9449 §4.2).
import { createHash, generateKeyPairSync, randomUUID, sign } from 'node:crypto'

const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
const { kty, crv, x, y } = publicKey.export({ format: 'jwk' })
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')
const header = encode({ typ: 'dpop+jwt', alg: 'ES256', jwk: { kty, crv, x, y } })

/** RFC 7638: the members of the key in their one order. */
export const thumbprint = createHash('sha256').update(JSON.stringify({ crv, kty, x, y })).digest('base64url')

/** A new proof for a POST, as a header line. */
export function dpopProof(url: string): string {
  const claims = { jti: randomUUID(), htm: 'POST', htu: url, iat: Math.floor(Date.now() / 1000) }
  const signed = `${header}.${encode(claims)}`
  const signature = sign('sha256', Buffer.from(signed), { key: privateKey, dsaEncoding: 'ieee-p1363' })
  return `DPoP: ${signed}.${signature.toString('base64url')}`
}
