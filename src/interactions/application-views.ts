// The application that a person is signing in to, as the pages of a sign-in show it.
import { webUrl } from '../http/view.ts'

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
