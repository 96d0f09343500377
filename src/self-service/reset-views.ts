// The pages of a forgotten password.
import type { PasswordFault } from '../credentials/model.ts'
import { definePage } from '../http/view.ts'
import { noWaiting, type Waiting, waitInWords, waitingTexts } from '../http/waiting.ts'

/** Where the person came from: a sign-in of this browser, or an application. */
export type WayBack = { label: string; url: string } | null

export type ResetRequestData = {
  action: string
  email: string
  faults: { email?: 'missing' | 'invalid' | 'too_long' }
  back: WayBack
}

const back = { label: 'Back to the sign-in', url: '/interaction/Ab3' }
const request: ResetRequestData = { action: '/reset-password', email: '', faults: {}, back: null }

export const resetRequestPage = definePage<ResetRequestData>(
  'self-service/reset-request',
  {
    fresh: request,
    'from-sign-in': { ...request, back },
    missing: { ...request, faults: { email: 'missing' } },
    invalid: { ...request, email: 'ines.moreau', faults: { email: 'invalid' } },
    'too-long': { ...request, email: `${'a'.repeat(300)}@example.org`, faults: { email: 'too_long' } }
  },
  ({ faults }) => ({
    faultText:
      faults.email &&
      {
        missing: 'Enter your email address.',
        invalid: 'Enter an address like name@example.org.',
        too_long: 'This address is too long. Use one of at most 254 characters.'
      }[faults.email]
  })
)

const busy = 'We are busy just now. Wait a moment, then try again.'

export type ResetSentData = Waiting & {
  passwordMinLength: number
  problem: null | 'busy' | 'too_many' | 'work_needed'
  action: string
  resendAction: string
  email: string
  notice: null | 'resent' | 'ended' | 'restored'
  faults: { code?: 'missing' | 'invalid'; password?: PasswordFault }
}

const sent: ResetSentData = {
  action: '/reset-password/sent',
  resendAction: '/reset-password',
  email: 'ines.moreau@example.org',
  notice: null,
  faults: {},
  passwordMinLength: 15,
  problem: null,
  ...noWaiting
}

export const resetSentPage = definePage<ResetSentData>(
  'self-service/reset-sent',
  {
    fresh: sent,
    resent: { ...sent, notice: 'resent' },
    'after-not-me': { ...sent, notice: 'ended' },
    'after-undo': { ...sent, notice: 'restored' },
    missing: { ...sent, faults: { code: 'missing', password: 'missing' } },
    'wrong-code': { ...sent, faults: { code: 'invalid' } },
    'short-password': { ...sent, faults: { password: 'too_short' } },
    guessable: { ...sent, faults: { password: 'guessable' } },
    busy: { ...sent, problem: 'busy' },
    'too-many': { ...sent, problem: 'too_many', retryAfterSeconds: 60 },
    'work-needed': {
      ...sent,
      problem: 'work_needed',
      retryAfterSeconds: 30,
      challenge: '17.1767225600.q0d1q0d1q0d1q0d1.stamp'
    }
  },
  data => ({
    problemText:
      data.problem &&
      {
        ...waitingTexts(data),
        busy,
        too_many: `There were too many wrong tries. Wait ${waitInWords(data.retryAfterSeconds)}, then try again, or open the link in the mail.`
      }[data.problem],
    codeFaultText:
      data.faults.code &&
      {
        missing: 'Type the six digits from the mail.',
        invalid:
          'This is not the code of the newest mail, or it is no longer good. A code lasts an hour and five tries; a new mail brings a new one.'
      }[data.faults.code],
    noticeText:
      data.notice &&
      {
        resent:
          'If the address belongs to an account, a new mail is on its way. Only the newest one counts, and after several within an hour no more are sent.',
        restored:
          'Your account has this address again. Everybody is signed out of it, and its old password no longer opens it. Choose a new one to get back in.',
        ended:
          'Everybody is signed out of your account, and its old password no longer opens it. Choose a new one to get back in.'
      }[data.notice]
  })
)

export type ResetLinkData = {
  passwordMinLength: number
  problem: null | 'busy'
  action: string
  requestUrl: string
  email: string
  state: 'ready' | 'invalid' | 'expired'
  faults: { password?: PasswordFault }
}

const link: ResetLinkData = {
  action: '/reset-password/q0d1',
  requestUrl: '/reset-password',
  email: 'ines.moreau@example.org',
  state: 'ready',
  faults: {},
  passwordMinLength: 15,
  problem: null
}

export const resetLinkPage = definePage<ResetLinkData>(
  'self-service/reset-link',
  {
    ready: link,
    missing: { ...link, faults: { password: 'missing' } },
    'short-password': { ...link, faults: { password: 'too_short' } },
    common: { ...link, faults: { password: 'common' } },
    busy: { ...link, problem: 'busy' },
    invalid: { ...link, email: '', state: 'invalid' },
    expired: { ...link, email: '', state: 'expired' }
  },
  data => ({
    problemText: data.problem && busy,
    words: {
      ready: null,
      invalid: {
        title: 'This link is not good any more',
        explanation: 'It was used already, or a newer mail has taken its place.'
      },
      expired: {
        title: 'This link is too old',
        explanation: 'Links that set a new password last for an hour at most, and this one has run out.'
      }
    }[data.state]
  })
)

export const resetDonePage = definePage<{ back: WayBack }>('self-service/reset-done', {
  'from-sign-in': { back: { ...back, label: 'Go on with the sign-in' } },
  elsewhere: { back: null }
})
