// The pages that change an account's address, and take a change back.
import { definePage } from '../http/view.ts'
import type { SignedIn } from './account-views.ts'
import { samplePerson } from './security-views.ts'

const frozenText =
  'Somebody said lately that it was not they who used this account. For 24 hours after that its address stays as it is.'

export type ChangeAddressData = SignedIn & {
  action: string
  email: string
  fault: null | 'missing' | 'invalid' | 'too_long' | 'same'
  problem: null | 'frozen' | 'capped'
}

const change: ChangeAddressData = {
  signedInAs: samplePerson,
  action: '/account/security/address',
  email: '',
  fault: null,
  problem: null
}

export const changeAddressPage = definePage<ChangeAddressData>(
  'self-service/change-address',
  {
    fresh: change,
    missing: { ...change, fault: 'missing' },
    invalid: { ...change, email: 'ines.moreau', fault: 'invalid' },
    'too-long': { ...change, email: `${'a'.repeat(300)}@example.org`, fault: 'too_long' },
    same: { ...change, email: 'ines.moreau@example.org', fault: 'same' },
    frozen: { ...change, email: 'ines@example.net', problem: 'frozen' },
    capped: { ...change, email: 'ines@example.net', problem: 'capped' }
  },
  ({ fault, problem }) => ({
    faultText:
      fault &&
      {
        missing: 'Enter the new email address.',
        invalid: 'Enter an address like name@example.org.',
        too_long: 'This address is too long. Use one of at most 254 characters.',
        same: 'This is your address already. Enter the new one.'
      }[fault],
    problemText:
      problem &&
      {
        frozen: frozenText,
        capped:
          'Several mails have been sent to this address already. Use the newest of them, or try again in an hour.'
      }[problem]
  })
)

export type AddressSentData = SignedIn & {
  action: string
  startOverUrl: string
  email: string
  fault: null | 'missing' | 'invalid' | 'expired' | 'no_attempts_left'
  problem: null | 'taken' | 'frozen'
}

const sent: AddressSentData = {
  signedInAs: samplePerson,
  action: '/account/security/address/sent',
  startOverUrl: '/account/security/address',
  email: 'ines@example.net',
  fault: null,
  problem: null
}

const takenText =
  'Another account has this address by now. Sign in to that one, or use another address for this one.'

export const addressSentPage = definePage<AddressSentData>(
  'self-service/address-sent',
  {
    fresh: sent,
    missing: { ...sent, fault: 'missing' },
    invalid: { ...sent, fault: 'invalid' },
    expired: { ...sent, fault: 'expired' },
    'no-attempts-left': { ...sent, fault: 'no_attempts_left' },
    taken: { ...sent, problem: 'taken' },
    frozen: { ...sent, problem: 'frozen' }
  },
  ({ fault, problem }) => ({
    faultText:
      fault &&
      {
        missing: 'Type the six digits from the mail.',
        invalid: 'This is not the code from the newest mail. Check the six digits and try again.',
        expired: 'This code is too old. Start over below, and a new mail brings a new one.',
        no_attempts_left: 'This code was tried too often and is no longer good. Start over below.'
      }[fault],
    problemText: problem && { taken: takenText, frozen: frozenText }[problem]
  })
)

export type AddressLinkData = SignedIn & {
  action: string
  startOverUrl: string
  email: string
  state: 'ready' | 'invalid' | 'expired' | 'other_account' | 'taken' | 'frozen'
}

const link: AddressLinkData = {
  signedInAs: samplePerson,
  action: '/account/security/address/q0d1',
  startOverUrl: '/account/security/address',
  email: 'ines@example.net',
  state: 'ready'
}

export const addressLinkPage = definePage<AddressLinkData>(
  'self-service/address-link',
  {
    ready: link,
    invalid: { ...link, email: '', state: 'invalid' },
    expired: { ...link, email: '', state: 'expired' },
    'other-account': { ...link, email: '', state: 'other_account' },
    taken: { ...link, state: 'taken' },
    frozen: { ...link, state: 'frozen' }
  },
  ({ state }) => ({
    words: {
      ready: null,
      invalid: {
        title: 'This link is not good any more',
        explanation: 'It was used already, or a newer mail has taken its place.'
      },
      expired: {
        title: 'This link is too old',
        explanation: 'Links that confirm a new address last for an hour, and this one has run out.'
      },
      other_account: {
        title: 'This link belongs to another account',
        explanation:
          'In this browser you are signed in to an account that did not ask for it. If you asked, open the link where you did. If you did not ask, close this page: somebody may have typed your address by mistake.'
      },
      taken: { title: 'This address is taken', explanation: takenText },
      frozen: { title: 'The address cannot be changed now', explanation: frozenText }
    }[state]
  })
)

export type UndoAddressData = {
  action: string
  resetUrl: string
  oldEmail: string
  state: 'ready' | 'invalid' | 'expired'
}

const undo: UndoAddressData = {
  action: '/undo-address/q0d1',
  resetUrl: '/reset-password',
  oldEmail: 'ines.moreau@example.org',
  state: 'ready'
}

export const undoAddressPage = definePage<UndoAddressData>(
  'self-service/undo-address',
  {
    ready: undo,
    invalid: { ...undo, oldEmail: '', state: 'invalid' },
    expired: { ...undo, oldEmail: '', state: 'expired' }
  },
  ({ state }) => ({
    words: {
      ready: null,
      invalid: {
        title: 'This link is not good any more',
        explanation: 'The change was undone already, by this link or by that of an earlier mail.'
      },
      expired: {
        title: 'This link is too old',
        explanation: 'A change of the address can be undone for 3 days, and those are over.'
      }
    }[state]
  })
)

export type UndoAddressDoneData = { recovery: 'capped' | 'taken'; email: string; resetUrl: string }

const done: UndoAddressDoneData = {
  recovery: 'capped',
  email: 'ines.moreau@example.org',
  resetUrl: '/reset-password'
}

/** Shown where no mail could be sent along. */
export const undoAddressDonePage = definePage<UndoAddressDoneData>('self-service/undo-address-done', {
  capped: done,
  taken: { ...done, recovery: 'taken' }
})
