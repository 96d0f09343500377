// Leaves alone who does not answer, so that nobody waits for them one after the other.

export type CircuitBreaker = {
  /** False for a while after several failures in a row; then one try is let through, and the others wait for it. */
  mayTry: (now: number) => boolean
  succeeded: () => void
  failed: (now: number) => void
}

/** Moments are milliseconds since 1970. */
export function createCircuitBreaker({
  failuresInARow,
  pauseMs
}: {
  failuresInARow: number
  pauseMs: number
}): CircuitBreaker {
  let failures = 0
  let pausedUntil = 0
  return {
    mayTry: now => {
      if (now < pausedUntil) return false
      if (failures >= failuresInARow) pausedUntil = now + pauseMs
      return true
    },
    succeeded: () => {
      failures = 0
      pausedUntil = 0
    },
    failed: now => {
      failures++
      if (failures >= failuresInARow) pausedUntil = now + pauseMs
    }
  }
}
