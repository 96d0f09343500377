// Keeps hashing to the number of cores, and the wait for it short: who would wait too long is told to come back.

/** More hashes are waiting than can be done in time. Answered by 503 with Retry-After; nothing was read or written. */
export class HashingBusy extends Error {
  override name = 'HashingBusy'
  readonly retryAfterSeconds: number

  constructor(retryAfterSeconds: number) {
    super('too many passwords are being hashed')
    this.retryAfterSeconds = retryAfterSeconds
  }
}

export type HashingQueue = {
  /**
   * Runs `hash` when its turn comes: first in, first out, `slots` at a time.
   *
   * Throws HashingBusy at once when the wait would be longer than the queue allows. `expectedMs` is what one hash is
   * thought to take until the first ones have been measured.
   */
  run: <T>(expectedMs: number, hash: () => Promise<T>) => Promise<T>
  /**
   * Keeps a place for a hash that is still to be asked for, while what must come before it is read or written. Throws
   * HashingBusy as `run` does: who cannot be served costs nothing else. The place is given up by calling the answer.
   */
  join: (expectedMs: number) => () => void
  waiting: () => number
}

/** How much the newest hash counts in the mean: about the last ten matter. */
const weight = 0.1

export function createHashingQueue({ slots, maxWaitMs }: { slots: number; maxWaitMs: number }): HashingQueue {
  const waiting: (() => void)[] = []
  let running = 0
  let places = 0
  let meanMs: number | null = null

  /** The wait of one who comes behind `ahead` others. */
  const checkWait = (ahead: number, expectedMs: number) => {
    const waitMs = ((ahead + 1) * (meanMs ?? expectedMs)) / slots
    if (waitMs > maxWaitMs) throw new HashingBusy(Math.max(1, Math.ceil(waitMs / 1000)))
  }

  const release = (startedAt: number, expectedMs: number) => {
    meanMs = (1 - weight) * (meanMs ?? expectedMs) + weight * (performance.now() - startedAt)
    // The slot passes straight to the next in line: nobody who comes in between can take it.
    const next = waiting.shift()
    if (next === undefined) running--
    else next()
  }

  return {
    waiting: () => waiting.length,
    join: expectedMs => {
      const ahead = running + places + waiting.length - slots
      if (ahead >= 0) checkWait(ahead, expectedMs)
      places++
      let held = true
      return () => {
        if (held) places--
        held = false
      }
    },
    run: async (expectedMs, hash) => {
      if (running < slots) running++
      else {
        checkWait(waiting.length, expectedMs)
        await new Promise<void>(resolve => waiting.push(resolve))
      }
      const startedAt = performance.now()
      try {
        return await hash()
      } finally {
        release(startedAt, expectedMs)
      }
    }
  }
}
