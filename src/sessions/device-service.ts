// Browsers that are known to an account: noted when a sign-in is complete, trusted if the person says so, forgotten.
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import type { RetentionRule } from '../jobs/model.ts'
import { createId, isId } from '../lib/ids.ts'
import { createToken, hashToken } from '../lib/tokens.ts'
import { type Device, deviceExpiry, trustExpiry } from './device-model.ts'
import {
  deleteDevice,
  deleteExpiredDevices,
  deleteOldDevices,
  findDevice,
  insertDevice,
  updateDeviceSeen,
  updateDevicesUntrusted,
  updateDeviceToken,
  updateDeviceUntrusted
} from './device-repository.ts'

export type NotedDevice = {
  /** Part of what finishes the sign-in. */
  writes: Write[]
  /**
   * Once the writes are done: what the browser's cookie holds from here on, to be set in any case, since that renews it; and
   * the browser's id if nobody had signed in to this account with it before, else null.
   */
  outcome: () => { token: string; newDeviceId: string | null }
}

/** The browser of this request as the account knows it; null where it does not. */
export async function findOwnDevice(ctx: Context, accountId: string): Promise<Device | null> {
  const token = ctx.request?.deviceToken
  return token === undefined
    ? null
    : await findDevice(ctx.sql, { accountId, tokenHash: hashToken(token), now: ctx.now() })
}

/**
 * Notes the browser that a sign-in was completed with: to be called for nothing less. `trust`: the person wants no
 * second factor to be asked for here, for as long as the setting says.
 *
 * A browser that is new to the account gets a new cookie, under which other accounts know it from then on too: else who
 * put their own cookie into it before would have the owner's allowance of guesses, and the owner's trust.
 */
export function noteDevice(
  ctx: Context,
  { accountId, trust = false }: { accountId: string; trust?: boolean }
): NotedDevice {
  const now = ctx.now()
  const old = ctx.request?.deviceToken
  const token = createToken()
  const device = {
    id: createId(now),
    accountId,
    tokenHash: old === undefined ? null : hashToken(old),
    newTokenHash: hashToken(token),
    userAgent: ctx.request?.userAgent.slice(0, 400) ?? '',
    now,
    trustedUntil: trust ? trustExpiry(ctx.config, now) : null,
    expiresAt: deviceExpiry(now)
  }
  let isNew = true
  const onCount = (count: number) => {
    isNew = count === 0
  }
  return {
    writes: [
      { ...updateDeviceSeen(device), onCount },
      updateDeviceToken(device),
      deleteOldDevices(device),
      insertDevice(device)
    ],
    outcome: () => ({
      token: isNew || old === undefined ? token : old,
      newDeviceId: isNew ? device.id : null
    })
  }
}

/**
 * Forgets a browser: it is neither known nor trusted any more, at this account. `not_found`: it is not this account's,
 * or was removed already. Records `device.removed`.
 */
export async function removeDevice(
  ctx: Context,
  { accountId, deviceId }: { accountId: string; deviceId: unknown }
): Promise<{ ok: true } | { ok: false; reason: 'not_found' }> {
  if (!isId(deviceId)) return { ok: false, reason: 'not_found' }
  return await inTransaction(ctx, async tx => {
    if (!(await deleteDevice(tx.sql, accountId, deviceId))) return { ok: false, reason: 'not_found' }
    await recordEvent(tx, { type: 'device.removed', accountId, details: { deviceId } })
    return { ok: true }
  })
}

/**
 * From here on the second factor is asked for in this browser again; it stays known. `not_found`: it is not this
 * account's. Records `device.untrusted`.
 */
export async function untrustDevice(
  ctx: Context,
  { accountId, deviceId }: { accountId: string; deviceId: unknown }
): Promise<{ ok: true } | { ok: false; reason: 'not_found' }> {
  if (!isId(deviceId)) return { ok: false, reason: 'not_found' }
  return await inTransaction(ctx, async tx => {
    if (!(await updateDeviceUntrusted(tx.sql, accountId, deviceId))) return { ok: false, reason: 'not_found' }
    await recordEvent(tx, { type: 'device.untrusted', accountId, details: { deviceId } })
    return { ok: true }
  })
}

/**
 * From here on the second factor is asked for in every browser again: after a new password or a changed factor, as part
 * of that transaction. The browsers stay known, so that no stranger can slow their owner down.
 */
export async function untrustDevices(sql: Sql, accountId: string): Promise<number> {
  return await updateDevicesUntrusted(sql, accountId)
}

export const deviceRetention: RetentionRule[] = [{ table: 'devices', deleteExpired: deleteExpiredDevices }]
