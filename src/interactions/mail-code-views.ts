// The pages of signing in by mail, and their words.
import { definePage } from '../http/view.ts'
import { noWaiting, type Waiting, waitingTexts } from '../http/waiting.ts'

export type MailCodeRequestData = Waiting & {
  action: string
  signInUrl: string
  clientName: string
  email: string
  fault: null | 'missing' | 'invalid' | 'too_long'
  problem: null | 'work_needed'
}

const request: MailCodeRequestData = {
  action: '/interaction/Ab3/mail-code',
  signInUrl: '/interaction/Ab3/sign-in',
  clientName: 'Tidewater Photos',
  email: '',
  fault: null,
  problem: null,
  ...noWaiting
}
const working = { retryAfterSeconds: 20, challenge: '17.1795436400.c2FtcGxlLW5vbmNl.c3RhbXA' }

/** Where somebody asks for the mail. */
export const mailCodeRequestPage = definePage<MailCodeRequestData>(
  'interactions/mail-code-request',
  {
    fresh: request,
    missing: { ...request, fault: 'missing' },
    invalid: { ...request, email: 'ines.moreau', fault: 'invalid' },
    'too-long': { ...request, email: `${'a'.repeat(300)}@example.org`, fault: 'too_long' },
    'work-needed': { ...request, email: 'ines.moreau@example.org', problem: 'work_needed', ...working }
  },
  ({ fault, problem, ...waiting }) => ({
    problemText: problem && waitingTexts(waiting)[problem],
    faultText:
      fault &&
      {
        missing: 'Enter your email address.',
        invalid: 'Enter an address like name@example.org.',
        too_long: 'This address is too long. Use one of at most 254 characters.'
      }[fault]
  })
)

export type MailCodeData = Waiting & {
  action: string
  resendAction: string
  startOverUrl: string
  clientName: string
  /** As it was typed: the page does not tell whether anybody has it. */
  email: string
  problem: null | 'missing' | 'wrong_code' | 'too_many' | 'work_needed'
  notice: null | 'sent' | 'capped'
}

const code: MailCodeData = {
  action: '/interaction/Ab3/mail-code/sent',
  resendAction: '/interaction/Ab3/mail-code',
  startOverUrl: '/interaction/Ab3/sign-in',
  clientName: 'Tidewater Photos',
  email: 'ines.moreau@example.org',
  problem: null,
  notice: null,
  ...noWaiting
}

/** Where the mail is waited for. */
export const mailCodePage = definePage<MailCodeData>(
  'interactions/mail-code',
  {
    fresh: code,
    missing: { ...code, problem: 'missing' },
    'wrong-code': { ...code, problem: 'wrong_code' },
    'too-many': { ...code, problem: 'too_many', retryAfterSeconds: 120 },
    'work-needed': { ...code, problem: 'work_needed', ...working },
    sent: { ...code, notice: 'sent' },
    capped: { ...code, notice: 'capped' }
  },
  ({ problem, notice, ...waiting }) => ({
    problemText: problem && { missing: null, wrong_code: null, ...waitingTexts(waiting) }[problem],
    faultText:
      problem === 'missing'
        ? 'Type the six digits from the mail.'
        : problem === 'wrong_code'
          ? 'This is not the code of the newest mail, or it is no longer good. A code lasts 10 minutes and five tries; a new mail brings a new one.'
          : null,
    noticeText:
      notice &&
      {
        sent: 'If the address belongs to an account, a new mail is on its way. Only the newest one counts.',
        capped:
          'Several mails have been asked for already. Look for them, also in the spam folder, or try again in an hour.'
      }[notice]
  })
)

export type SignInLinkData = {
  action: string
  state: 'ready' | 'elsewhere' | 'invalid' | 'expired'
  /** The application that the person came from, where this browser remembers it. */
  application: { name: string; url: string } | null
}

const application = { name: 'Tidewater Photos', url: 'https://photos.tidewater.example/' }
const link: SignInLinkData = { action: '/sign-in/q0d1', state: 'ready', application: null }

export const signInLinkPage = definePage<SignInLinkData>(
  'interactions/sign-in-link',
  {
    ready: link,
    elsewhere: { ...link, state: 'elsewhere' },
    invalid: { ...link, state: 'invalid' },
    expired: { ...link, state: 'expired', application }
  },
  ({ state }) => ({
    words: {
      ready: null,
      elsewhere: {
        title: 'Open this where you began',
        explanation:
          'Open this link in the browser where you began to sign in, or type the code of the mail there. In this one it does nothing.',
        advice:
          'If you did not begin anywhere, somebody else typed your address. Close this page: nobody gets in.'
      },
      invalid: {
        title: 'This link is not good any more',
        explanation: 'It was used already, or a newer mail has taken its place.',
        advice: 'Go back to the application and sign in from there once more.'
      },
      expired: {
        title: 'This link is too old',
        explanation: 'Links that sign in last for 10 minutes, and this one has run out.',
        advice: 'Go back to the application and sign in from there once more.'
      }
    }[state]
  })
)
