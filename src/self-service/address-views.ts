// The pages of changing one's email address: asking for it, and proving the new one by code or link.
import { definePage } from '../http/view.ts'
import type { SignedIn } from './account-views.ts'
import { samplePerson } from './listed-views.ts'

export type AddressData = SignedIn & {
  email: string
  problem: null | 'frozen' | 'capped'
  faults: { email?: 'missing' | 'invalid' | 'too_long' | 'same' }
}

const address: AddressData = { signedInAs: samplePerson, email: '', problem: null, faults: {} }

export const addressPage = definePage<AddressData>(
  'self-service/address',
  {
    fresh: address,
    empty: { ...address, faults: { email: 'missing' } },
    invalid: { ...address, email: 'ines.moreau', faults: { email: 'invalid' } },
    'too-long': { ...address, email: `${'a'.repeat(300)}@example.org`, faults: { email: 'too_long' } },
    same: { ...address, email: samplePerson.email, faults: { email: 'same' } },
    frozen: { ...address, email: 'ines@example.net', problem: 'frozen' },
    capped: { ...address, email: 'ines@example.net', problem: 'capped' }
  },
  ({ problem, faults }) => ({
    problemText: problem && { frozen: frozenText, capped: cappedText }[problem],
    faultText:
      faults.email &&
      {
        missing: 'Enter the new email address.',
        invalid: 'Enter an address like name@example.org.',
        too_long: 'This address is too long. Use one of at most 254 characters.',
        same: 'This is the address that you have now.'
      }[faults.email]
  })
)

const cappedText =
  'Several mails have been sent to this address already. Look for them, also in the spam folder, or try again in an hour.'
const frozenText = 'Your address cannot be changed just now: somebody said that a change was not made by you.'

type LinkProblem = 'invalid' | 'expired' | 'other_account' | 'taken' | 'frozen'

const linkProblemTexts: Record<LinkProblem, string> = {
  invalid: 'This link is not good any more: it was used, or a newer mail took its place.',
  expired: 'This link is too old. Links like this last for an hour.',
  other_account: 'This link belongs to another account than the one that you are signed in to here.',
  taken: 'Another account has this address by now.',
  frozen: frozenText
}

export type AddressSentData = SignedIn & {
  newEmail: string
  notice: null | 'capped'
  problem: null | Exclude<LinkProblem, 'invalid' | 'expired'>
  faults: { code?: 'missing' | 'invalid' | 'expired' | 'no_attempts_left' }
}

const sent: AddressSentData = {
  signedInAs: samplePerson,
  newEmail: 'ines@example.net',
  notice: null,
  problem: null,
  faults: {}
}

export const addressSentPage = definePage<AddressSentData>(
  'self-service/address-sent',
  {
    fresh: sent,
    capped: { ...sent, notice: 'capped' },
    missing: { ...sent, faults: { code: 'missing' } },
    invalid: { ...sent, faults: { code: 'invalid' } },
    expired: { ...sent, faults: { code: 'expired' } },
    'no-attempts-left': { ...sent, faults: { code: 'no_attempts_left' } },
    taken: { ...sent, problem: 'taken' }
  },
  ({ notice, problem, faults }) => ({
    noticeText: notice && cappedText,
    problemText: problem && linkProblemTexts[problem],
    faultText:
      faults.code &&
      {
        missing: 'Type the six digits from the mail.',
        invalid: 'This is not the code from the newest mail. Check the six digits and try again.',
        expired: 'This code is too old. Send a new mail below and use the code in it.',
        no_attempts_left: 'This code was tried too often and is no longer good. Send a new mail below.'
      }[faults.code]
  })
)

export type ConfirmAddressData = SignedIn & {
  /** Null with a problem that the link has from the start. */
  newEmail: string | null
  problem: LinkProblem | null
}

const confirm: ConfirmAddressData = {
  signedInAs: samplePerson,
  newEmail: 'ines@example.net',
  problem: null
}

export const confirmAddressPage = definePage<ConfirmAddressData>(
  'self-service/address-confirm',
  {
    ready: confirm,
    invalid: { ...confirm, newEmail: null, problem: 'invalid' },
    expired: { ...confirm, newEmail: null, problem: 'expired' },
    'other-account': { ...confirm, newEmail: null, problem: 'other_account' },
    taken: { ...confirm, newEmail: null, problem: 'taken' }
  },
  ({ problem }) => ({ problemText: problem && linkProblemTexts[problem] })
)
