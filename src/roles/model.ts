// What a role may be called. Pure.

const maxRoleLength = 100

/**
 * Reads the name of a role: one word, so that settings can list several with commas. Case counts. Null: not one.
 */
export function parseRole(input: unknown): string | null {
  if (typeof input !== 'string' || input.length > maxRoleLength) return null
  return /^[A-Za-z0-9][A-Za-z0-9._:-]*$/.test(input) ? input : null
}
