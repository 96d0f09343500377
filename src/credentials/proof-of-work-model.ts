// Proof of work: a browser finds a number whose hash begins with zeros, which takes it a second or two. Pure.
import { createHmac, hash, randomBytes } from 'node:crypto'
import { equalBytes } from '../lib/tokens.ts'

/** What the work lets somebody try once. */
export type WorkPurpose = 'guess' | 'sign_up'

/** Who works for what: a challenge is of no use elsewhere. */
export type WorkScope = { purpose: WorkPurpose; network: string }

/** The fields of a form, as they were posted. */
export type ProofOfWork = { challenge: unknown; solution: unknown }

const lifetimeSeconds = 300
const fewestBits = 17

/**
 * The zeros that are asked for: 131,000 hashes on average, or four times as many where a network goes on. A telephone
 * computes some 200,000 in a second.
 */
export const bitsFor = (networkExcess: number): number =>
  fewestBits + Math.min(2, Math.floor(networkExcess / 2))

/** `bits.expiry.nonce.stamp`: the stamp is our signature of the rest and of the scope, so nothing has to be stored. */
export function createChallenge(
  key: Uint8Array,
  scope: WorkScope,
  { bits, now }: { bits: number; now: Date }
): string {
  const expiry = Math.floor(now.getTime() / 1000) + lifetimeSeconds
  const terms = `${bits}.${expiry}.${randomBytes(12).toString('base64url')}`
  return `${terms}.${stampOf(key, scope, terms).toString('base64url')}`
}

/**
 * The challenge's stamp and end where the work was done for it, in time and for this scope; null where not. Whether it
 * was used before is for the database to say.
 */
export function checkWork(
  key: Uint8Array,
  scope: WorkScope,
  { challenge, solution, now }: ProofOfWork & { now: Date }
): { stamp: Buffer; expiresAt: Date } | null {
  if (typeof challenge !== 'string' || typeof solution !== 'string') return null
  const [, terms, bits, expiry, stamp] =
    /^((\d{2})\.(\d{1,12})\.[\w-]{16})\.([\w-]{43})$/.exec(challenge) ?? []
  if (terms === undefined || stamp === undefined || !/^\d{1,11}$/.test(solution)) return null
  const own = stampOf(key, scope, terms)
  // Compared as text: base64url has several spellings of some bytes, and each challenge counts once.
  if (!equalBytes(Buffer.from(stamp), Buffer.from(own.toString('base64url')))) return null
  const expiresAt = new Date(Number(expiry) * 1000)
  if (expiresAt <= now || zeroBits(stamp, solution) < Number(bits)) return null
  return { stamp: own, expiresAt }
}

/** How many zeros the hash of `stamp.solution` begins with. views/assets/proof-of-work.js computes the same. */
export const zeroBits = (stamp: string, solution: string): number =>
  Math.clz32(hash('sha256', `${stamp}.${solution}`, 'buffer').readUInt32BE(0))

const stampOf = (key: Uint8Array, { purpose, network }: WorkScope, terms: string): Buffer =>
  createHmac('sha256', key).update(`${purpose}\n${network}\n${terms}`).digest()
