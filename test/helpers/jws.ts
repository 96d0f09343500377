// JWTs signed by hand: what no library would sign.
import { type KeyObject, sign } from 'node:crypto'

const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** A compact JWS with an ES256 signature, whatever its header says. @see RFC 7515 §3.1 */
export function signJws(header: object, payload: object, key: KeyObject): string {
  const input = `${part(header)}.${part(payload)}`
  return `${input}.${sign('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' }).toString('base64url')}`
}
