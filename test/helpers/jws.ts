// JWTs signed by hand: what no library would sign.
import { constants, createHmac, type KeyObject, sign } from 'node:crypto'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

type Header = { alg?: string } & Record<string, unknown>

/**
 * A compact JWS, whatever its header says. The signature is of the header's algorithm, by a private key or an HMAC's
 * secret; of ES256 where the header names one that is not known, none where there is no key.
 *
 * @see RFC 7515 §3.1, RFC 7518 §3
 */
export function signJws(header: Header, payload: object, key: KeyObject | string | null): string {
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${signatureOf(header.alg, Buffer.from(input), key).toString('base64url')}`
}

function signatureOf(alg: string | undefined, input: Buffer, key: KeyObject | string | null): Buffer {
  if (key === null) return Buffer.alloc(0)
  if (typeof key === 'string') return createHmac('sha256', key).update(input).digest()
  if (alg === 'EdDSA') return sign(null, input, key)
  if (alg === 'RS256') return sign('sha256', input, key)
  if (alg === 'PS256')
    return sign('sha256', input, { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 })
  return sign('sha256', input, { key, dsaEncoding: 'ieee-p1363' })
}
