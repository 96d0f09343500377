// The page behind a mail's link that takes a change of the address back, and its words.
import { definePage } from '../http/view.ts'

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
