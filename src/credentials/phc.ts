// argon2 hashes as text: ours are argon2id's, other software's may be of the other two. @see https://github.com/P-H-C/phc-string-format
import { argon2, randomBytes } from 'node:crypto'
import { equalBytes } from '../lib/tokens.ts'

export type Argon2Cost = { memoryKib: number; iterations: number; parallelism: number }
type Algorithm = 'argon2d' | 'argon2i' | 'argon2id'
type Kind = { algorithm: Algorithm; version: 16 | 19 }
export type Phc = Argon2Cost & Kind & { salt: Buffer; tag: Buffer }

/** RFC 9106: version 0x13. The one before it is known from old hashes only. */
const current: Kind = { algorithm: 'argon2id', version: 19 }

const saltBytes = 16
const tagBytes = 32

/** Derives a tag off the event loop. */
export type Engine = (
  password: Buffer,
  salt: Buffer,
  cost: Argon2Cost & Kind & { tagBytes: number }
) => Promise<Buffer>

/** Node's own argon2: everywhere the same result, a third of the native module's speed. It knows the current version alone. */
export const nodeEngine: Engine = (password, salt, cost) =>
  new Promise((resolve, reject) => {
    const { algorithm, version, memoryKib, iterations, parallelism, tagBytes } = cost
    if (version !== current.version)
      throw new Error('a hash of argon2 before version 1.3 needs @node-rs/argon2')
    const parameters = {
      message: password,
      nonce: salt,
      memory: memoryKib,
      passes: iterations,
      parallelism,
      tagLength: tagBytes
    }
    argon2(algorithm, parameters, (error, tag) => (error === null ? resolve(tag) : reject(error)))
  })

/** The native module, which uses the processor's vector units; Node's where it does not load on a platform. */
export const engine: Engine = await import('@node-rs/argon2').then(
  ({ hashRaw }): Engine =>
    (password, salt, { algorithm, version, memoryKib, iterations, parallelism, tagBytes }) =>
      hashRaw(password, {
        // The module's const enums, which type stripping cannot read: Argon2d, Argon2i, Argon2id; V0x10, V0x13
        algorithm: { argon2d: 0, argon2i: 1, argon2id: 2 }[algorithm],
        version: version === 16 ? 0 : 1,
        memoryCost: memoryKib,
        timeCost: iterations,
        parallelism,
        outputLen: tagBytes,
        salt
      }),
  () => nodeEngine
)

/** Hashes under a new salt: `$argon2id$v=19$m=19456,t=2,p=1$…$…`. */
export async function derivePhc(password: Buffer, cost: Argon2Cost, derive = engine): Promise<string> {
  const salt = randomBytes(saltBytes)
  return formatPhc({ ...cost, salt, tag: await derive(password, salt, { ...cost, ...current, tagBytes }) })
}

/** Whether the hash is one of this password, by the costs that the hash was made with. */
export async function matchesPhc(phc: Phc, password: Buffer, derive = engine): Promise<boolean> {
  const { salt, tag, ...cost } = phc
  return equalBytes(tag, await derive(password, salt, { ...cost, tagBytes: tag.length }))
}

/** A hash that no password has, which takes as long to check as a real one of these costs. */
export function dummyPhc(cost: Argon2Cost): Phc {
  return { ...cost, ...current, salt: randomBytes(saltBytes), tag: randomBytes(tagBytes) }
}

const phcForm =
  /^\$(argon2(?:id|i|d))(?:\$v=(16|19))?\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]+)={0,2}\$([A-Za-z0-9+/]+)={0,2}$/

/** Null: malformed, or no argon2 hash. A hash without a version is of the one before versions were written. */
export function parsePhc(text: string): Phc | null {
  const [, algorithm, version = '16', memoryKib, iterations, parallelism, salt = '', tag = ''] =
    phcForm.exec(text) ?? []
  const phc: Phc = {
    algorithm: algorithm as Algorithm,
    version: version === '16' ? 16 : 19,
    memoryKib: Number(memoryKib),
    iterations: Number(iterations),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64')
  }
  // RFC 9106 §3.1. Of a shorter tag than these, too many passwords would match.
  const wellMade = phc.iterations > 0 && phc.parallelism > 0 && phc.memoryKib >= 8 * phc.parallelism
  return wellMade && phc.salt.length >= 8 && phc.tag.length >= 16 && phc.tag.length <= 128 ? phc : null
}

/** Whether it is of the algorithm and version that new hashes are made with. */
export const isCurrent = ({ algorithm, version }: Phc): boolean =>
  algorithm === current.algorithm && version === current.version

function formatPhc({ memoryKib, iterations, parallelism, salt, tag }: Omit<Phc, keyof Kind>): string {
  const { algorithm, version } = current
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$${algorithm}$v=${version}$m=${memoryKib},t=${iterations},p=${parallelism}$${base64(salt)}$${base64(tag)}`
}
