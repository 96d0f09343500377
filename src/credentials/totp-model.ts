// Time-based one-time passwords: which code goes with which moment. Pure.
import { createRequire } from 'node:module'
import { equalBytes } from '../lib/tokens.ts'

// Loaded with the first code: it takes 7 MB.
const require = createRequire(import.meta.url)
const otplib = () => require('otplib') as typeof import('otplib')

/** A new secret of 160 bits, in Base32. @see RFC 4226 §4, R6 */
export const createSecret = (): string => otplib().generateSecret({ length: 20 })

/** RFC 6238 with its defaults, the one choice that every authenticator application understands: SHA-1, 6 digits. */
const stepSeconds = 30
const digits = 6

/** How many steps a person's clock, or their typing, may be off in either direction. */
const tolerance = 1

export const stepOf = (at: Date): number => Math.floor(at.getTime() / 1000 / stepSeconds)

/** The code of one step. @see RFC 6238 §4 */
export const codeOf = (secret: string, step: number): string =>
  otplib().generateSync({ secret, epoch: step * stepSeconds, digits, period: stepSeconds, algorithm: 'sha1' })

/** Reads a typed code, in groups or not; null: it cannot be one. */
export function parseTotpCode(input: unknown): string | null {
  if (typeof input !== 'string' || input.length > 40) return null
  const text = input.replace(/[\s-]/g, '')
  return /^[0-9]{6}$/.test(text) ? text : null
}

/**
 * The step that a code is of, among those that are near enough to `now`; null: none.
 *
 * All are tried, whichever is right, and the last one counts: where two steps share a code, taking the earlier would
 * leave it good for the other.
 *
 * @see RFC 6238 §5.2
 */
export function findStep(secret: string, code: string, now: Date): number | null {
  const current = stepOf(now)
  let found: number | null = null
  for (let step = Math.max(0, current - tolerance); step <= current + tolerance; step++)
    if (equalBytes(Buffer.from(codeOf(secret, step)), Buffer.from(code))) found = step
  return found
}

/** Base32 in groups of four, as people copy it. */
export const groupSecret = (secret: string): string => secret.replace(/(.{4})(?=.)/g, '$1 ')

/** The URI that a QR code carries: `otpauth://totp/Issuer:address?secret=…`. Its other parameters are the defaults. */
export function keyUri({ issuer, email, secret }: { issuer: string; email: string; secret: string }): string {
  // A colon divides issuer and address, so neither may have one; a parsed address has none.
  return otplib().generateURI({ issuer: issuer.replaceAll(':', ' '), label: email, secret })
}
