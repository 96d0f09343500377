// The page of changing a password, or adding the first.
import type { PasswordFault } from '../credentials/model.ts'
import { definePage } from '../http/view.ts'
import type { SignedIn } from './account-views.ts'
import { samplePerson } from './security-views.ts'

export type PasswordData = SignedIn & {
  /** The account has one: the current one is asked for. */
  change: boolean
  problem: null | 'busy' | 'too_many' | 'frozen' | 'out_of_date'
  faults: { current?: 'missing' | 'wrong'; password?: PasswordFault }
  passwordMinLength: number
}

const change: PasswordData = {
  signedInAs: samplePerson,
  change: true,
  problem: null,
  faults: {},
  passwordMinLength: 15
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
    'too-many': { ...change, problem: 'too_many' },
    frozen: { ...change, problem: 'frozen' },
    'out-of-date': { ...change, problem: 'out_of_date' },
    first: { ...change, change: false },
    'first-too-short': { ...change, change: false, faults: { password: 'too_short' } }
  },
  ({ problem, faults }) => ({
    problemText:
      problem &&
      {
        busy: 'We are busy just now. Wait a moment, then try again.',
        too_many: 'There were too many tries. Wait a minute, then try again.',
        frozen:
          'How you sign in cannot be changed just now: somebody said that a change was not made by you.',
        out_of_date: 'Your password was changed elsewhere meanwhile. Nothing was changed here.'
      }[problem],
    currentFault:
      faults.current &&
      { missing: 'Enter your current password.', wrong: 'This is not your current password.' }[faults.current]
  })
)
