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

export const insertDevice = (device: Omit<Device, 'createdAt'> & { tokenHash: Buffer }): Write => ({
  text: bind => `insert into devices
    (id, account_id, token_hash, user_agent, created_at, last_seen_at, trusted_until, expires_at)
    values (${bind(device.id)}, ${bind(device.accountId)}, ${bind(device.tokenHash)}, ${bind(device.userAgent)},
      ${bind(device.lastSeenAt)}, ${bind(device.lastSeenAt)}, ${bind(device.trustedUntil)}, ${bind(device.expiresAt)})`
})

/** Seen again. `trustedUntil` null leaves the trust as it is. */
export const updateDeviceSeen = ({
  id,
  userAgent,
  lastSeenAt,
  trustedUntil,
  expiresAt
}: Omit<Device, 'accountId' | 'createdAt'>): Write => ({
  text: bind => `update devices set user_agent = ${bind(userAgent)}, last_seen_at = ${bind(lastSeenAt)},
    trusted_until = coalesce(${bind(trustedUntil)}, trusted_until), expires_at = ${bind(expiresAt)} where id = ${bind(id)}`
})

/** The browser's cookie is another one from here on, for the other accounts that know it, too. */
export const updateDeviceToken = ({
  from,
  to,
  except
}: {
  from: Buffer
  to: Buffer
  except: string
}): Write => ({
  text: bind =>
    `update devices set token_hash = ${bind(to)} where token_hash = ${bind(from)} and account_id <> ${bind(except)}`
})

/** Makes room for one more: those that were not used for longest are forgotten. */
export const deleteOldDevices = (accountId: string): Write => ({
  text: bind => `delete from devices where id in (select id from devices
    where account_id = ${bind(accountId)} order by last_seen_at desc, id desc offset ${bind(devicesKept - 1)}::int)`
})

/** Forgets one browser of this account. False: the account has none by this id. */
export async function deleteDevice(sql: Sql, accountId: string, id: string): Promise<boolean> {
  const { count } = await sql`delete from devices where id = ${id} and account_id = ${accountId}`
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
