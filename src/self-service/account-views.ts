// Pages around the account pages: what is shown to who did not sign in.
import { definePage } from '../http/view.ts'

export const notSignedInPage = definePage<{ retryUrl: string }>('self-service/not-signed-in', {
  only: { retryUrl: '/account/security' }
})

/** Whose page it is, in the head of every page of a signed-in person. */
export type SignedIn = { signedInAs: { name: string; email: string } }
