// The pages of the second step, and their words.
import { definePage } from '../http/view.ts'
import { noWaiting, type Waiting, waitingTexts } from '../http/waiting.ts'

export type SecondFactorMethod = 'passkey' | 'totp' | 'recovery_code'

export type SecondFactorData = Waiting & {
  /** Where this step's forms go, without a slash at the end. */
  base: string
  clientName: string
  accountEmail: string
  method: SecondFactorMethod
  /** The other ways that this person has. */
  others: SecondFactorMethod[]
  problem: null | 'missing' | 'wrong_code' | 'too_many' | 'work_needed' | 'refused'
  /** For how many days this browser may be trusted; null: not offered. */
  trustDays: number | null
  cancelAction: string
}

const sample: SecondFactorData = {
  base: '/interaction/Ab3/second-factor',
  clientName: 'Tidewater Photos',
  accountEmail: 'ines.moreau@example.org',
  method: 'totp',
  others: ['passkey', 'recovery_code'],
  problem: null,
  ...noWaiting,
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
    'totp-work-needed': {
      ...sample,
      problem: 'work_needed',
      retryAfterSeconds: 20,
      challenge: '17.1795436400.c2FtcGxlLW5vbmNl.c3RhbXA'
    },
    passkey,
    'passkey-refused': { ...passkey, problem: 'refused' },
    recovery,
    'recovery-wrong': { ...recovery, problem: 'wrong_code' }
  },
  ({ problem, method, trustDays, ...waiting }) => ({
    problemText:
      problem &&
      {
        missing: null,
        wrong_code: null,
        ...waitingTexts(waiting),
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
