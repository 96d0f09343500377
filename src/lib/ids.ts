// Public ids.
import { randomBytes } from 'node:crypto'

/**
 * A UUID version 7: the millisecond it was made in, then 74 random bits, so that ids sort by age.
 *
 * @see RFC 9562 §5.7
 */
export function createId(now: Date): string {
  const bytes = randomBytes(16)
  bytes.writeUIntBE(now.getTime(), 0, 6)
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x70, 6)
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8)
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-')
}

const uuidPattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/

/** Whether `value` is a UUID in lower case, safe to compare with a `uuid` column. */
export function isId(value: unknown): value is string {
  return typeof value === 'string' && uuidPattern.test(value)
}
