// A browser that somebody signed in with before, and how long it is known and trusted. Pure.
import type { Config } from '../config/schema.ts'

export type Device = {
  id: string
  accountId: string
  userAgent: string
  createdAt: Date
  lastSeenAt: Date
  /** The second factor is not asked for here before this moment; null: it is. */
  trustedUntil: Date | null
  expiresAt: Date
}

const dayMs = 86_400_000

/** As long as browsers keep a cookie at most. @see RFC 6265bis §5.5 */
export const deviceDays = 400
/** Browsers of one account that are known at a time: who signs in without cookies each day would fill the table. */
export const devicesKept = 50

export const deviceExpiry = (now: Date): Date => new Date(now.getTime() + deviceDays * dayMs)

/** How long a browser is trusted that the person trusts now; null where the installation trusts none. */
export const trustExpiry = (
  { trustedDeviceDays }: Pick<Config, 'trustedDeviceDays'>,
  now: Date
): Date | null => (trustedDeviceDays === 0 ? null : new Date(now.getTime() + trustedDeviceDays * dayMs))

/** Whether the second factor need not be asked for here. Where the setting was lowered since, it holds. */
export const isTrusted = (device: Device | null, config: Config, now: Date): boolean =>
  device !== null &&
  device.trustedUntil !== null &&
  device.trustedUntil > now &&
  device.trustedUntil.getTime() <= now.getTime() + config.trustedDeviceDays * dayMs
