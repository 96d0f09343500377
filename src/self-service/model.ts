// When a signed-in person must prove anew who they are. Pure.
import { type FactorFacts, hasSecondFactor } from '../credentials/factor-model.ts'
import { type Acr, acrLevels, satisfies } from '../credentials/proof-model.ts'

/** How surely who changes how they sign in must be proven: with the second factor, if they have one. */
export const acrForChanges = (factors: FactorFacts): Acr =>
  hasSecondFactor(factors) ? acrLevels[1] : acrLevels[0]

/** Whether a session is recent and sure enough for changing how its person signs in. */
export function mayChangeFactors(
  session: { acr: string | null; authTime: Date },
  factors: FactorFacts,
  { now, recentSignInSeconds }: { now: Date; recentSignInSeconds: number }
): boolean {
  const age = now.getTime() - session.authTime.getTime()
  return age <= recentSignInSeconds * 1000 && satisfies(session.acr, acrForChanges(factors))
}

const accountPath = /^\/account(\/[a-z0-9-]+)*$/

/** Where a sign-in for our own pages leads back to: one of them, whatever the request says. */
export const accountPathOf = (state: unknown): string =>
  typeof state === 'string' && accountPath.test(state) && state !== '/account/return'
    ? state
    : '/account/security'
