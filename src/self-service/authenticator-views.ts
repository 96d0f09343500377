// The pages of adding an authenticator app, and of recovery codes.
import type { TotpEnrolment } from '../credentials/totp-enrolment-service.ts'
import { definePage } from '../http/view.ts'
import { sampleQrCode } from '../lib/qr-code.ts'
import type { SignedIn } from './account-views.ts'
import { samplePerson } from './listed-views.ts'

export type AddAuthenticatorData = SignedIn & {
  totp: TotpEnrolment
  name: string
  problem: null | 'invalid' | 'expired' | 'too_many' | 'frozen'
  faults: { code?: 'missing' | 'wrong_code'; name?: 'invalid_name' }
}

const uri =
  'otpauth://totp/Gatehouse:ines.moreau%40example.org?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Gatehouse'
const addAuthenticator: AddAuthenticatorData = {
  signedInAs: samplePerson,
  totp: {
    secret: 'GEZD GNBV GY3T QOJQ GEZD GNBV GY3T QOJQ',
    uri,
    qrCode: sampleQrCode,
    enrolment: 'c2VhbGVk'
  },
  name: '',
  problem: null,
  faults: {}
}

export const addAuthenticatorPage = definePage<AddAuthenticatorData>(
  'self-service/add-authenticator',
  {
    fresh: addAuthenticator,
    'wrong-code': { ...addAuthenticator, name: 'Telephone', faults: { code: 'wrong_code' } },
    'without-code': { ...addAuthenticator, faults: { code: 'missing' } },
    'invalid-name': { ...addAuthenticator, name: 'Tele\u202ephone', faults: { name: 'invalid_name' } },
    expired: { ...addAuthenticator, problem: 'expired' },
    invalid: { ...addAuthenticator, problem: 'invalid' },
    'too-many': { ...addAuthenticator, problem: 'too_many' },
    frozen: { ...addAuthenticator, problem: 'frozen' }
  },
  ({ totp, name, problem, faults }) => ({
    problemText:
      problem &&
      {
        invalid: 'This code cannot be used any more. Scan the new one below.',
        expired: 'That took longer than ten minutes. Scan the new code below.',
        too_many: 'Your account has as many authenticator apps as it can have. Remove one first.',
        frozen: 'How you sign in cannot be changed just now: somebody said that a change was not made by you.'
      }[problem],
    totp: {
      ...totp,
      name,
      faultTexts: {
        code:
          faults.code &&
          {
            missing: 'Type the six digits that the app shows.',
            wrong_code:
              'This is not the code that the app shows now. Wait for the next one; if that fails too, set the clock of your phone.'
          }[faults.code],
        name:
          faults.name && 'This name is too long, or has characters that cannot be shown. Type a shorter one.'
      }
    }
  })
)

export type RecoveryCodesData = SignedIn & {
  codesLeft: number
  problem: null | 'no_second_factor' | 'frozen'
}

const recoveryCodes: RecoveryCodesData = { signedInAs: samplePerson, codesLeft: 8, problem: null }

export const recoveryCodesPage = definePage<RecoveryCodesData>(
  'self-service/recovery-codes',
  {
    some: recoveryCodes,
    none: { ...recoveryCodes, codesLeft: 0 },
    'no-second-factor': { ...recoveryCodes, codesLeft: 0, problem: 'no_second_factor' },
    frozen: { ...recoveryCodes, problem: 'frozen' }
  },
  ({ problem }) => ({
    problemText:
      problem &&
      {
        no_second_factor:
          'There is no second step for them to stand in for. Add a passkey or an authenticator app first.',
        frozen: 'How you sign in cannot be changed just now: somebody said that a change was not made by you.'
      }[problem]
  })
)

export type NewRecoveryCodesData = SignedIn & {
  codes: string[]
  /** What was added, with which they came; null: they were asked for. */
  notice: 'passkey' | 'authenticator' | null
}

const newCodes: NewRecoveryCodesData = {
  signedInAs: samplePerson,
  codes: Array.from({ length: 10 }, (_, index) => `7K3M-9QXT-2BCD-W5H${index}`),
  notice: null
}

export const newRecoveryCodesPage = definePage<NewRecoveryCodesData>(
  'self-service/new-recovery-codes',
  {
    'asked-for': newCodes,
    'with-passkey': { ...newCodes, notice: 'passkey' },
    'with-authenticator': { ...newCodes, notice: 'authenticator' }
  },
  ({ codes, notice, signedInAs }) => ({
    noticeText:
      notice &&
      {
        passkey: 'The passkey was added. It is asked for from the next sign-in on.',
        authenticator: 'The authenticator app was added. Its codes are asked for from the next sign-in on.'
      }[notice],
    recoveryCodes: { codes, email: signedInAs.email }
  })
)
