// What the account's pages show of one passkey, authenticator app or browser.

export type ListedPasskey = {
  id: string
  name: string
  createdAt: Date
  lastUsedAt: Date | null
  backupEligible: boolean
  backedUp: boolean
  userVerified: boolean
  signCountRegressedAt: Date | null
}
export type ListedAuthenticator = { id: string; name: string; createdAt: Date; lastUsedAt: Date | null }
export type ListedDevice = {
  id: string
  /** In words. */
  browser: string
  lastSeenAt: Date
  trustedUntil: Date | null
  /** The browser that asks. */
  current: boolean
}

/** The morning of a day, for samples. */
export const at = (day: string) => new Date(`${day}T09:30:00Z`)

export const samplePerson = { name: 'Inès Moreau', email: 'ines.moreau@example.org' }
export const samplePasskey: ListedPasskey = {
  id: '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0d1',
  name: 'iCloud Keychain',
  createdAt: at('2026-02-03'),
  lastUsedAt: at('2026-11-20'),
  backupEligible: true,
  backedUp: true,
  userVerified: true,
  signCountRegressedAt: null
}
export const sampleKey: ListedPasskey = {
  ...samplePasskey,
  id: '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0d2',
  name: 'Key on the ring',
  lastUsedAt: null,
  backupEligible: false,
  backedUp: false,
  userVerified: false
}
export const sampleAuthenticator: ListedAuthenticator = {
  id: '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0d3',
  name: 'Authenticator app',
  createdAt: at('2025-08-14'),
  lastUsedAt: at('2026-11-02')
}
export const sampleDevice: ListedDevice = {
  id: '01937f5c-9a40-7cc1-a7a6-6f54b2f1c0d4',
  browser: 'Firefox on Windows',
  lastSeenAt: at('2026-11-21'),
  trustedUntil: at('2026-12-21'),
  current: true
}

const day = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeZone: 'UTC' })
const moment = new Intl.DateTimeFormat('en-GB', { dateStyle: 'long', timeStyle: 'short', timeZone: 'UTC' })
export const dayOf = (date: Date): string => day.format(date)
export const momentOf = (date: Date): string => `${moment.format(date)} UTC`

type Used = { createdAt: Date; lastUsedAt: Date | null }
const usedText = ({ createdAt, lastUsedAt }: Used): string =>
  `Added ${dayOf(createdAt)} · ${lastUsedAt === null ? 'not used yet' : `last used ${dayOf(lastUsedAt)}`}`

/** A passkey as a list or its own page shows it. */
export const presentPasskey = (passkey: ListedPasskey) => ({
  ...passkey,
  facts: [
    passkey.backedUp
      ? 'Synced between your devices'
      : passkey.backupEligible
        ? 'Can be synced, but is not'
        : 'Bound to one device',
    ...(passkey.userVerified ? [] : ['works only beside your password'])
  ].join(' · '),
  usedText: usedText(passkey),
  warning:
    passkey.signCountRegressedAt &&
    `Its counter went back on ${dayOf(passkey.signCountRegressedAt)}, so somebody may have a copy of it. Remove it, and add a new one.`
})

export const presentAuthenticator = (authenticator: ListedAuthenticator) => ({
  ...authenticator,
  usedText: usedText(authenticator)
})

export const presentDevice = (device: ListedDevice) => ({
  ...device,
  seenText: `Last seen ${dayOf(device.lastSeenAt)}`,
  trustText:
    device.trustedUntil === null
      ? null
      : `Trusted until ${dayOf(device.trustedUntil)}: not asked for the second step`
})
