// The pages behind the link of a mail that confirms an address. They may be opened in any browser.
import { definePage } from '../http/view.ts'

/** The application that the person came from, where this browser remembers it. */
type Application = { name: string; url: string } | null

export type ConfirmAddressData = {
  action: string
  email: string
  state: 'ready' | 'invalid' | 'expired'
  application: Application
}

const application = { name: 'Tidewater Photos', url: 'https://photos.tidewater.example/' }

export const confirmAddressPage = definePage<ConfirmAddressData>(
  'interactions/confirm-address',
  {
    ready: {
      action: '/verify-email/q0d1',
      email: 'ines.moreau@example.org',
      state: 'ready',
      application: null
    },
    invalid: { action: '/verify-email/q0d1', email: '', state: 'invalid', application: null },
    expired: { action: '/verify-email/q0d1', email: 'ines.moreau@example.org', state: 'expired', application }
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
