// How the protocol's tables forget.
import type { RetentionRule } from '../jobs/model.ts'
import { deleteExpiredFrom, listExpiringTables } from './repository.ts'

/** Rows go once they have expired. Until then a used code or refresh token stays, for its reuse to be noticed. */
export const protocolRetention: RetentionRule[] = listExpiringTables().map(table => ({
  table,
  deleteExpired: (sql, now, limit) => deleteExpiredFrom(table, { sql, now, limit })
}))
