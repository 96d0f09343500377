// The sign-in as a state machine: what is known, and the step that follows from it.
import { type FactorFacts, hasSecondFactor } from '../credentials/factor-model.ts'
import { rankOf, twoFactors } from '../credentials/proof-model.ts'

/** What is to be done about a second factor: nothing, ask for one, or have one set up first. */
export type SecondFactorDue = 'none' | 'ask' | 'set_up'

export type Progress = {
  /** The person has proved who they are, in this sign-in or by a session that still stands. */
  authenticated: boolean
  emailVerified: boolean
  /** A confirmation was mailed and is waited for. */
  confirmationPending: boolean
  secondFactor: SecondFactorDue
  /** The account was made without a password, and has no passkey yet. */
  passkeyDue: boolean
  consentNeeded: boolean
}

export type Step = 'sign-in' | 'verify-email' | 'second-factor' | 'set-up' | 'passkey' | 'consent' | 'finish'

/**
 * The one place that decides what comes next. No order of requests, second tab, back button or other way
 * around leads past a step, since each asks here again.
 */
export function nextStep(progress: Progress): Step {
  if (!progress.authenticated) return progress.confirmationPending ? 'verify-email' : 'sign-in'
  if (!progress.emailVerified) return 'verify-email'
  if (progress.secondFactor === 'ask') return 'second-factor'
  if (progress.secondFactor === 'set_up') return 'set-up'
  if (progress.passkeyDue) return 'passkey'
  if (progress.consentNeeded) return 'consent'
  return 'finish'
}

/** A page of a sign-in: that of a step, or a way to begin again. */
export type StepPage = Step | 'sign-up' | 'mail-code' | 'mail-code/sent'
const beginnings: readonly StepPage[] = ['sign-in', 'sign-up', 'mail-code', 'mail-code/sent']

/** Whether a page may be shown: its own step, or a way to begin again while nobody is proven. */
export function mayShow(page: StepPage, progress: Progress): boolean {
  if (beginnings.includes(page)) return !progress.authenticated
  return nextStep(progress) === page
}

export type SecondFactorFacts = {
  factors: FactorFacts
  /** What is proven so far. */
  acr: string | null
  /** What the application demands. */
  wantedAcr: string | null
  /** The installation or a role demands a second factor of this person. */
  required: boolean
  deviceTrusted: boolean
}

/**
 * What is to be done about a second factor.
 *
 * Whoever has one is asked for it, however they came by their first: so neither the mailbox nor a reset password
 * walks around it. A trusted browser stands in for the question, never for an application's demand. A phishing-resistant
 * proof is asked of a passkey or key, which is set up where there is none, after the factor that there is.
 */
export function secondFactorDue({
  factors,
  acr,
  wantedAcr,
  required,
  deviceTrusted
}: SecondFactorFacts): SecondFactorDue {
  const demanded = rankOf(wantedAcr)
  if (rankOf(acr) >= rankOf(twoFactors)) {
    if (rankOf(acr) >= demanded) return 'none'
    return factors.webauthn > 0 ? 'ask' : 'set_up'
  }
  const demandsTwo = demanded >= rankOf(twoFactors)
  if (hasSecondFactor(factors)) return deviceTrusted && !demandsTwo ? 'none' : 'ask'
  return demandsTwo || required ? 'set_up' : 'none'
}
