// The pages of signing out. oidc-provider protects the form with a field of its own, `xsrf`.
import { definePage, webUrl } from '../http/view.ts'

export type SignOutData = {
  action: string
  xsrf: string
  clientName: string | null
  accountName: string | null
}

export const signOutPage = definePage<SignOutData>('oidc/sign-out', {
  'from-application': {
    action: '/session/end/confirm',
    xsrf: 'f1c6b9',
    clientName: 'Tidewater Photos',
    accountName: 'Inès Moreau'
  },
  alone: { action: '/session/end/confirm', xsrf: 'f1c6b9', clientName: null, accountName: null }
})

export type SignedOutData = { clientName: string | null; clientUri: string | null }

export const signedOutPage = definePage<SignedOutData>(
  'oidc/signed-out',
  {
    'with-application': { clientName: 'Tidewater Photos', clientUri: 'https://photos.tidewater.example/' },
    'application-without-page': { clientName: 'Tidewater Photos', clientUri: null },
    alone: { clientName: null, clientUri: null }
  },
  ({ clientUri }) => ({ clientUri: webUrl(clientUri) })
)
