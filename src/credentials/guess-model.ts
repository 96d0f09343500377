// How many guesses are looked at before the next one has to wait, and for how long. Pure.

/**
 * An allowance of wrong guesses. One is forgotten every `fadeSeconds`; each beyond `free` makes the next one wait for
 * `delaysSeconds`, whose last value goes on.
 */
export type Budget = { free: number; delaysSeconds: readonly number[]; fadeSeconds: number }

/**
 * For one account, or for one browser that it is known in. Six guesses in a burst, then about a hundred a day: what NIST
 * SP 800-63B-4 §3.2.2 allows in all, with the owner told of it long before.
 */
export const accountBudget: Budget = {
  free: 5,
  delaysSeconds: [15, 30, 60, 120, 240, 480, 900],
  fadeSeconds: 3600
}

/** For one network, whichever accounts it tries or asks for: after `perHour` the next one waits, or brings proof of work. */
export const networkBudget = (perHour: number): Budget => ({
  free: perHour - 1,
  delaysSeconds: [5, 10, 20, 30, 60],
  fadeSeconds: 3600 / perHour
})

/** For one network, of applications that register themselves: a developer's tries, a team's machines behind one address. */
export const registrationBudget: Budget = {
  free: 49,
  delaysSeconds: [60, 300, 900, 3600],
  fadeSeconds: 72
}

/** So many failures at one account are told to its owner. */
export const noticedFailures = 10

/** Failures that are told apart: more than lead to the longest delay are not counted. */
export const failuresCounted = ({ free, delaysSeconds }: Budget): number => free + delaysSeconds.length

/** What a failed guess was charged to. `blockedUntil` is the wait that it caused, 1970 for none. */
export type Payment = { keyHash: Buffer; blockedUntil: Date }

/** A guess that may be looked at. Who finds it right gives it back; the other ones stay counted. */
export type Guess = {
  /** The network's first: every statement locks these rows in this order. */
  payments: readonly Payment[]
  /** The browser has completed a sign-in to this account before. */
  knownDevice: boolean
  /** How far the network is over its allowance: above 0, its next guess costs work or waiting. */
  networkExcess: number
}

/** How long until then, in whole seconds, and at least one. */
export const secondsUntil = (moment: Date, now: Date): number =>
  Math.max(1, Math.ceil((moment.getTime() - now.getTime()) / 1000))
