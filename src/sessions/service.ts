// Browser sessions as the protocol library saves them: merged per application, never overwritten whole.
import { findAccountForUpdate } from '../accounts/repository.ts'
import { endAllTokens } from '../accounts/service.ts'
import { type Context, inTransaction } from '../context.ts'
import type { Write } from '../db/batch.ts'
import type { RetentionRule } from '../jobs/model.ts'
import { endSessions } from './logout-service.ts'
import { fromSeconds, isUnchanged, type SessionPayload, type StoredSession, sameClient } from './model.ts'
import {
  deleteEarlierSessionIds,
  deleteExpiredSessionIds,
  deleteExpiredSessions,
  deleteSession,
  deleteSessionClient,
  insertSessionId,
  updateSessionAuthenticatedAt,
  updateSessionIdValidUntil,
  upsertSession,
  upsertSessionClient
} from './repository.ts'

/** How long a rotated cookie stays good for requests that were sent before its successor arrived. */
const predecessorSeconds = 30

export type SessionSave = {
  /** As this request read it; null for a new one. */
  stored: StoredSession | null
  payload: SessionPayload
  idHash: Buffer
  /** The cookie that this save replaces. */
  rotatedFrom: Buffer | null
  /** When the person proved who they are, if that happened since the session was read. */
  authenticatedAt: Date | null
  now: Date
}

/**
 * The writes that bring the stored session to what this request made of it.
 *
 * Only what this request changed is written, application by application: of three authorizations at once in
 * one browser none undoes another's. Nothing is written for a visitor who is nobody yet.
 */
export function sessionWrites({
  stored,
  payload,
  idHash,
  rotatedFrom,
  authenticatedAt,
  now
}: SessionSave): Write[] {
  if (stored === null && payload.accountId === undefined && payload.state === undefined) return []
  if (stored !== null && rotatedFrom === null && isUnchanged(stored, payload)) return []
  const signedIn =
    authenticatedAt !== null ||
    stored?.accountId !== (payload.accountId ?? null) ||
    stored.loginAt?.getTime() !== loginAt(payload)?.getTime()
  return [
    upsertSession({
      uid: payload.uid,
      accountId: payload.accountId ?? null,
      acr: payload.acr ?? null,
      amr: payload.amr ?? null,
      loginAt: loginAt(payload),
      authenticatedAt: signedIn ? (authenticatedAt ?? now) : (stored?.authenticatedAt ?? now),
      transient: payload.transient ?? false,
      state: payload.state ?? null,
      updatedAt: now,
      expiresAt: fromSeconds(payload.exp)
    }),
    ...(stored === null || rotatedFrom !== null ? [insertSessionId(payload.uid, idHash)] : []),
    ...(rotatedFrom === null
      ? []
      : [
          signedIn
            ? deleteEarlierSessionIds(payload.uid)
            : updateSessionIdValidUntil(rotatedFrom, new Date(now.getTime() + predecessorSeconds * 1000))
        ]),
    ...clientWrites(stored, payload)
  ]
}

const loginAt = (payload: SessionPayload): Date | null =>
  payload.loginTs === undefined ? null : fromSeconds(payload.loginTs)

function clientWrites(stored: StoredSession | null, payload: SessionPayload): Write[] {
  const before = stored?.clients ?? {}
  const after = payload.authorizations ?? {}
  return [
    ...Object.entries(after)
      .filter(([clientId, client]) => !sameClient(before[clientId], client))
      .map(([clientId, client]) => upsertSessionClient(payload.uid, clientId, client)),
    ...Object.keys(before)
      .filter(clientId => !(clientId in after))
      .map(clientId => deleteSessionClient(payload.uid, clientId))
  ]
}

/** Ends one session; its cookies and its applications' rows go with it. */
export function endSessionWrites(uid: string): Write[] {
  return [deleteSession(uid)]
}

/** Ends everything of an account: each session and token. Applications are told of their sessions. */
export async function endAllSessions(ctx: Context, accountId: string): Promise<void> {
  await inTransaction(ctx, async tx => {
    await endAllTokens(tx, accountId)
    await endSessions(tx, { accountId })
  })
}

/**
 * Ends everything of an account but one browser session: the others, and every application's tokens, this session's
 * too. Applications are told of the sessions that ended. False: that session is over itself, and nothing has changed.
 *
 * The account's row is held first: a session that is cut off at this very moment by somebody else must not come back.
 */
export async function endOtherSessions(
  tx: Context,
  { accountId, sessionUid }: { accountId: string; sessionUid: string }
): Promise<boolean> {
  const account = await findAccountForUpdate(tx.sql, accountId)
  if (account === null || account.disabledAt !== null) return false
  const { tokensValidFrom: validFrom } = account
  // The cut-off never goes back, so it can lie ahead of this node's clock.
  const at = new Date(Math.max(validFrom.getTime(), tx.now().getTime()))
  const kept = await updateSessionAuthenticatedAt(tx.sql, { uid: sessionUid, accountId, validFrom, at })
  if (!kept) return false
  await endAllTokens(tx, accountId, at)
  await endSessions(tx, { accountId, except: sessionUid })
  return true
}

export const sessionRetention: RetentionRule[] = [
  { table: 'sessions', deleteExpired: deleteExpiredSessions },
  { table: 'session_ids', deleteExpired: deleteExpiredSessionIds }
]
