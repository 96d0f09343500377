// Which ways of signing in an account may lose. Pure.
import { type FactorFacts, hasSecondFactor } from './factor-model.ts'

export type WaysIn = FactorFacts & {
  /** Those of `webauthn` that verified the person when they were made: each is a way in by itself. */
  verifiedPasskeys: number
}

/** `passkey`: one that verified the person; `security_key`: any other. */
export type RemovableFactor = 'password' | 'totp' | 'passkey' | 'security_key'

export type RemovalPolicy = {
  /** A mail is a way in: config.mailSignIn. */
  mailSignIn: boolean
  /** This person needs a second factor, by the installation's settings or their roles. */
  secondFactorRequired: boolean
}

export type RemovalOutcome =
  | { ok: true }
  | { ok: false; reason: 'last_way_in' | 'second_factor_required' | 'frozen' }

/**
 * Whether one factor may go.
 *
 * - `frozen`: the owner said “this wasn't me”, and until then nothing may be changed.
 * - `last_way_in`: afterwards nothing would open the account: no password, no passkey that verifies the person, no mail.
 * - `second_factor_required`: afterwards there would be no second factor, and policy asks for one.
 *
 * Count and remove in one transaction that holds the account (`findWaysInToChange`): two removals at once would
 * each leave the other's factor.
 */
export function mayRemove(
  ways: WaysIn,
  factor: RemovableFactor,
  { mailSignIn, secondFactorRequired, now }: RemovalPolicy & { now: Date }
): RemovalOutcome {
  if (isFrozen(ways, now)) return { ok: false, reason: 'frozen' }
  const after = without(ways, factor)
  const wasWayIn = factor === 'password' || factor === 'passkey'
  if (wasWayIn && !mailSignIn && !after.password && after.verifiedPasskeys === 0)
    return { ok: false, reason: 'last_way_in' }
  if (secondFactorRequired && factor !== 'password' && !hasSecondFactor(after))
    return { ok: false, reason: 'second_factor_required' }
  return { ok: true }
}

/** Whether an account's ways of signing in may not be changed yet. */
export const isFrozen = ({ frozenUntil }: Pick<FactorFacts, 'frozenUntil'>, now: Date): boolean =>
  frozenUntil !== null && frozenUntil > now.getTime()

function without(ways: WaysIn, factor: RemovableFactor): WaysIn {
  switch (factor) {
    case 'password':
      return { ...ways, password: false }
    case 'totp':
      return { ...ways, totp: ways.totp - 1 }
    case 'passkey':
      return { ...ways, webauthn: ways.webauthn - 1, verifiedPasskeys: ways.verifiedPasskeys - 1 }
    case 'security_key':
      return { ...ways, webauthn: ways.webauthn - 1 }
  }
}
