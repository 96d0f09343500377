// The pages behind “this wasn't me” in a notice.
import { definePage } from '../http/view.ts'

export type NotMeData = { action: string; resetUrl: string; state: 'ready' | 'invalid' | 'expired' }

const ready: NotMeData = { action: '/not-me/q0d1', resetUrl: '/reset-password', state: 'ready' }

export const notMePage = definePage<NotMeData>(
  'self-service/not-me',
  { ready, invalid: { ...ready, state: 'invalid' }, expired: { ...ready, state: 'expired' } },
  ({ state }) => ({
    words: {
      ready: null,
      invalid: {
        title: 'This link is not good any more',
        explanation: 'It was used already, or one from another mail was.'
      },
      expired: { title: 'This link is too old', explanation: 'Links like this last for a week.' }
    }[state]
  })
)

export type NotMeDoneData = { recovery: 'capped' | 'none'; resetUrl: string }

/** Shown where no mail could be sent along. */
export const notMeDonePage = definePage<NotMeDoneData>('self-service/not-me-done', {
  capped: { recovery: 'capped', resetUrl: '/reset-password' },
  none: { recovery: 'none', resetUrl: '/reset-password' }
})
