// The pages of the applications that a person has agreed to.
import { definePage, webUrl } from '../http/view.ts'
import { describeClaim, describeScope } from '../interactions/scope-model.ts'
import type { SignedIn } from './account-views.ts'
import { at, dayOf, samplePerson } from './listed-views.ts'

export type ListedApplication = {
  id: string
  name: string
  /** Empty where nothing is known of it any more. */
  host: string
  logoUrl: string | null
  scopes: string[]
  /** What the operator says of scopes of their own. */
  described: Record<string, string | null>
  /** Claims that were asked for by name. */
  claims: string[]
  resources: { name: string; scopes: string[] }[]
  agreedAt: Date
  lastUsedAt: Date | null
}

const photos: ListedApplication = {
  id: '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0e1',
  name: 'Tidewater Photos',
  host: 'photos.tidewater.example',
  logoUrl: null,
  scopes: ['openid', 'profile', 'email', 'offline_access'],
  described: {},
  claims: [],
  resources: [{ name: 'Photo storage', scopes: ['photos:read', 'photos:write'] }],
  agreedAt: at('2026-02-03'),
  lastUsedAt: at('2026-11-20')
}
const calendar: ListedApplication = {
  ...photos,
  id: '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0e2',
  name: 'A calendar with a name that is longer than any that people would give to one',
  host: 'calendar.example.org:8443',
  logoUrl: 'https://photos.tidewater.example/logo.png',
  scopes: ['openid'],
  claims: ['phone_number'],
  resources: [],
  lastUsedAt: null
}

const present = (application: ListedApplication) => ({
  ...application,
  initial: [...application.name][0]?.toUpperCase() ?? '?',
  logoUrl: webUrl(application.logoUrl),
  usedText: [
    `Allowed on ${dayOf(application.agreedAt)}`,
    ...(application.lastUsedAt === null ? [] : [`last used ${dayOf(application.lastUsedAt)}`])
  ].join(' · '),
  permissions: [
    ...application.scopes.map(scope => describeScope(scope, application.described)),
    ...application.claims.map(describeClaim)
  ]
})

export type ApplicationsData = SignedIn & { applications: ListedApplication[]; removed: boolean }

export const applicationsPage = definePage<ApplicationsData>(
  'self-service/applications',
  {
    none: { signedInAs: samplePerson, applications: [], removed: false },
    several: { signedInAs: samplePerson, applications: [photos, calendar], removed: false },
    removed: { signedInAs: samplePerson, applications: [calendar], removed: true }
  },
  ({ applications }) => ({ applications: applications.map(present) })
)

export const applicationPage = definePage<SignedIn & { application: ListedApplication }>(
  'self-service/application',
  {
    usual: { signedInAs: samplePerson, application: photos },
    'with-claims': { signedInAs: samplePerson, application: calendar },
    unknown: { signedInAs: samplePerson, application: { ...photos, name: 'photos-2019', host: '' } }
  },
  ({ application }) => ({
    application: present(application),
    action: `/account/applications/${application.id}`
  })
)
