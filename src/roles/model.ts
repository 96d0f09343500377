// What a role or a group may be called. Pure.

const maxNameLength = 100

/**
 * Reads the name of a role or a group: one word, so that settings can list several with commas. Case counts. Null: not
 * one.
 */
export function parseRole(input: unknown): string | null {
  if (typeof input !== 'string' || input.length > maxNameLength) return null
  return /^[A-Za-z0-9][A-Za-z0-9._:-]*$/.test(input) ? input : null
}
