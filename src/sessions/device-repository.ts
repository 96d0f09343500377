// SQL for devices. A row is made by a complete sign-in alone.
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import { type Device, devicesKept } from './device-model.ts'

/** The browser of this cookie as this account knows it; null where it does not. */
export async function findDevice(
  sql: Sql,
  { accountId, tokenHash, now }: { accountId: string; tokenHash: Buffer; now: Date }
): Promise<Device | null> {
  const [row] = await sql<Device[]>`
    select id, account_id, user_agent, created_at, last_seen_at, trusted_until, expires_at from devices
    where account_id = ${accountId} and token_hash = ${tokenHash} and expires_at > ${now}
  `
  return row ?? null
}

/** An account's browsers, the one that was used last first. */
export async function listDevices(sql: Sql, accountId: string, now: Date): Promise<Device[]> {
  return await sql<Device[]>`
    select id, account_id, user_agent, created_at, last_seen_at, trusted_until, expires_at from devices
    where account_id = ${accountId} and expires_at > ${now}
    order by last_seen_at desc, id desc
  `
}

/** How many browsers beside this one the account has ever known, as far as it remembers. */
export async function countOtherDevices(
  sql: Sql,
  { accountId, deviceId }: { accountId: string; deviceId: string }
): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from devices where account_id = ${accountId} and id <> ${deviceId}
  `
  return row?.count ?? 0
}

/** The browser of a sign-in that is complete. */
export type SeenDevice = {
  accountId: string
  /** Of the cookie that it came with; null for none. */
  tokenHash: Buffer | null
  userAgent: string
  now: Date
  /** Null leaves the trust as it is. */
  trustedUntil: Date | null
  expiresAt: Date
}
/** Becomes the browser's cookie if it is new to the account. */
type NewDevice = SeenDevice & { id: string; newTokenHash: Buffer }
type Bind = Parameters<Write['text']>[0]

const unknown = (
  { accountId, tokenHash, now }: SeenDevice,
  bind: Bind
) => `not exists (select from devices known
  where known.account_id = ${bind(accountId)} and known.token_hash = ${bind(tokenHash)} and known.expires_at > ${bind(now)})`

/** Hits the row of a browser that is known to the account. */
export const updateDeviceSeen = (seen: SeenDevice): Write => ({
  text: bind => `update devices set user_agent = ${bind(seen.userAgent)}, last_seen_at = ${bind(seen.now)},
      trusted_until = coalesce(${bind(seen.trustedUntil)}, trusted_until), expires_at = ${bind(seen.expiresAt)}
    where account_id = ${bind(seen.accountId)} and token_hash = ${bind(seen.tokenHash)} and expires_at > ${bind(seen.now)}`
})

/** Adds a browser unless the account knows it. */
export const insertDevice = (device: NewDevice): Write => ({
  text: bind => `insert into devices
      (id, account_id, token_hash, user_agent, created_at, last_seen_at, trusted_until, expires_at)
    select ${bind(device.id)}::uuid, ${bind(device.accountId)}::uuid, ${bind(device.newTokenHash)}::bytea, ${bind(device.userAgent)},
      ${bind(device.now)}::timestamptz, ${bind(device.now)}::timestamptz, ${bind(device.trustedUntil)}::timestamptz,
      ${bind(device.expiresAt)}::timestamptz
    where ${unknown(device, bind)}`
})

/** A browser that is new to the account has another cookie from here on, by which other accounts know it, too. */
export const updateDeviceToken = (device: NewDevice): Write => ({
  text: bind => `update devices set token_hash = ${bind(device.newTokenHash)}
    where token_hash = ${bind(device.tokenHash)} and account_id <> ${bind(device.accountId)} and ${unknown(device, bind)}`
})

/** Makes room for a browser that is new to the account: those that were not used for longest are forgotten. */
export const deleteOldDevices = (device: NewDevice): Write => ({
  text: bind => `delete from devices where id in (select id from devices where account_id = ${bind(device.accountId)}
      order by last_seen_at desc, id desc offset ${bind(devicesKept - 1)}::int) and ${unknown(device, bind)}`
})

/** Forgets one browser of this account. False: the account has none by this id. */
export async function deleteDevice(sql: Sql, accountId: string, id: string): Promise<boolean> {
  const { count } = await sql`delete from devices where id = ${id} and account_id = ${accountId}`
  return count === 1
}

/** Ends the trust in one browser of this account. False: the account has none by this id. */
export async function updateDeviceUntrusted(sql: Sql, accountId: string, id: string): Promise<boolean> {
  const { count } = await sql`
    update devices set trusted_until = null where id = ${id} and account_id = ${accountId}
  `
  return count === 1
}

/** Ends the trust in all browsers of an account. They stay known. Answers with how many were trusted. */
export async function updateDevicesUntrusted(sql: Sql, accountId: string): Promise<number> {
  const { count } = await sql`
    update devices set trusted_until = null where account_id = ${accountId} and trusted_until is not null
  `
  return count
}

export async function deleteExpiredDevices(sql: Sql, now: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from devices where id in (
      select id from devices where expires_at < ${now} limit ${limit} for update skip locked
    )
  `
  return count
}
