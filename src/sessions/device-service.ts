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
  updateDeviceToken
} from './device-repository.ts'

export type NotedDevice = {
  /** What the browser's cookie holds from here on, to be set in any case: that renews it. */
  token: string
  /** Nobody had signed in to this account with this browser before. */
  isNew: boolean
  /** Part of what finishes the sign-in. */
  writes: Write[]
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
export async function noteDevice(
  ctx: Context,
  { accountId, trust = false }: { accountId: string; trust?: boolean }
): Promise<NotedDevice> {
  const now = ctx.now()
  const old = ctx.request?.deviceToken
  const device = await findOwnDevice(ctx, accountId)
  const seen = {
    userAgent: ctx.request?.userAgent.slice(0, 400) ?? '',
    lastSeenAt: now,
    trustedUntil: trust ? trustExpiry(ctx.config, now) : null,
    expiresAt: deviceExpiry(now)
  }
  if (device !== null && old !== undefined)
    return { token: old, isNew: false, writes: [updateDeviceSeen({ id: device.id, ...seen })] }
  const token = createToken()
  const tokenHash = hashToken(token)
  return {
    token,
    isNew: true,
    writes: [
      ...(old === undefined
        ? []
        : [updateDeviceToken({ from: hashToken(old), to: tokenHash, except: accountId })]),
      deleteOldDevices(accountId),
      insertDevice({ id: createId(now), accountId, tokenHash, ...seen })
    ]
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
 * From here on the second factor is asked for in every browser again: after a new password or a changed factor, as part
 * of that transaction. The browsers stay known, so that no stranger can slow their owner down.
 */
export async function untrustDevices(sql: Sql, accountId: string): Promise<number> {
  return await updateDevicesUntrusted(sql, accountId)
}

export const deviceRetention: RetentionRule[] = [{ table: 'devices', deleteExpired: deleteExpiredDevices }]
