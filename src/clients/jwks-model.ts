// The public keys that an application registers.
import { createPublicKey, type JsonWebKey } from 'node:crypto'

const privateMembers = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv']

/** What is wrong with a client's key set, or null: public keys only, of types and sizes that are safe. @see RFC 7517 §5 */
export function jwksProblem(value: unknown): string | null {
  const keys = typeof value === 'object' && value !== null && 'keys' in value ? value.keys : null
  if (!Array.isArray(keys) || keys.length === 0 || keys.length > 20)
    return 'must be a JWK set: {"keys": [...]} with 1 to 20 keys'
  const problems = keys.flatMap((key: unknown, index) => {
    const problem = keyProblem(key)
    return problem === null ? [] : [`key ${index + 1} ${problem}`]
  })
  return problems.length === 0 ? null : problems.join('; ')
}

/** What the members of a key are. @see RFC 7517 §4 */
const isPlain = (value: unknown): boolean =>
  ['string', 'number', 'boolean'].includes(typeof value) ||
  (Array.isArray(value) && value.every(entry => typeof entry === 'string'))

function keyProblem(key: unknown): string | null {
  if (typeof key !== 'object' || key === null) return 'must be an object'
  // Said first: whoever sent a private key needs to know that it is out.
  if (privateMembers.some(member => member in key))
    return 'holds a private or symmetric key: make a new pair, send the public half'
  const { kty, crv, alg, kid, use } = key as JsonWebKey
  if ([alg, kid, use].some(member => member !== undefined && (typeof member !== 'string' || member === '')))
    return 'must have texts for alg, kid and use, where it has them'
  // Before anything walks through it: deep enough, that would end in a RangeError.
  if (!Object.values(key).every(isPlain)) return 'is not a key'
  // jsonb cannot hold the character zero, and no key is this long.
  const text = JSON.stringify(key)
  if (text.length > 10_000 || text.includes('\\u0000')) return 'is not a key'
  if (!['EC', 'OKP', 'RSA'].includes(kty ?? '')) return 'must be of type EC, OKP or RSA'
  if (kty === 'EC' && !['P-256', 'P-384', 'P-521'].includes(crv ?? ''))
    return 'must be on P-256, P-384 or P-521'
  if (kty === 'OKP' && crv !== 'Ed25519') return 'must be on Ed25519'
  try {
    const { asymmetricKeyDetails } = createPublicKey({ key: key as JsonWebKey, format: 'jwk' })
    return kty === 'RSA' && (asymmetricKeyDetails?.modulusLength ?? 0) < 2048
      ? 'must have at least 2048 bits'
      : null
  } catch {
    return 'is not a key'
  }
}
