// Text that PostgreSQL does not take.
import { errors } from 'oidc-provider'
import { PostgresError } from '../db/connect.ts'

/**
 * The answer to a request whose writes failed: PostgreSQL stores any text but NUL (22P05 in jsonb, 22021 elsewhere), and
 * what sent it is at fault, not we. Any other fault stays what it is.
 */
export const toAnswerable = (fault: unknown): unknown =>
  fault instanceof PostgresError && (fault.code === '22P05' || fault.code === '22021')
    ? new errors.InvalidRequest('a parameter holds a NUL character')
    : fault
