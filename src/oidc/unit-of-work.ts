// What one request reads and writes: read once, joined; written once, before the answer leaves.
import { AsyncLocalStorage } from 'node:async_hooks'
import type { AccountFacts } from '../accounts/facts-model.ts'
import type { RequestFacts } from '../context.ts'
import type { Acr } from '../credentials/proof-model.ts'
import { runBatch, type Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import type { Memberships } from '../roles/membership-model.ts'
import type { LogoutReceiver, SessionPayload, StoredSession } from '../sessions/model.ts'
import type { Consent, Exchange, Payload, StoredInteraction, StoredToken } from './model.ts'
import type { ArtifactRow } from './repository.ts'
import type { Rotation } from './rotation.ts'
import type { AddedClaims } from './token-hook.ts'

/** `onMiss`: the error to answer with when the write hit no row because somebody else was first. */
type QueuedWrite = { write: Write; onMiss?: () => Error }

/** `inFlight`: somebody has confirmed it before. `row`: as `write` leaves it, once this request has changed it. */
export type DeviceCodeUse = { inFlight: boolean; row: ArtifactRow | null; write: Write | null }

export type UnitOfWork = {
  /** When the request came. */
  startedAt: Date
  /** Who asks, for the audit trail and notices; null in our own pages, which know it themselves. */
  asker: (() => RequestFacts) | null
  tokens: Map<string, Promise<StoredToken | null>>
  grants: Map<string, Promise<Payload | null>>
  interactions: Map<string, Promise<StoredInteraction | null>>
  accounts: Map<string, AccountFacts>
  /** Roles and groups of accounts, where they were read. */
  memberships: Map<string, Memberships>
  sessions: Map<string, StoredSession>
  /** Sessions found by their cookie: its value to their uid. */
  sessionUids: Map<string, string>
  /** Sessions that came along with a token, by uid; null when such a session is over. */
  joinedSessions: Map<string, SessionPayload | null>
  /** Writes that stand whatever the answer is: sessions, interactions, consents, revocations. */
  lasting: QueuedWrite[]
  /** Writes that an error answer takes back: tokens, codes and their consumption. */
  issuing: QueuedWrite[]
  /** A code that this request takes; what it issues is issued only if it was the one to take it. */
  consumption: Write | null
  /** A device code that this request moves on, and what is written of it in the end. */
  deviceCode: DeviceCodeUse | null
  /** What a backchannel authentication request asks the person for. */
  backchannel: { wanted: Consent; acr: Acr | null } | null
  /** The mark of a form of ours that stands for one of the library's; null where the library's own is asked for. */
  formSecret: string | null
  /** A refresh token that this request uses. */
  rotation: Rotation | null
  /** The refresh token to answer with: the one that the first use of the presented token made. */
  successor: string | null
  /** A session id that was given up: replaced if a save follows, else the session is over. */
  droppedSession: { id: string; uid: string } | null
  /** Who the interaction of this request proved to be there, and when. */
  proof: { accountId: string; at: Date } | null
  /** The browser's own cookie, as SHA-256: tells whether it is trusted. */
  deviceHash: Buffer | null
  /** Whether its grant rests on a consent that was given before, and so on nobody withdrawing it meanwhile. */
  restsOnConsent: boolean
  revokedGrants: Set<string>
  /** The applications that are to be told that this request signed their person out. */
  loggedOut: ({ accountId: string } & LogoutReceiver)[]
  /** What the token of this request is made from, where it is made by exchange. */
  exchange: Exchange | null
  /** The token hook's answer, once it was asked. */
  addedClaims: Promise<AddedClaims> | null
}

const current = new AsyncLocalStorage<UnitOfWork>()

export const createUnit = (startedAt: Date): UnitOfWork => ({
  startedAt,
  asker: null,
  tokens: new Map(),
  grants: new Map(),
  interactions: new Map(),
  accounts: new Map(),
  memberships: new Map(),
  sessions: new Map(),
  sessionUids: new Map(),
  joinedSessions: new Map(),
  lasting: [],
  issuing: [],
  consumption: null,
  deviceCode: null,
  backchannel: null,
  formSecret: null,
  rotation: null,
  successor: null,
  droppedSession: null,
  proof: null,
  deviceHash: null,
  restsOnConsent: false,
  revokedGrants: new Set(),
  loggedOut: [],
  exchange: null,
  addedClaims: null
})

/** Runs `work` with its own unit; the adapter finds it by `currentUnit`. */
export const inUnit = <T>(unit: UnitOfWork, work: () => T): T => current.run(unit, work)

export function currentUnit(): UnitOfWork {
  const unit = current.getStore()
  if (unit === undefined) throw new Error('the adapter was used outside a unit of work')
  return unit
}

/** Reads through the unit: the same row is never read twice in a request. */
export function readOnce<T>(rows: Map<string, Promise<T>>, key: string, read: () => Promise<T>): Promise<T> {
  const known = rows.get(key)
  if (known !== undefined) return known
  const row = read()
  rows.set(key, row)
  return row
}

/**
 * Sends everything queued as one statement, in one commit.
 *
 * With `failed` (the answer is an error) what would have been issued is dropped. Throws the error of the first
 * write that somebody else was quicker with.
 */
export async function flushUnit(sql: Sql, unit: UnitOfWork, { failed }: { failed: boolean }): Promise<void> {
  const queued = failed ? unit.lasting : [...unit.lasting, ...unit.issuing]
  unit.lasting = []
  unit.issuing = []
  if (queued.length === 0) return
  const counts = await runBatch(
    sql,
    queued.map(({ write }) => write)
  )
  for (const [index, { onMiss }] of queued.entries()) {
    if (counts[index] === 0 && onMiss !== undefined) throw onMiss()
  }
}
