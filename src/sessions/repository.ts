// SQL for sessions, session_ids and session_clients.
import { accountFactsColumn } from '../accounts/facts-model.ts'
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import type { LogoutReceiver, SessionClient, StoredSession } from './model.ts'

const columns = `
  s.uid, s.account_id, s.acr, s.amr, s.login_at, s.authenticated_at, s.transient, s.state, s.updated_at, s.expires_at,
  coalesce((select jsonb_object_agg(c.client_id, jsonb_strip_nulls(jsonb_build_object(
    'sid', c.sid, 'grantId', c.grant_id, 'persistsLogout', case when c.persists_logout then true end)))
    from session_clients c where c.session_uid = s.uid), '{}') as clients, ${accountFactsColumn}`

// A session lives while neither its idle nor its absolute time is over and its account's cut-off lies before it.
// (read-only join of accounts: one statement tells all of it)
const living = `
  left join accounts a on a.id = s.account_id
  where s.expires_at > $2 and (s.login_at is null or s.login_at > $3)
    and (s.account_id is null or (a.disabled_at is null and s.authenticated_at >= a.tokens_valid_from))`

const findByIdText = `select ${columns} from session_ids i join sessions s on s.uid = i.session_uid ${living}
  and i.id_hash = $1 and (i.valid_until is null or i.valid_until > $2)`
const findByUidText = `select ${columns} from sessions s ${living} and s.uid = $1`

/** Who may still be alive: not idle at `now`, not signed in before `loginAfter`. */
export type Moments = { now: Date; loginAfter: Date }

export async function findSessionByIdHash(
  sql: Sql,
  idHash: Buffer,
  at: Moments
): Promise<StoredSession | null> {
  const [row] = await sql.unsafe<StoredSession[]>(findByIdText, [idHash, at.now, at.loginAfter], {
    prepare: true
  })
  return row ?? null
}

export async function findSessionByUid(sql: Sql, uid: string, at: Moments): Promise<StoredSession | null> {
  const [row] = await sql.unsafe<StoredSession[]>(findByUidText, [uid, at.now, at.loginAfter], {
    prepare: true
  })
  return row ?? null
}

export type SessionRow = Omit<StoredSession, 'clients' | 'account'>

export function upsertSession(row: SessionRow): Write {
  return {
    text: bind => `insert into sessions
      (uid, account_id, acr, amr, login_at, authenticated_at, transient, state, created_at, updated_at, expires_at)
      values (${bind(row.uid)}, ${bind(row.accountId)}, ${bind(row.acr)}, ${bind(row.amr)}, ${bind(row.loginAt)}, ${bind(row.authenticatedAt)},
        ${bind(row.transient)}, ${bind(row.state)}, ${bind(row.updatedAt)}, ${bind(row.updatedAt)}, ${bind(row.expiresAt)})
      on conflict (uid) do update set account_id = excluded.account_id, acr = excluded.acr, amr = excluded.amr, login_at = excluded.login_at,
        authenticated_at = excluded.authenticated_at, transient = excluded.transient, state = excluded.state,
        updated_at = excluded.updated_at, expires_at = excluded.expires_at`
  }
}

export function insertSessionId(uid: string, idHash: Buffer): Write {
  return {
    text: bind =>
      `insert into session_ids (id_hash, session_uid) values (${bind(idHash)}, ${bind(uid)}) on conflict do nothing`
  }
}

/** The rotated cookie stays good until `validUntil`, for requests that are already under way with it. */
export function updateSessionIdValidUntil(idHash: Buffer, validUntil: Date): Write {
  return {
    text: bind =>
      `update session_ids set valid_until = ${bind(validUntil)} where id_hash = ${bind(idHash)} and valid_until is null`
  }
}

/** After a sign-in no earlier cookie is good, not for a second: it may have been planted (session fixation). */
export function deleteEarlierSessionIds(uid: string): Write {
  return { text: bind => `delete from session_ids where session_uid = ${bind(uid)}` }
}

export function upsertSessionClient(uid: string, clientId: string, client: SessionClient): Write {
  return {
    text: bind => `insert into session_clients (session_uid, client_id, sid, grant_id, persists_logout)
      values (${bind(uid)}, ${bind(clientId)}, ${bind(client.sid ?? null)}, ${bind(client.grantId ?? null)}, ${bind(client.persistsLogout ?? false)})
      on conflict (session_uid, client_id) do update
        set sid = excluded.sid, grant_id = excluded.grant_id, persists_logout = excluded.persists_logout`
  }
}

export function deleteSessionClient(uid: string, clientId: string): Write {
  return {
    text: bind =>
      `delete from session_clients where session_uid = ${bind(uid)} and client_id = ${bind(clientId)}`
  }
}

export function deleteSession(uid: string): Write {
  return { text: bind => `delete from sessions where uid = ${bind(uid)}` }
}

/**
 * Removes an account's sessions, all but `except`. Answers with the applications in them that want to be told: a
 * second call answers with none of them again.
 */
export async function deleteSessionsOfAccount(
  sql: Sql,
  { accountId, except }: { accountId: string; except: string | null }
): Promise<LogoutReceiver[]> {
  // (read-only join of clients)
  return await sql<LogoutReceiver[]>`
    with ended as (
      delete from sessions where account_id = ${accountId} and uid is distinct from ${except} returning uid
    )
    select sc.client_id, sc.sid
    from ended
    join session_clients sc on sc.session_uid = ended.uid
    join clients c on c.client_id = sc.client_id and c.other_metadata ? 'backchannel_logout_uri'`
}

/** Removes an application from an account's sessions; answers as `deleteSessionsOfAccount`. */
export async function deleteSessionClientsOfAccount(
  sql: Sql,
  { accountId, clientId }: { accountId: string; clientId: string }
): Promise<LogoutReceiver[]> {
  // (read-only join of clients)
  return await sql<LogoutReceiver[]>`
    with ended as (
      delete from session_clients
      where client_id = ${clientId} and session_uid in (select uid from sessions where account_id = ${accountId})
      returning client_id, sid
    )
    select ended.client_id, ended.sid
    from ended join clients c on c.client_id = ended.client_id and c.other_metadata ? 'backchannel_logout_uri'`
}

/**
 * Moves a session's proof to `at`, if it still counted with the cut-off at `validFrom`; false: it is over, or another
 * account's.
 */
export async function updateSessionAuthenticatedAt(
  sql: Sql,
  { uid, accountId, validFrom, at }: { uid: string; accountId: string; validFrom: Date; at: Date }
): Promise<boolean> {
  const { count } = await sql`
    update sessions set authenticated_at = ${at}
    where uid = ${uid} and account_id = ${accountId} and authenticated_at >= ${validFrom} and expires_at > ${at}`
  return count === 1
}

export async function deleteExpiredSessions(sql: Sql, now: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from sessions where uid in (
      select uid from sessions where expires_at < ${now} order by expires_at limit ${limit} for update skip locked
    )`
  return count
}

export async function deleteExpiredSessionIds(sql: Sql, now: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from session_ids where id_hash in (
      select id_hash from session_ids where valid_until < ${now} limit ${limit} for update skip locked
    )`
  return count
}
