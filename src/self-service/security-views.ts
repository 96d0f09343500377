// What the page of everything that opens an account shows, and its words.
import type { FactorFacts } from '../credentials/factor-model.ts'
import type { Signals } from '../credentials/webauthn-model.ts'
import { definePage } from '../http/view.ts'
import type { SignedIn } from './account-views.ts'
import {
  at,
  type ListedAuthenticator,
  type ListedDevice,
  type ListedPasskey,
  momentOf,
  presentAuthenticator,
  presentDevice,
  presentPasskey,
  sampleAuthenticator,
  sampleDevice,
  sampleKey,
  samplePasskey,
  samplePerson
} from './listed-views.ts'
import { type Advice, adviceFor, type Done } from './security-model.ts'

export type SecurityData = SignedIn & {
  notice: Done | null
  factors: FactorFacts
  /** Nothing can be changed before this moment; null: now is fine. */
  frozenUntil: Date | null
  passkeys: ListedPasskey[]
  authenticators: ListedAuthenticator[]
  devices: ListedDevice[]
  mailSignIn: boolean
  /** Applications may ask for approvals here. */
  approvals: boolean
  /** What authenticators are told after a change; null: nothing. */
  signals: Signals | null
}

const passwordAlone: SecurityData = {
  signedInAs: samplePerson,
  notice: null,
  factors: { password: true, totp: 0, webauthn: 0, recoveryCodes: 0, frozenUntil: null },
  frozenUntil: null,
  passkeys: [],
  authenticators: [],
  devices: [{ ...sampleDevice, trustedUntil: null }],
  mailSignIn: false,
  approvals: false,
  signals: null
}
const everything: SecurityData = {
  ...passwordAlone,
  factors: { password: true, totp: 1, webauthn: 2, recoveryCodes: 8, frozenUntil: null },
  passkeys: [samplePasskey, sampleKey],
  authenticators: [sampleAuthenticator],
  devices: [
    sampleDevice,
    {
      ...sampleDevice,
      id: `${sampleDevice.id}5`,
      browser: 'Safari on iPhone',
      trustedUntil: null,
      current: false
    }
  ],
  mailSignIn: true,
  approvals: true
}

export const securityPage = definePage<SecurityData>(
  'self-service/security',
  {
    'password-alone': passwordAlone,
    everything,
    'passkey-alone': {
      ...passwordAlone,
      notice: 'passkey-added',
      factors: { ...passwordAlone.factors, password: false, webauthn: 1 },
      passkeys: [samplePasskey],
      signals: {
        rpId: 'id.example.org',
        userId: 'AZN_XJpAfMGnpm9UsvHA0Q',
        name: samplePerson.email,
        displayName: samplePerson.name,
        credentialIds: '3q2-7w'
      }
    },
    'without-recovery-codes': {
      ...everything,
      notice: 'authenticator-added',
      factors: { ...everything.factors, recoveryCodes: 0 }
    },
    'few-recovery-codes': { ...everything, factors: { ...everything.factors, recoveryCodes: 1 } },
    'authenticator-alone': {
      ...passwordAlone,
      factors: { ...passwordAlone.factors, totp: 1, recoveryCodes: 10 },
      authenticators: [{ ...sampleAuthenticator, lastUsedAt: null }],
      devices: []
    },
    'copied-passkey': {
      ...everything,
      passkeys: [
        { ...samplePasskey, backupEligible: true, backedUp: false },
        { ...sampleKey, signCountRegressedAt: at('2026-11-19') }
      ]
    },
    frozen: { ...everything, notice: 'passkey-removed', frozenUntil: at('2026-11-22') }
  },
  data => {
    const advice = adviceFor(data.factors, {
      copiedPasskey: data.passkeys.some(({ signCountRegressedAt }) => signCountRegressedAt !== null)
    })
    return {
      signals: data.signals && { accepted: data.signals },
      noticeText: data.notice && doneTexts[data.notice],
      frozenText: data.frozenUntil && momentOf(data.frozenUntil),
      protection: protectionOf(advice, data.factors),
      passwordText: passwordText(data.factors),
      codesText: codesText(data.factors),
      passkeys: data.passkeys.map(presentPasskey),
      authenticators: data.authenticators.map(presentAuthenticator),
      devices: data.devices.map(presentDevice)
    }
  }
)

const doneTexts: Record<Done, string> = {
  'password-changed':
    'Your password was changed. You stay signed in here; every other browser and application has to sign in again.',
  'password-added': 'Your account has a password now.',
  'passkey-added': 'The passkey was added. You can give it a name that you know it by.',
  'passkey-renamed': 'The passkey has its new name.',
  'password-removed': 'The password was removed. Your passkeys open your account.',
  'passkey-removed': 'The passkey was removed. It opens your account no longer.',
  'authenticator-added': 'The authenticator app was added. Its codes are asked for from the next sign-in on.',
  'authenticator-renamed': 'The authenticator app has its new name.',
  'authenticator-removed': 'The authenticator app was removed. Its codes count no longer.',
  'device-untrusted': 'That browser is asked for the second step again.',
  'device-removed': 'That browser was removed. Its next sign-in counts as one in a new browser.',
  'address-changed': 'Your email address was changed. Use the new one at your next sign-in.'
}

type Protection = {
  level: 'weak' | 'fair' | 'good'
  text: string
  link: { href: string; label: string } | null
}

/** One sentence on how things are, one on the step that would help most. */
function protectionOf(advice: Advice, { recoveryCodes }: FactorFacts): Protection {
  const codes = { href: '/account/security/recovery-codes', label: 'Make recovery codes' }
  const passkey = { href: '/account/security/passkeys/add', label: 'Add a passkey' }
  switch (advice) {
    case 'look_at_passkey':
      return {
        level: 'weak',
        text: 'One of your passkeys may have been copied. One step: remove the one that is marked below.',
        link: null
      }
    case 'add_second_factor':
      return {
        level: 'weak',
        text: 'Whoever learns your password is in. One step: add a passkey, which nobody can guess or steal by a false page.',
        link: passkey
      }
    case 'add_another_way':
      return {
        level: 'fair',
        text: 'Your account is safe, but one passkey is the only key to it. One step: add a second passkey, for the day when this one is lost.',
        link: passkey
      }
    case 'make_recovery_codes':
      return {
        level: 'fair',
        text: 'Your account is safe, but without recovery codes a lost phone could lock you out. One step: make some.',
        link: codes
      }
    case 'renew_recovery_codes':
      return {
        level: 'fair',
        text: `Your account is safe, but ${recoveryCodes === 1 ? 'only one recovery code is' : `only ${recoveryCodes} recovery codes are`} left. One step: make new ones.`,
        link: { ...codes, label: 'Make new codes' }
      }
    case 'add_passkey':
      return {
        level: 'good',
        text: 'Your account is well protected. A passkey would be quicker than codes, and false pages cannot ask for it.',
        link: passkey
      }
    case 'nothing':
      return {
        level: 'good',
        text: 'Your account is well protected. There is nothing that you need to do.',
        link: null
      }
  }
}

const passwordText = ({ password }: FactorFacts): string =>
  password ? 'A password is set.' : 'No password is set: you sign in without one.'

function codesText(factors: FactorFacts): string {
  const { recoveryCodes, totp, webauthn } = factors
  if (recoveryCodes > 0) return `${recoveryCodes} of 10 left.`
  return totp + webauthn > 0
    ? 'You have none.'
    : 'You get some as soon as you have a passkey or an authenticator app.'
}
