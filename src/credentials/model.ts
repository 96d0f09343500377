// Which passwords may be set. Pure.
import type { Config } from '../config/schema.ts'

export type PasswordFault = 'missing' | 'too_short' | 'too_long' | 'common' | 'guessable' | 'breached'

const maxCharacters = 256
const maxBytes = 1024

/**
 * The bytes that are hashed for a password, or null for one that no account can have: not a text, empty, too long.
 *
 * A password is taken exactly as typed: nothing is trimmed, folded, truncated or replaced. The one thing done to it is
 * Unicode's NFC, which picks one of several encodings of the same text: keyboards disagree on how ễ is made up, and
 * a person cannot see which one theirs sent. (NFKC, which NIST allows as well, would make ² and 2 the same password.)
 * Bounds are checked first, on what was sent, so that a huge one costs nothing.
 *
 * @see RFC 8265 §4.2, NIST SP 800-63B-4 §3.1.1.2, OWASP ASVS 5.0 V6.2.8
 */
export function passwordBytes(password: unknown): Buffer | null {
  if (typeof password !== 'string' || password === '' || isTooLong(password)) return null
  // Halves of surrogate pairs all encode to the same replacement character.
  return password.isWellFormed() ? Buffer.from(password.normalize('NFC')) : null
}

/** Whether a new password is long enough, in characters (code points), and not too long. `judgeNewPassword` asks for more. */
export function checkNewPassword(config: Config, password: unknown): PasswordFault | null {
  if (typeof password === 'string' && isTooLong(password)) return 'too_long'
  const bytes = passwordBytes(password)
  if (bytes === null) return 'missing'
  return [...bytes.toString()].length < config.passwordMinLength ? 'too_short' : null
}

function isTooLong(password: string): boolean {
  // The first comparison keeps the others from reading megabytes: a code point has at most two units.
  return (
    password.length > 2 * maxCharacters ||
    [...password].length > maxCharacters ||
    Buffer.byteLength(password) > maxBytes
  )
}
