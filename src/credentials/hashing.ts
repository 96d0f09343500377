// Password hashes of this process: argon2id at the costs of the settings, as many at a time as there are cores. Those of
// other software are checked here as well.
import { availableParallelism } from 'node:os'
import type { Config } from '../config/schema.ts'
import { type HashCheck, readForeignHash } from './foreign-hashes.ts'
import { createHashingQueue } from './hashing-queue.ts'
import { passwordBytes } from './model.ts'
import { type Argon2Cost, derivePhc, dummyPhc, isCurrent, matchesPhc, type Phc, parsePhc } from './phc.ts'

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

/** What one check may cost, where the hash was not made here: whoever knows of such an account could stop the service. */
const maxForeignMs = 5000
const maxForeignBytes = 256 * 1024 * 1024

const checkOfPhc = (phc: Phc): HashCheck => ({
  expectedMs: expectedMs(phc),
  memoryBytes: phc.memoryKib * 1024,
  matches: password => matchesPhc(phc, password)
})

/** Django puts the name of the algorithm before what argon2 itself writes. */
const parseArgon2 = (stored: string) => parsePhc(stored.replace(/^argon2(?=\$argon2)/, ''))

/** How to check a stored hash; null where that is impossible, or would take absurdly much. */
function checkOf(config: Config, stored: string): HashCheck | null {
  const phc = parseArgon2(stored)
  const check = phc === null ? readForeignHash(stored) : checkOfPhc(phc)
  if (check === null) return null
  const { memoryKib } = config.argon2
  const affordable =
    check.expectedMs <= Math.max(maxForeignMs, expectedMs(config.argon2)) &&
    check.memoryBytes <= Math.max(maxForeignBytes, memoryKib * 1024)
  return affordable ? check : null
}

/** Whether anybody can sign in with this hash at all: it is of a known form, and its costs are not absurd. */
export const isUsableHash = (config: Config, stored: string): boolean => checkOf(config, stored) !== null

/**
 * Whether the password is the one that was hashed, here or elsewhere. With `stored` null (no such account, no password)
 * or of no use it is not, but finding that out takes as long as with a hash of the current settings.
 *
 * @throws HashingBusy as `hashPassword`
 */
export async function verifyPassword(
  config: Config,
  stored: string | null,
  password: unknown
): Promise<boolean> {
  const bytes = passwordBytes(password)
  // Decided by the password alone, whoever it is for: this says nothing of any account.
  if (bytes === null) return false
  const check = stored === null ? null : checkOf(config, stored)
  const { expectedMs, matches } = check ?? checkOfPhc(dummyPhc(config.argon2))
  return await queue.run(expectedMs, () => matches(bytes))
}

/** Whether the settings ask for more than this hash was made with, or for something else. */
export function needsRehash(config: Config, stored: string): boolean {
  const phc = parsePhc(stored)
  if (phc === null || !isCurrent(phc)) return true
  const wanted = config.argon2
  return (
    phc.memoryKib < wanted.memoryKib ||
    phc.iterations < wanted.iterations ||
    phc.parallelism !== wanted.parallelism
  )
}
