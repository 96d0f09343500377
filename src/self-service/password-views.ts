// The page of changing a password, or adding the first.
import type { PasswordFault } from '../credentials/model.ts'
import { definePage } from '../http/view.ts'
import { noWaiting, type Waiting, waitingTexts } from '../http/waiting.ts'
import type { SignedIn } from './account-views.ts'
import { type ChangeProblem, problemTexts } from './factor-views.ts'
import { samplePerson } from './listed-views.ts'

export type PasswordData = SignedIn &
  Waiting & {
    /** The account has one: the current one is asked for. */
    change: boolean
    /** There is a passkey that could be the only way in. */
    removable: boolean
    problem: null | 'busy' | 'too_many' | 'work_needed' | 'frozen'
    faults: { current?: 'missing' | 'wrong'; password?: PasswordFault }
    passwordMinLength: number
  }

const change: PasswordData = {
  signedInAs: samplePerson,
  change: true,
  removable: true,
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
    first: { ...change, change: false, removable: false },
    'first-too-short': { ...change, change: false, removable: false, faults: { password: 'too_short' } }
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

export const removePasswordPage = definePage<SignedIn & { problem: ChangeProblem | null }>(
  'self-service/remove-password',
  {
    fresh: { signedInAs: samplePerson, problem: null },
    'last-way-in': { signedInAs: samplePerson, problem: 'last_way_in' },
    frozen: { signedInAs: samplePerson, problem: 'frozen' }
  },
  ({ problem }) => ({ problemText: problem && problemTexts[problem] })
)
