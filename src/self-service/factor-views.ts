// The pages of one way to sign in: adding it, naming it, parting from it; and of one browser.
import { defaultTotpName } from '../credentials/totp-enrolment-service.ts'
import { definePage } from '../http/view.ts'
import type { SignedIn } from './account-views.ts'
import {
  type ListedAuthenticator,
  type ListedDevice,
  type ListedPasskey,
  presentAuthenticator,
  presentDevice,
  presentPasskey,
  sampleAuthenticator,
  sampleDevice,
  sampleKey,
  samplePasskey,
  samplePerson
} from './listed-views.ts'

type NameFault = 'missing' | 'too_long' | 'invalid'

const nameFaultTexts: Record<NameFault, string> = {
  missing: 'Enter a name.',
  too_long: 'This name is too long. Use one of at most 60 characters.',
  invalid: 'This name has characters that cannot be shown. Type it again by hand.'
}

/** Why something was not done. */
export type ChangeProblem = 'last_way_in' | 'second_factor_required' | 'frozen'

export const problemTexts: Record<ChangeProblem, string> = {
  last_way_in:
    'This is the only way into your account, so it was not removed. Add a password or another passkey first.',
  second_factor_required:
    'Your account has to have a second step, and this is the only one, so it was not removed. Add another passkey or authenticator app first.',
  frozen: 'How you sign in cannot be changed just now: somebody said that a change was not made by you.'
}

export type FactorData = SignedIn & {
  factor: ({ kind: 'passkey' } & ListedPasskey) | ({ kind: 'authenticator' } & ListedAuthenticator)
  /** What was typed as its new name. */
  name: string
  /** With it goes the second step, and with that the recovery codes. */
  lastSecondFactor: boolean
  problem: ChangeProblem | null
  faults: { name?: NameFault }
}

const passkey: FactorData = {
  signedInAs: samplePerson,
  factor: { kind: 'passkey', ...samplePasskey },
  name: samplePasskey.name,
  lastSecondFactor: false,
  problem: null,
  faults: {}
}
const authenticator: FactorData = {
  ...passkey,
  factor: { kind: 'authenticator', ...sampleAuthenticator },
  name: sampleAuthenticator.name
}

export const factorPage = definePage<FactorData>(
  'self-service/factor',
  {
    passkey,
    'security-key': { ...passkey, factor: { kind: 'passkey', ...sampleKey }, name: sampleKey.name },
    'copied-passkey': {
      ...passkey,
      factor: { kind: 'passkey', ...sampleKey, signCountRegressedAt: sampleKey.createdAt },
      name: sampleKey.name
    },
    'only-passkey': { ...passkey, lastSecondFactor: true, problem: 'last_way_in' },
    authenticator,
    'only-authenticator': { ...authenticator, lastSecondFactor: true },
    required: { ...authenticator, lastSecondFactor: true, problem: 'second_factor_required' },
    frozen: { ...authenticator, problem: 'frozen' },
    'without-name': { ...authenticator, name: '', faults: { name: 'missing' } },
    'long-name': { ...passkey, name: 'Laptop '.repeat(20), faults: { name: 'too_long' } },
    'hidden-characters': { ...passkey, name: 'Lap\u202etop', faults: { name: 'invalid' } }
  },
  ({ factor, problem, faults }) => {
    const isPasskey = factor.kind === 'passkey'
    const shown = isPasskey ? { ...presentPasskey(factor) } : { ...presentAuthenticator(factor) }
    return {
      // Who gave it no name of its own reads this as its name.
      factor: { facts: shown.name === defaultTotpName ? null : defaultTotpName, warning: null, ...shown },
      action: `/account/security/${isPasskey ? 'passkeys' : 'authenticators'}/${factor.id}`,
      removal: isPasskey ? removalOfPasskey : removalOfAuthenticator,
      problemText: problem && problemTexts[problem],
      faultTexts: { name: faults.name && nameFaultTexts[faults.name] }
    }
  }
)

const removalOfPasskey = {
  title: 'Remove this passkey',
  text: 'From then on it does not open your account. Where it is kept (in a password manager, on a phone, on a key), delete it as well: only a few of them hear about it from us.'
}
const removalOfAuthenticator = {
  title: 'Remove this authenticator app',
  text: 'From then on its codes count no longer. Delete the entry in the app as well.'
}

export type DeviceData = SignedIn & { device: ListedDevice }

export const devicePage = definePage<DeviceData>(
  'self-service/device',
  {
    'this-browser': { signedInAs: samplePerson, device: sampleDevice },
    trusted: { signedInAs: samplePerson, device: { ...sampleDevice, current: false } },
    'not-trusted': {
      signedInAs: samplePerson,
      device: { ...sampleDevice, current: false, trustedUntil: null }
    }
  },
  ({ device }) => ({ device: presentDevice(device), action: `/account/security/devices/${device.id}` })
)

export type AddPasskeyData = SignedIn & {
  problem: null | 'refused' | 'already_registered' | 'not_allowed' | 'too_many' | 'frozen'
  /** Without a password, a passkey has to verify the person by itself. */
  hasPassword: boolean
}

const addPasskey: AddPasskeyData = { signedInAs: samplePerson, problem: null, hasPassword: true }

export const addPasskeyPage = definePage<AddPasskeyData>(
  'self-service/add-passkey',
  {
    fresh: addPasskey,
    'without-password': { ...addPasskey, hasPassword: false },
    refused: { ...addPasskey, problem: 'refused' },
    'already-registered': { ...addPasskey, problem: 'already_registered' },
    'not-allowed': { ...addPasskey, problem: 'not_allowed' },
    'too-many': { ...addPasskey, problem: 'too_many' },
    frozen: { ...addPasskey, problem: 'frozen' }
  },
  ({ problem }) => ({
    problemText:
      problem &&
      {
        refused:
          'That did not work, and nothing was added. Try again; it has to be done within five minutes.',
        already_registered: 'This passkey is known already. Use another device, key or password manager.',
        not_allowed: 'This kind of key is not accepted here. Ask whoever runs this service which ones are.',
        too_many: 'Your account has as many passkeys as it can have. Remove one that you do not use first.',
        frozen: problemTexts.frozen
      }[problem]
  })
)
