// An interaction's uid is its browser's secret, and only its hash is stored. What of the payload tells it, or is a secret
// by itself, is sealed under a key that only the uid gives.
import { deriveKey, open, seal } from '../lib/sealed-box.ts'
import type { Payload } from './model.ts'

/** returnTo ends in the uid; parJti is the pushed request's one-time reference, with the prefix its request_uri; deviceCode a device's. */
const secretMembers = ['returnTo', 'parJti', 'deviceCode'] as const

const keyOf = (uid: string) => deriveKey(Buffer.from(uid), 'interaction')
const context = 'interaction'

/** The payload as it is stored. */
export function sealSecrets(uid: string, payload: Payload): Payload {
  const kept = Object.fromEntries(
    Object.entries(payload).filter(([name]) => !(secretMembers as readonly string[]).includes(name))
  )
  const secrets = JSON.stringify(Object.fromEntries(secretMembers.map(name => [name, payload[name]])))
  return { ...kept, sealed: seal(keyOf(uid), secrets, context).toString('base64url') }
}

/** The payload as the library stored it. */
export function openSecrets(uid: string, { sealed, ...payload }: Payload): Payload {
  if (typeof sealed !== 'string') return payload
  const secrets = JSON.parse(
    open(keyOf(uid), Buffer.from(sealed, 'base64url'), context).toString()
  ) as Payload
  return { ...payload, ...secrets }
}
