// The proofs of work that were taken already.
import type { Sql } from '../db/connect.ts'

/** Takes a proof of work, once: false when somebody was first. */
export async function insertSpentProofOfWork(
  sql: Sql,
  { stamp, expiresAt }: { stamp: Buffer; expiresAt: Date }
): Promise<boolean> {
  const { count } = await sql`
    insert into spent_proofs_of_work (challenge_hash, expires_at) values (${stamp}, ${expiresAt})
    on conflict do nothing
  `
  return count === 1
}

export async function deleteExpiredProofsOfWork(sql: Sql, now: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from spent_proofs_of_work where challenge_hash in (
      select challenge_hash from spent_proofs_of_work where expires_at < ${now}
      limit ${limit} for update skip locked
    )
  `
  return count
}
