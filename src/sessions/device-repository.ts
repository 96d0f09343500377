// The browsers that somebody signed in with before.
import type { Sql } from '../db/connect.ts'

/** None of the account's browsers stands for a second factor any longer. */
export async function updateDevicesUntrusted(sql: Sql, accountId: string): Promise<void> {
  await sql`update devices set trusted_until = null where account_id = ${accountId} and trusted_until is not null`
}
