// The page of changing a password, or adding the first.
import type { PasswordFault } from '../credentials/model.ts'
import { definePage } from '../http/view.ts'
import { noWaiting, type Waiting, waitingTexts } from '../http/waiting.ts'
import type { SignedIn } from './account-views.ts'
import { samplePerson } from './listed-views.ts'

export type PasswordData = SignedIn &
  Waiting & {
    /** The account has one: the current one is asked for. */
    change: boolean
    problem: null | 'busy' | 'too_many' | 'work_needed' | 'frozen'
    faults: { current?: 'missing' | 'wrong'; password?: PasswordFault }
    passwordMinLength: number
  }

const change: PasswordData = {
  signedInAs: samplePerson,
  change: true,
  problem: null,
  faults: {},
  passwordMinLength: 15,
  ...noWaiting
}

export const passwordPage = definePage<PasswordData>(
  'self-service/password',
  {
    change,
    'wrong-current': { ...change, faults: { current: 'wrong' } },
    empty: { ...change, faults: { current: 'missing', password: 'missing' } },
    'too-short': { ...change, faults: { password: 'too_short' } },
    common: { ...change, faults: { current: 'wrong', password: 'common' } },
    busy: { ...change, problem: 'busy' },
    'too-many': { ...change, problem: 'too_many', retryAfterSeconds: 120 },
    'work-needed': {
      ...change,
      problem: 'work_needed',
      retryAfterSeconds: 20,
      challenge: '17.1795436400.c2FtcGxlLW5vbmNl.c3RhbXA'
    },
    frozen: { ...change, problem: 'frozen' },
    first: { ...change, change: false },
    'first-too-short': { ...change, change: false, faults: { password: 'too_short' } }
  },
  ({ problem, faults, ...waiting }) => ({
    problemText:
      problem &&
      {
        busy: 'We are busy just now. Wait a moment, then try again.',
        ...waitingTexts(waiting),
        frozen: 'How you sign in cannot be changed just now: somebody said that a change was not made by you.'
      }[problem],
    currentFault:
      faults.current &&
      { missing: 'Enter your current password.', wrong: 'This is not your current password.' }[faults.current]
  })
)
