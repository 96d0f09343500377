// What the adapters of the library's models share.
import type { Adapter, AdapterPayload } from 'oidc-provider'
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import { hashToken } from '../lib/tokens.ts'
import { fromSeconds } from '../sessions/model.ts'
import type { Payload } from './model.ts'
import type { TokenRow } from './repository.ts'
import { currentUnit } from './unit-of-work.ts'

export type Storage = {
  /** Only reads go here: writes are queued in the unit of work. */
  lookups: Sql
  now: () => Date
  encryptionKey: Buffer
  /** For how long a used refresh token of this client is answered with its successor. */
  graceSecondsOf: (clientId: string) => Promise<number>
  /** Whether a client is still there, and what it says of itself can be had. */
  isRegistered: (clientId: string) => Promise<boolean>
  sessionAbsoluteSeconds: number
  interactionLifetimeSeconds: number
  secondFactor: { requiredRoles: string[] }
  trustedDeviceDays: number
  /** Roles and groups are read along with a token: some claim tells of them. */
  memberships: boolean
}

/** The operations of one model. */
export type Part = (storage: Storage, model: string) => Partial<Adapter>

/** The moments that decide what is over. */
export const moments = ({ now, sessionAbsoluteSeconds, memberships }: Storage) => ({
  memberships,
  now: now(),
  loginAfter: new Date(now().getTime() - sessionAbsoluteSeconds * 1000)
})

export const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)

export function withoutId(payload: AdapterPayload): Payload {
  const { jti: _jti, ...rest } = payload
  return rest
}

export const queue = async (...writes: Write[]): Promise<void> =>
  void currentUnit().lasting.push(...writes.map(write => ({ write })))

export function toRow({ now }: Storage, id: string, payload: AdapterPayload): TokenRow {
  return {
    idHash: hashToken(id),
    kind: payload.kind ?? '',
    grantId: text(payload.grantId),
    accountId: text(payload.accountId),
    clientId: text(payload.clientId) ?? '',
    sessionUid: payload.expiresWithSession === true ? text(payload.sessionUid) : null,
    payload: withoutId(payload),
    createdAt: now(),
    expiresAt: fromSeconds(payload.exp ?? 0)
  }
}
