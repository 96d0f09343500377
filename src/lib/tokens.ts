// Random secrets and their hashes. A token or code is shown to a person or a client; only its hash is stored.
import { hash, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'

/** A secret of 256 random bits in base64url: 43 characters, safe in a URL. */
export function createToken(): string {
  return randomBytes(32).toString('base64url')
}

/** `digits` random decimal digits, leading zeros kept. Only for codes whose guesses are counted. */
export function createCode(digits: number): string {
  return String(randomInt(10 ** digits)).padStart(digits, '0')
}

/** SHA-256 of a token, 32 bytes. Tokens carry 256 bits, so neither salt nor a slow hash adds anything. */
export function hashToken(token: string): Buffer {
  return hash('sha256', token, 'buffer')
}

/** Compares two byte strings without telling by time where they differ. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.byteLength === b.byteLength && timingSafeEqual(a, b)
}
