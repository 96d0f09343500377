// Recovery codes: how they look, and how they are read back. Pure.
import { randomInt } from 'node:crypto'

export const recoveryCodesPerAccount = 10

/** Crockford's base32: without I, L, O, which are read as digits, and U. */
const alphabet = '0123456789ABCDEFGHJKMNPQRSTVWXYZ'
const length = 16

/** A code of 80 random bits, in groups: `7K3M-9QXT-2BCD-W5HN`. */
export function createRecoveryCode(): string {
  const text = Array.from({ length }, () => alphabet[randomInt(alphabet.length)]).join('')
  return text.replace(/(.{4})(?=.)/g, '$1-')
}

/** Reads a typed code: whatever its case, its dashes and spaces, and with O for 0, I and L for 1. Null: not a code. */
export function parseRecoveryCode(input: unknown): string | null {
  if (typeof input !== 'string' || input.length > 80) return null
  const text = input
    .replace(/[\s\p{Pd}]/gu, '')
    .toUpperCase()
    .replaceAll('O', '0')
    .replace(/[IL]/g, '1')
  return /^[0-9A-HJKMNP-TV-Z]{16}$/.test(text) ? text : null
}
