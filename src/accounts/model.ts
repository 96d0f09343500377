// What an account is, and when a typed address or name can be one's. Pure.
import { domainToASCII } from 'node:url'

export type Account = {
  id: string
  /** As the person wrote it, but for the domain: what is shown and written to. */
  email: string
  /** What uniqueness and every look-up use. */
  emailKey: string
  emailVerifiedAt: Date | null
  name: string
  /** Further standard claims, spelled as OpenID Connect Core 1.0 §5.1 spells them. */
  profile: Record<string, unknown>
  disabledAt: Date | null
  /** Sessions and tokens made before this moment are void. */
  tokensValidFrom: Date
  /** No way of signing in may be added, changed or removed before this moment; null: now is fine. */
  factorChangesFrozenUntil: Date | null
  createdAt: Date
  updatedAt: Date
}

/** The key of an address that is an account's: what `parseEmail` made of it. */
export const emailKeyOf = (email: string): string => email.toLowerCase()

export type ParsedEmail =
  | { ok: true; email: string; emailKey: string }
  | { ok: false; reason: 'missing' | 'invalid' | 'too_long' }

/** RFC 5321 §4.5.3.1.3 allows a path of 256 octets, two of which are its angle brackets. */
const maxEmailLength = 254
const maxLocalLength = 64
const maxNameLength = 100

/**
 * Reads one e-mail address, the only place that does. Before every use an address goes through here.
 *
 * - Exactly one, as a string: no array, no list, no display name, no comment, no quoted local part. What reads as
 *   one address here and as two in a mail server would send a link to a stranger.
 * - Space around it is dropped. Nothing else is repaired: a trailing dot, a control character or NUL refuses it.
 * - The local part is ASCII (RFC 5321 dot-atom). Compatibility and case folding map other letters onto ASCII
 *   (K is KELVIN SIGN, ı and İ fold differently by locale): two accounts would look like one, or fold into one.
 * - The domain may be international. It is refused when NFKC would change it (full-width letters, ligatures), and is
 *   kept as its ASCII form (UTS #46), so that no library between here and the DNS reads it differently.
 * - `email` keeps the local part's case, for some servers heed it; `emailKey` is all lower case, for people do not.
 *
 * Every step is linear in the length, which is bounded first.
 */
export function parseEmail(input: unknown): ParsedEmail {
  if (input === undefined || input === null || input === '') return { ok: false, reason: 'missing' }
  if (typeof input !== 'string') return { ok: false, reason: 'invalid' }
  if (input.length > 4 * maxEmailLength) return { ok: false, reason: 'too_long' }
  if (/\p{Cc}/u.test(input)) return { ok: false, reason: 'invalid' }
  const text = input.trim()
  if (text === '') return { ok: false, reason: 'missing' }

  const at = text.lastIndexOf('@')
  const local = text.slice(0, at)
  const domain = parseDomain(text.slice(at + 1))
  if (at < 1 || domain === null || !isDotAtom(local)) return { ok: false, reason: 'invalid' }
  const email = `${local}@${domain}`
  if (email.length > maxEmailLength || local.length > maxLocalLength) return { ok: false, reason: 'too_long' }
  // Both parts are ASCII by now: lower-casing them does not depend on a locale.
  return { ok: true, email, emailKey: email.toLowerCase() }
}

/**
 * RFC 5321 §4.1.2: atoms of these characters, joined by single dots, but for three that old mail systems read as
 * something else: `user%other` and `other!user` are passed on to another host there, and `=?…?=` is decoded
 * (RFC 2047). Whoever reads such a mail need not be in the domain that the address ends in.
 */
function isDotAtom(local: string): boolean {
  if (local.includes('=?')) return false
  return local.split('.').every(atom => /^[A-Za-z0-9#$&'*+/=?^_`{|}~-]+$/.test(atom))
}

/** The domain in lower-case ASCII, or null. Two labels at least, the last of which is not a number. */
function parseDomain(text: string): string | null {
  // What is ASCII must be allowed already: domainToASCII reads `a/b` and `a:80` as the URL parser would.
  if (!/^[A-Za-z0-9.\u{80}-\u{10ffff}-]+$/u.test(text)) return null
  // Invisible characters (SOFT HYPHEN) and full-width letters would silently become another, plainer domain.
  if (/\p{Default_Ignorable_Code_Point}/u.test(text) || text.normalize('NFKC') !== text) return null
  const domain = domainToASCII(text)
  const labels = domain.split('.')
  const valid = labels.every(
    label => /^[a-z0-9-]{1,63}$/.test(label) && !label.startsWith('-') && !label.endsWith('-')
  )
  return valid && labels.length > 1 && !/^\d+$/.test(labels.at(-1) ?? '') ? domain : null
}

export type ParsedName =
  | { ok: true; name: string }
  | { ok: false; reason: 'missing' | 'too_long' | 'invalid' }

/**
 * Reads a display name: any script, NFC, one line.
 *
 * Refused are control characters (they break mail headers and logs), characters that turn the direction of what
 * follows, and URLs: the name stands in a mail that a stranger can have sent to anybody.
 */
export function parseName(input: unknown): ParsedName {
  if (input === undefined || input === null || input === '') return { ok: false, reason: 'missing' }
  if (typeof input !== 'string') return { ok: false, reason: 'invalid' }
  if (input.length > 8 * maxNameLength) return { ok: false, reason: 'too_long' }
  const name = input.trim().normalize('NFC')
  if (name === '') return { ok: false, reason: 'missing' }
  if ([...name].length > maxNameLength) return { ok: false, reason: 'too_long' }
  const refused = /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u{202a}-\u{202e}\u{2066}-\u{2069}<>]|:\/\/|www\./iu
  return refused.test(name) ? { ok: false, reason: 'invalid' } : { ok: true, name }
}
