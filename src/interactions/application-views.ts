// The application that a person is signing in to, as the pages of a sign-in show it.
import type { RegisteredBy } from '../clients/model.ts'
import { webUrl } from '../http/view.ts'
import { isLoopback } from '../lib/urls.ts'

export type Application = {
  name: string
  host: string
  logoUrl: string | null
  policyUrl: string | null
  termsUrl: string | null
}

export const sampleApplication: Application = {
  name: 'Tidewater Photos',
  host: 'photos.tidewater.example',
  logoUrl: null,
  policyUrl: 'https://photos.tidewater.example/privacy',
  termsUrl: 'https://photos.tidewater.example/terms'
}

export const sampleApplicationWithLogo: Application = {
  ...sampleApplication,
  logoUrl: 'https://photos.tidewater.example/logo.png'
}

/** With links that lead to the web alone, and the letter that stands for a logo. */
export const presentApplication = (application: Application) => ({
  ...application,
  initial: [...application.name][0]?.toUpperCase() ?? '?',
  logoUrl: webUrl(application.logoUrl),
  policyUrl: webUrl(application.policyUrl),
  termsUrl: webUrl(application.termsUrl)
})

/**
 * Of an application that nobody here vouches for. `returnsTo`: the site that the browser goes back to; null: a program on
 * the person's device, or with `onDevice` the device whose code they typed.
 */
export type SelfRegistered = {
  by: Exclude<RegisteredBy, 'operator'>
  returnsTo: string | null
  onDevice?: boolean
}

export function selfRegisteredOf(by: RegisteredBy, redirectUri: string | null): SelfRegistered | null {
  if (by === 'operator') return null
  return redirectUri === null
    ? { by, returnsTo: null, onDevice: true }
    : { by, returnsTo: siteOf(redirectUri) }
}

/** The site that a redirect URI leads to; null for a program on the person's device. */
function siteOf(redirectUri: string): string | null {
  const url = URL.parse(redirectUri)
  return url === null || isLoopback(url) || !/^https?:$/.test(url.protocol) ? null : url.host
}
