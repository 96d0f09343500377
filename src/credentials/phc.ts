// argon2id hashes as text. @see https://github.com/P-H-C/phc-string-format
import { argon2, randomBytes } from 'node:crypto'
import { equalBytes } from '../lib/tokens.ts'

export type Argon2Cost = { memoryKib: number; iterations: number; parallelism: number }
type Phc = Argon2Cost & { salt: Buffer; tag: Buffer }

const saltBytes = 16
const tagBytes = 32

/** Derives a tag off the event loop. */
export type Engine = (
  password: Buffer,
  salt: Buffer,
  cost: Argon2Cost & { tagBytes: number }
) => Promise<Buffer>

/** Node's own argon2id: everywhere the same result, a third of the native module's speed. */
export const nodeEngine: Engine = (password, salt, { memoryKib, iterations, parallelism, tagBytes }) =>
  new Promise((resolve, reject) => {
    const parameters = {
      message: password,
      nonce: salt,
      memory: memoryKib,
      passes: iterations,
      parallelism,
      tagLength: tagBytes
    }
    argon2('argon2id', parameters, (error, tag) => (error === null ? resolve(tag) : reject(error)))
  })

/** The native module, which uses the processor's vector units; Node's where it does not load on a platform. */
export const engine: Engine = await import('@node-rs/argon2').then(
  ({ hashRaw }): Engine =>
    (password, salt, { memoryKib, iterations, parallelism, tagBytes }) =>
      hashRaw(password, {
        // Algorithm.Argon2id: a const enum, which type stripping cannot read
        algorithm: 2,
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
  return formatPhc({ ...cost, salt, tag: await derive(password, salt, { ...cost, tagBytes }) })
}

/** Whether the hash is one of this password, by the costs that the hash was made with. */
export async function matchesPhc(phc: string, password: Buffer, derive = engine): Promise<boolean> {
  const { salt, tag, ...cost } = parsePhc(phc)
  return equalBytes(tag, await derive(password, salt, { ...cost, tagBytes: tag.length }))
}

/** A hash that no password has, which takes as long to check as a real one of these costs. */
export function dummyPhc({ memoryKib, iterations, parallelism }: Argon2Cost): string {
  return formatPhc({
    memoryKib,
    iterations,
    parallelism,
    salt: randomBytes(saltBytes),
    tag: randomBytes(tagBytes)
  })
}

export function parsePhc(phc: string): Phc {
  const [, memoryKib, iterations, parallelism, salt, tag] =
    /^\$argon2id\$v=19\$m=(\d{1,8}),t=(\d{1,4}),p=(\d{1,3})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc) ??
    []
  if (salt === undefined || tag === undefined) throw new Error('not an argon2id hash in PHC format')
  return {
    memoryKib: Number(memoryKib),
    iterations: Number(iterations),
    parallelism: Number(parallelism),
    salt: Buffer.from(salt, 'base64'),
    tag: Buffer.from(tag, 'base64')
  }
}

function formatPhc({ memoryKib, iterations, parallelism, salt, tag }: Phc): string {
  const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
  return `$argon2id$v=19$m=${memoryKib},t=${iterations},p=${parallelism}$${base64(salt)}$${base64(tag)}`
}
