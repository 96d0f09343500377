// What the notification of a backchannel authentication request needs (CIBA Core 1.0 §10.2): the request's own id and the
// client's bearer token. Neither is stored but sealed.
import { deriveKey, open, seal } from '../lib/sealed-box.ts'

export type BackchannelSecrets = { authReqId: string; clientNotificationToken: string | null }

const keyOf = (encryptionKey: Buffer) => deriveKey(encryptionKey, 'backchannel requests')
const context = (idHash: Buffer) => idHash.toString('base64url')

export const sealBackchannelSecrets = (
  encryptionKey: Buffer,
  idHash: Buffer,
  secrets: BackchannelSecrets
): string => seal(keyOf(encryptionKey), JSON.stringify(secrets), context(idHash)).toString('base64url')

export const openBackchannelSecrets = (
  encryptionKey: Buffer,
  idHash: Buffer,
  sealed: string
): BackchannelSecrets =>
  JSON.parse(open(keyOf(encryptionKey), Buffer.from(sealed, 'base64url'), context(idHash)).toString())
