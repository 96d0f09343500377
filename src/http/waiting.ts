// What people are told who tried too often, on whichever page: alike for accounts that exist and those that do not.

/** A page's part that says so. `challenge` is the work that the next try needs, see views/partials/proof-of-work.eta. */
export type Waiting = { retryAfterSeconds: number; challenge: string | null }

export const noWaiting = { retryAfterSeconds: 0, challenge: null } as const satisfies Waiting

/** “15 seconds”, “a minute”, “4 minutes”: never less than it takes. */
export function waitInWords(seconds: number): string {
  if (seconds <= 1) return 'a second'
  if (seconds < 60) return `${Math.ceil(seconds)} seconds`
  const minutes = Math.ceil(seconds / 60)
  return minutes === 1 ? 'a minute' : `${minutes} minutes`
}

export const waitingTexts = ({ retryAfterSeconds }: Waiting) => ({
  too_many: `There were too many wrong tries. Wait ${waitInWords(retryAfterSeconds)}, then try again. In a browser that you have signed in with before, you can go on now.`,
  work_needed: `Many tries came from your network. Fill in the form and send it again: meanwhile your browser does a short computation. If it cannot, wait ${waitInWords(retryAfterSeconds)} first.`
})
