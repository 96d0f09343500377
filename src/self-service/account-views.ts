// Pages around the account pages: what is shown to who did not sign in.
import { definePage } from '../http/view.ts'

export const notSignedInPage = definePage<{ retryUrl: string }>('self-service/not-signed-in', {
  only: { retryUrl: '/account/security' }
})
