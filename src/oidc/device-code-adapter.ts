// Device codes as the library saves them. What it writes with a plain save is one conditional update here, and neither
// code is stored: the one as a hash, the other sealed for whoever types the first.
import { errors } from 'oidc-provider'
import { eventWrite } from '../audit/service.ts'
import { hashToken } from '../lib/tokens.ts'
import { type Part, queue, type Storage, text, toRow } from './adapter-parts.ts'
import { findApprovable, findArtifactByUserCode, updateDeviceCode } from './approval-repository.ts'
import type { Artifact, ArtifactRow } from './repository.ts'
import { insertArtifact } from './repository.ts'
import { artifacts, isReuse, issue } from './token-adapters.ts'
import { currentUnit, type DeviceCodeUse } from './unit-of-work.ts'
import { hashUserCode, openDeviceCode, sealDeviceCode } from './user-code-model.ts'

/** Somebody else was quicker to confirm, approve or deny the device. */
export class DeviceCodeTaken extends errors.InvalidRequest {
  constructor() {
    super('the code was used already')
  }
}

export const deviceCodes: Part = (storage, model) => ({
  ...artifacts(storage, model),
  find: async id => found(await findApprovable(storage.lookups, model, hashToken(id)), () => ({ jti: id })),
  findByUserCode: async userCode => {
    const hash = hashUserCode(storage.encryptionKey, userCode)
    const artifact = await findArtifactByUserCode(storage.lookups, hash)
    return found(artifact, ({ sealed }) => ({
      userCode,
      jti: openDeviceCode(storage.encryptionKey, hash, String(sealed))
    }))
  },
  upsert: async (id, { userCode, ...payload }) => {
    const { deviceCode } = currentUnit()
    const row = { ...toRow(storage, id, payload), kind: model, userCodeHash: null }
    if (deviceCode !== null) return await moveOn(storage, deviceCode, row)
    const userCodeHash = hashUserCode(storage.encryptionKey, text(userCode) ?? '')
    const sealed = sealDeviceCode(storage.encryptionKey, userCodeHash, id)
    issue(insertArtifact({ ...row, payload: { ...row.payload, sealed }, userCodeHash }))
  }
})

function found(artifact: Artifact | null, own: (payload: Artifact['payload']) => object) {
  if (artifact === null) return undefined
  const { payload, consumedAt } = artifact
  currentUnit().deviceCode = { inFlight: payload.inFlight === true, row: null, write: null }
  return { ...payload, ...own(payload), ...(isReuse(consumedAt) ? { consumed: true } : {}) }
}

/**
 * Confirmed, approved or denied; the first two may happen in one request, and are one write then. Records
 * `device.approved` or `device.denied`, only if this request was the one to decide.
 */
async function moveOn({ now }: Storage, use: DeviceCodeUse, row: ArtifactRow): Promise<void> {
  const unit = currentUnit()
  use.row = row
  if (use.write === null) {
    use.write = updateDeviceCode(() => use.row ?? row, {
      inFlight: use.inFlight,
      approvedAt: () => (use.row?.accountId == null ? null : provenAt(String(use.row.payload.sessionUid)))
    })
    unit.lasting.push({ write: use.write, onMiss: () => new DeviceCodeTaken() })
  }
  const approved = row.accountId !== null
  if (!approved && row.payload.error !== 'access_denied') return
  const about = { clientId: row.clientId, ...(row.accountId === null ? {} : { accountId: row.accountId }) }
  const asker = unit.asker === null ? {} : { request: unit.asker() }
  const event = eventWrite(
    { now, ...asker },
    { type: approved ? 'device.approved' : 'device.denied', ...about }
  )
  await queue({ ...event, onlyAfter: use.write })
}

/** The moment of the proof that an approval stands on: that of this sign-in, else of the browser's session. */
function provenAt(sessionUid: string): Date {
  const { proof, sessions, startedAt } = currentUnit()
  return proof?.at ?? sessions.get(sessionUid)?.authenticatedAt ?? startedAt
}
