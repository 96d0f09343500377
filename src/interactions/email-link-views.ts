// The pages behind the link of a mail that confirms an address. They may be opened in any browser.
import { definePage } from '../http/view.ts'

/** The application that the person came from, where this browser remembers it. */
type Application = { name: string; url: string } | null

export type ConfirmAddressData = {
  action: string
  email: string
  state: 'ready' | 'invalid' | 'expired'
  /** Others have signed up at this address, too: the password tells whose sign-up the mail belongs to. */
  passwordNeeded: boolean
  fault: null | 'missing' | 'wrong'
  application: Application
}

const application = { name: 'Tidewater Photos', url: 'https://photos.tidewater.example/' }
const ready: ConfirmAddressData = {
  action: '/verify-email/q0d1',
  email: 'ines.moreau@example.org',
  state: 'ready',
  passwordNeeded: false,
  fault: null,
  application: null
}

export const confirmAddressPage = definePage<ConfirmAddressData>(
  'interactions/confirm-address',
  {
    ready,
    contested: { ...ready, passwordNeeded: true },
    'contested-missing': { ...ready, passwordNeeded: true, fault: 'missing' },
    'contested-wrong': { ...ready, passwordNeeded: true, fault: 'wrong' },
    invalid: { ...ready, email: '', state: 'invalid' },
    expired: { ...ready, state: 'expired', application }
  },
  ({ state, fault }) => ({
    faultText:
      fault &&
      {
        missing: 'Type the password that you chose when you signed up.',
        wrong:
          'This is not the password of the sign-up that this mail belongs to. If you did not ask for this mail, close this page and use the one that you asked for.'
      }[fault],
    words: {
      ready: null,
      invalid: {
        title: 'This link is not good any more',
        explanation: 'It was used already, or a newer mail has taken its place.'
      },
      expired: {
        title: 'This link is too old',
        explanation: 'Links in our mails last for a limited time, and this one has run out.'
      }
    }[state]
  })
)

export const addressConfirmedPage = definePage<{ application: Application }>(
  'interactions/address-confirmed',
  {
    here: { application },
    elsewhere: { application: null }
  }
)
