// What people call their authenticators and keys. Pure.
import { type ParsedName, parseName } from '../accounts/model.ts'

const maxNameLength = 60

/** Reads the name of a factor, by the rules of a person's: it stands in mails, too. */
export function parseFactorName(input: unknown): ParsedName {
  const parsed = parseName(input)
  return parsed.ok && [...parsed.name].length > maxNameLength ? { ok: false, reason: 'too_long' } : parsed
}
