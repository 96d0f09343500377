// What the demo applications need of the database beside the clients feature's own.
import type { Sql } from '../db/connect.ts'

/** Holds back every other process that would set up the demo applications, until this transaction ends. */
export async function lockDemoClients(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('gatehouse demo clients', 0))`
}
