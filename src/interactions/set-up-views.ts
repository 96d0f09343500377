// The pages that set up a factor in the course of a sign-in, and their words.
import type { PasswordFault } from '../credentials/model.ts'
import type { TotpEnrolment } from '../credentials/totp-enrolment-service.ts'
import { definePage } from '../http/view.ts'
import { sampleQrCode } from '../lib/qr-code.ts'

export type SetUpData = {
  /** Where this step's forms go, without a slash at the end. */
  base: string
  clientName: string
  accountEmail: string
  /** What is asked for: any second factor, a passkey beside what there is, or the passkey of a new account. */
  purpose: 'second_factor' | 'phishing_resistant' | 'new_account'
  method: 'choose' | 'passkey' | 'totp' | 'password'
  /** With `totp`. */
  enrolment: TotpEnrolment | null
  /** What was typed as the factor's name. */
  name: string
  problem:
    | null
    | 'missing'
    | 'wrong_code'
    | 'invalid_name'
    | 'expired'
    | 'too_many'
    | 'refused'
    | 'not_allowed'
    | 'frozen'
    | 'busy'
  /** With `password`. */
  passwordFault: PasswordFault | null
  passwordMinLength: number
  cancelAction: string
}

const sample: SetUpData = {
  base: '/interaction/Ab3/set-up',
  clientName: 'Tidewater Photos',
  accountEmail: 'ines.moreau@example.org',
  purpose: 'second_factor',
  method: 'choose',
  enrolment: null,
  name: '',
  problem: null,
  passwordFault: null,
  passwordMinLength: 15,
  cancelAction: '/interaction/Ab3/cancel'
}
const uri = 'otpauth://totp/Gatehouse:ines.moreau@example.org?secret=JBSWY3DPEHPK3PXP&issuer=Gatehouse'
const totp: SetUpData = {
  ...sample,
  method: 'totp',
  enrolment: { secret: 'JBSW Y3DP EHPK 3PXP', uri, qrCode: sampleQrCode, enrolment: 'c2VhbGVk' }
}
const newAccount: SetUpData = { ...sample, base: '/interaction/Ab3/passkey', purpose: 'new_account' }

const words: Record<NonNullable<SetUpData['problem']>, string> = {
  missing: 'Type the six digits that your app shows.',
  wrong_code:
    'This code is not right. Wait for the next one in your app, and check that your phone’s clock is right.',
  invalid_name: 'Use a name of at most 60 letters and digits.',
  expired: 'This page was open for too long. Scan the new code below.',
  too_many: 'There were too many tries. Wait a minute, then try again.',
  refused: 'That did not work, so nothing was set up. Try again, or use another way.',
  not_allowed:
    'This kind of passkey is not accepted here. Use a security key that your organisation gave you.',
  frozen:
    'After a report that somebody else was in this account, nothing about signing in can be changed for a day. Come back tomorrow.',
  busy: 'We are busy just now. Wait a moment, then try again.'
}
const codeProblems = ['missing', 'wrong_code']

export const setUpPage = definePage<SetUpData>(
  'interactions/set-up',
  {
    choose: sample,
    frozen: { ...sample, problem: 'frozen' },
    totp,
    'totp-wrong': { ...totp, name: 'Work phone', problem: 'wrong_code' },
    'totp-expired': { ...totp, problem: 'expired' },
    passkey: { ...sample, method: 'passkey' },
    'passkey-refused': { ...sample, method: 'passkey', problem: 'refused' },
    'passkey-not-allowed': { ...sample, method: 'passkey', problem: 'not_allowed' },
    'phishing-resistant': { ...sample, purpose: 'phishing_resistant', method: 'passkey' },
    'new-account': { ...newAccount, method: 'passkey' },
    'new-account-password': { ...newAccount, method: 'password' },
    'new-account-password-short': {
      ...newAccount,
      method: 'password',
      passwordFault: 'too_short'
    }
  },
  ({ problem }) => {
    const text = problem && words[problem]
    const ofCode = problem !== null && codeProblems.includes(problem)
    const ofName = problem === 'invalid_name'
    return {
      problemText: ofCode || ofName ? null : text,
      totpFaults: { code: ofCode ? text : null, name: ofName ? text : null }
    }
  }
)

/** Shown once, in answer to the form that made them. */
export const recoveryCodesPage = definePage<{
  codes: string[]
  email: string
  continueUrl: string
}>('interactions/recovery-codes', {
  only: {
    codes: Array.from({ length: 10 }, (_, index) => `7K3M-9QXT-2BCD-W5H${index}`),
    email: 'ines.moreau@example.org',
    continueUrl: '/interaction/Ab3/consent'
  }
})
