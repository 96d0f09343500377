// How well an account is protected, and the one thing that would help most. Pure.
import { type FactorFacts, hasSecondFactor } from '../credentials/factor-model.ts'

/** What to do next: what endangers the account first, then what would lock its owner out, then what is merely better. */
export type Advice =
  | 'look_at_passkey'
  | 'add_second_factor'
  | 'add_another_way'
  | 'make_recovery_codes'
  | 'renew_recovery_codes'
  | 'add_passkey'
  | 'nothing'

const fewRecoveryCodes = 3

/** `copiedPasskey`: the counter of one went back, so that somebody may have a copy of it. */
export function adviceFor(factors: FactorFacts, { copiedPasskey }: { copiedPasskey: boolean }): Advice {
  const { password, webauthn, recoveryCodes } = factors
  if (copiedPasskey) return 'look_at_passkey'
  if (!hasSecondFactor(factors)) return 'add_second_factor'
  if (!password && webauthn === 1) return 'add_another_way'
  if (recoveryCodes === 0) return 'make_recovery_codes'
  if (recoveryCodes <= fewRecoveryCodes) return 'renew_recovery_codes'
  return webauthn === 0 ? 'add_passkey' : 'nothing'
}

/** Words that `/account/security?done=` may bring along, each for a message that says what has happened. */
export const doneWords = [
  'password-changed',
  'password-removed',
  'password-added',
  'passkey-added',
  'passkey-renamed',
  'passkey-removed',
  'authenticator-added',
  'authenticator-renamed',
  'authenticator-removed',
  'device-untrusted',
  'device-removed',
  'address-changed'
] as const

export type Done = (typeof doneWords)[number]

export const readDone = (value: unknown): Done | null => doneWords.find(word => word === value) ?? null

/** Whether authenticators have something to hear: which passkeys are left, or what the account is called by. */
export const tellsAuthenticators = (done: Done | null): boolean =>
  done !== null && (done.startsWith('passkey-') || done === 'address-changed')
