// Password hashes of this process: argon2id at the costs of the settings, as many at a time as there are cores.
import { availableParallelism } from 'node:os'
import type { Config } from '../config/schema.ts'
import { createHashingQueue } from './hashing-queue.ts'
import { passwordBytes } from './model.ts'
import { type Argon2Cost, derivePhc, dummyPhc, matchesPhc, parsePhc } from './phc.ts'

// One for the process, since the cores are shared by all that it does. More at a time would not be faster, and would
// hold the thread pool that signatures, DNS and files need.
const queue = createHashingQueue({ slots: availableParallelism(), maxWaitMs: 2000 })

/** About 25 ms at 19 MiB and two passes, on a processor without wide vector units. */
const expectedMs = ({ memoryKib, iterations }: Argon2Cost) => (25 * memoryKib * iterations) / (19_456 * 2)

/**
 * Keeps a place in the line of hashes while a guess is paid for. To be given up before the hash is asked for, and in any
 * case.
 *
 * @throws HashingBusy as `hashPassword`
 */
export const joinHashing = (config: Config): (() => void) => queue.join(expectedMs(config.argon2))

/**
 * Hashes a password that `checkNewPassword` has passed, as a PHC string.
 *
 * @throws HashingBusy when more hashes wait than two seconds suffice for
 */
export async function hashPassword(config: Config, password: string): Promise<string> {
  const bytes = passwordBytes(password)
  if (bytes === null) throw new Error('this password must not be hashed: check it first')
  return await queue.run(expectedMs(config.argon2), () => derivePhc(bytes, config.argon2))
}

/**
 * Whether the password is the one that was hashed. With `phc` null (no such account, no password) it is not, but
 * finding that out takes as long as with a hash of the current settings.
 *
 * @throws HashingBusy as `hashPassword`
 */
export async function verifyPassword(
  config: Config,
  phc: string | null,
  password: unknown
): Promise<boolean> {
  const bytes = passwordBytes(password)
  // Decided by the password alone, whoever it is for: this says nothing of any account.
  if (bytes === null) return false
  return await queue.run(expectedMs(config.argon2), () => matchesPhc(phc ?? dummyPhc(config.argon2), bytes))
}

/** Whether the settings ask for more than this hash was made with, or for something else. */
export function needsRehash(config: Config, phc: string): boolean {
  const { memoryKib, iterations, parallelism } = parsePhc(phc)
  const wanted = config.argon2
  return memoryKib < wanted.memoryKib || iterations < wanted.iterations || parallelism !== wanted.parallelism
}
