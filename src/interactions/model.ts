// The sign-in as a state machine: what is known, and the step that follows from it.

export type Progress = {
  /** The person has proved who they are, in this sign-in or by a session that still stands. */
  authenticated: boolean
  emailVerified: boolean
  /** A confirmation was mailed and is waited for. */
  confirmationPending: boolean
  consentNeeded: boolean
}

export type Step = 'sign-in' | 'verify-email' | 'consent' | 'finish'

/**
 * The one place that decides what comes next. No order of requests, second tab, back button or other way
 * around leads past a step, since each asks here again.
 */
export function nextStep(progress: Progress): Step {
  if (!progress.authenticated) return progress.confirmationPending ? 'verify-email' : 'sign-in'
  if (!progress.emailVerified) return 'verify-email'
  if (progress.consentNeeded) return 'consent'
  return 'finish'
}

/** Whether a page may be shown: its own step, or a way to begin again while nobody is proven. */
export function mayShow(page: Step | 'sign-up', progress: Progress): boolean {
  if (page === 'sign-in' || page === 'sign-up') return !progress.authenticated
  return nextStep(progress) === page
}
