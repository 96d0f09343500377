// The pages of the second step, and their words.
import { definePage } from '../http/view.ts'

export type SecondFactorMethod = 'passkey' | 'totp' | 'recovery_code'

export type SecondFactorData = {
  /** Where this step's forms go, without a slash at the end. */
  base: string
  clientName: string
  accountEmail: string
  method: SecondFactorMethod
  /** The other ways that this person has. */
  others: SecondFactorMethod[]
  problem: null | 'missing' | 'wrong_code' | 'too_many' | 'refused'
  /** With `too_many`: how long to wait. */
  retryAfterSeconds: number | null
  /** For how many days this browser may be trusted; null: not offered. */
  trustDays: number | null
  cancelAction: string
}

/** A span of time as people say it, rounded up. */
export function inWords(seconds: number): string {
  if (seconds < 60) return seconds === 1 ? 'one second' : `${Math.ceil(seconds)} seconds`
  const minutes = Math.ceil(seconds / 60)
  return minutes === 1 ? 'one minute' : `${minutes} minutes`
}

const sample: SecondFactorData = {
  base: '/interaction/Ab3/second-factor',
  clientName: 'Tidewater Photos',
  accountEmail: 'ines.moreau@example.org',
  method: 'totp',
  others: ['passkey', 'recovery_code'],
  problem: null,
  retryAfterSeconds: null,
  trustDays: 30,
  cancelAction: '/interaction/Ab3/cancel'
}
const passkey: SecondFactorData = { ...sample, method: 'passkey', others: ['totp', 'recovery_code'] }
const recovery: SecondFactorData = { ...sample, method: 'recovery_code', others: ['passkey', 'totp'] }

export const secondFactorPage = definePage<SecondFactorData>(
  'interactions/second-factor',
  {
    totp: sample,
    'totp-alone': { ...sample, others: [], trustDays: null },
    'totp-missing': { ...sample, problem: 'missing' },
    'totp-wrong': { ...sample, problem: 'wrong_code' },
    'totp-too-many': { ...sample, problem: 'too_many', retryAfterSeconds: 120 },
    passkey,
    'passkey-refused': { ...passkey, problem: 'refused' },
    recovery,
    'recovery-wrong': { ...recovery, problem: 'wrong_code' }
  },
  ({ problem, method, retryAfterSeconds, trustDays }) => ({
    problemText:
      problem &&
      {
        missing: null,
        wrong_code: null,
        too_many: `There were too many tries. Wait ${inWords(retryAfterSeconds ?? 60)}, then try again.`,
        refused: 'That did not work, so nothing was changed. Try again, or use another way below.'
      }[problem],
    faultText:
      problem === 'missing'
        ? method === 'totp'
          ? 'Type the six digits that your app shows.'
          : 'Type one of your recovery codes.'
        : problem === 'wrong_code'
          ? method === 'totp'
            ? 'This code is not right, or was used already. Wait for the next one in your app, and check that your phone’s clock is right.'
            : 'This is not one of your unused recovery codes. Check it and try again.'
          : null,
    trustText:
      trustDays === null
        ? null
        : `Do not ask for this again in this browser for ${trustDays === 1 ? 'one day' : `${trustDays} days`}`
  })
)
