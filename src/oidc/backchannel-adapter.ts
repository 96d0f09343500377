// Backchannel authentication requests as the library saves them, once: what people decide is written by
// backchannel-service.ts. Hints that name people, and the client's secrets, are not stored.
import { hashToken } from '../lib/tokens.ts'
import { type Part, text, toRow } from './adapter-parts.ts'
import { findApprovable } from './approval-repository.ts'
import { sealBackchannelSecrets } from './backchannel-secrets.ts'
import { insertArtifact } from './repository.ts'
import { artifacts, isReuse, issue } from './token-adapters.ts'
import { currentUnit } from './unit-of-work.ts'

export const backchannelRequests: Part = (storage, model) => ({
  ...artifacts(storage, model),
  find: async id => {
    const artifact = await findApprovable(storage.lookups, model, hashToken(id))
    if (artifact === null) return undefined
    return { ...artifact.payload, jti: id, ...(isReuse(artifact.consumedAt) ? { consumed: true } : {}) }
  },
  upsert: async (id, { params = {}, ...payload }) => {
    const { backchannel, asker } = currentUnit()
    const { binding_message, client_notification_token } = params as Record<string, unknown>
    const row = toRow(storage, id, payload)
    const secrets = { authReqId: id, clientNotificationToken: text(client_notification_token) }
    const kept = {
      ...row.payload,
      ...backchannel,
      bindingMessage: text(binding_message),
      ip: asker?.().ip ?? null,
      sealed: sealBackchannelSecrets(storage.encryptionKey, row.idHash, secrets)
    }
    issue(insertArtifact({ ...row, payload: kept, kind: model, userCodeHash: null }))
  }
})
