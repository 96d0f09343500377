// Signing keys: what they are, how one is made, and when a rotation may go on. Storage and locks are elsewhere.
import { generateKeyPair, hash, type JsonWebKey } from 'node:crypto'
import { promisify } from 'node:util'

/** What Gatehouse signs with. Every algorithm has its own key. @see RFC 7518 §3.1, RFC 8037 §3.1 */
export const signingAlgs = ['ES256', 'RS256', 'EdDSA'] as const
export type SigningAlg = (typeof signingAlgs)[number]

/** next: published, not yet signing · active: signs · retired: published for the tokens that it signed. */
export type KeyState = 'next' | 'active' | 'retired'

export type PublicJwk = JsonWebKey & { kid: string; alg: SigningAlg; use: 'sig' }
/** A JWK with its private members: never stored, logged or answered in the clear. */
export type PrivateJwk = PublicJwk

export type SigningKey = {
  kid: string
  alg: SigningAlg
  state: KeyState
  publicJwk: PublicJwk
  privateJwkSealed: Buffer
  createdAt: Date
  activatedAt: Date | null
  retiredAt: Date | null
}

/** Makes a key pair; its `kid` is its thumbprint, so the same key has the same name everywhere. */
export async function createPrivateJwk(alg: SigningAlg): Promise<PrivateJwk> {
  const { privateKey } = await generate(alg)
  const jwk = privateKey.export({ format: 'jwk' })
  return { ...jwk, kid: thumbprint(jwk), alg, use: 'sig' }
}

async function generate(alg: SigningAlg) {
  // Off the event loop: an RSA key takes a tenth of a second and more to find.
  if (alg === 'RS256') return await promisify(generateKeyPair)('rsa', { modulusLength: 2048 })
  if (alg === 'ES256') return await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' })
  return await promisify(generateKeyPair)('ed25519')
}

/** SHA-256 over the required public members, in the order and spelling that make it the same for everyone. @see RFC 7638 §3 */
export function thumbprint({ kty, crv, x, y, e, n }: JsonWebKey): string {
  const required =
    kty === 'RSA' ? { e, kty, n } : kty === 'EC' ? { crv, kty, x, y } : kty === 'OKP' ? { crv, kty, x } : null
  if (required === null) throw new Error(`no thumbprint is defined here for key type ${kty}`)
  return hash('sha256', JSON.stringify(required), 'base64url')
}

/** The half of a key that everyone may see. Named members are picked, so that a new private one cannot slip out. */
export function publicHalf(jwk: PrivateJwk): PublicJwk {
  const { kid, alg, use, kty, crv, x, y, e, n } = jwk
  const shared = { kid, alg, use, ...(kty === undefined ? {} : { kty }) }
  return kty === 'RSA'
    ? { ...shared, ...present({ e, n }) }
    : { ...shared, ...present({ crv, x, ...(y === undefined ? {} : { y }) }) }
}

function present(members: Record<string, string | undefined>): Record<string, string> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined)) as Record<
    string,
    string
  >
}

/**
 * How long a new key is published before it signs: a day, so that every application that caches the key set has
 * fetched it by then. OpenID Connect Core 1.0 §10.1.1 leaves the time to the provider.
 */
export const defaultPublishSeconds = 86_400

/** The longest that an access or ID token may be set to last (config/schema.ts, clients/model.ts). */
export const longestTokenSeconds = 86_400

/**
 * How long a retired key stays published: until the last token that it signed has ended, and as long as a browser
 * session may go on, whose application shows its ID token again to sign out (id_token_hint).
 */
export function retiredKeySeconds(config: { sessionAbsoluteSeconds: number }): number {
  return Math.max(longestTokenSeconds, config.sessionAbsoluteSeconds)
}
