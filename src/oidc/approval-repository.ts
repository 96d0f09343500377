// SQL for what a person approves on another device: device codes and backchannel authentication requests.
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import type { Payload } from './model.ts'
import type { Artifact, ArtifactRow } from './repository.ts'

/**
 * As `findArtifact`, but nothing whose approval is void: the account is gone or disabled, or was cut off since.
 * (read-only join of accounts)
 */
export async function findApprovable(sql: Sql, model: string, idHash: Buffer): Promise<Artifact | null> {
  const [row] = await sql<Artifact[]>`
    select t.payload, t.consumed_at, t.expires_at
    from oidc_artifacts t left join accounts a on a.id = t.account_id
    where t.id_hash = ${idHash} and t.model = ${model}
      and (t.approved_at is null or (a.disabled_at is null and t.approved_at >= a.tokens_valid_from))`
  return row ?? null
}

export async function findArtifactByUserCode(sql: Sql, userCodeHash: Buffer): Promise<Artifact | null> {
  const [row] = await sql<Artifact[]>`
    select payload, consumed_at, expires_at from oidc_artifacts where user_code_hash = ${userCodeHash}`
  return row ?? null
}

/**
 * Moves a device code on, once each way: of two browsers that confirm it at once one goes on, and what was decided stays.
 * `from`: whether somebody had confirmed it before.
 */
export const updateDeviceCode = (
  row: () => ArtifactRow,
  { inFlight, approvedAt }: { inFlight: boolean; approvedAt: () => Date | null }
): Write => ({
  text: bind => {
    const { idHash, payload, grantId, accountId, sessionUid } = row()
    return `update oidc_artifacts set payload = payload || ${bind(payload)}::jsonb, grant_id = ${bind(grantId)}::text,
      account_id = ${bind(accountId)}::uuid, session_uid = ${bind(sessionUid)}::text, approved_at = ${bind(approvedAt())}::timestamptz
      where id_hash = ${bind(idHash)} and model = 'DeviceCode' and consumed_at is null and approved_at is null
        and not payload ? 'error' and (payload ? 'inFlight') = ${bind(inFlight)}::boolean`
  }
})

/** Refuses a device, unless that was decided before or somebody is about to. Null then, else the client's id. */
export async function updateDeviceCodeDenied(
  sql: Sql,
  userCodeHash: Buffer,
  { now, refusal }: { now: Date; refusal: Payload }
): Promise<{ clientId: string } | null> {
  const [row] = await sql<{ clientId: string }[]>`
    update oidc_artifacts set payload = payload || ${sql.json(refusal as never)}
    where user_code_hash = ${userCodeHash} and consumed_at is null and approved_at is null
      and not payload ? 'error' and not payload ? 'inFlight' and expires_at > ${now}
    returning client_id`
  return row ?? null
}

/** Counts a poll, if the interval since the last one is over. One statement: of two at once one is in time. */
export async function updatePolled(
  sql: Sql,
  idHash: Buffer,
  { now, toleranceMs }: { now: Date; toleranceMs: number }
): Promise<boolean> {
  const { count } = await sql`
    update oidc_artifacts set polled_at = ${now}
    where id_hash = ${idHash} and model in ('DeviceCode', 'BackchannelAuthenticationRequest')
      and (polled_at is null or polled_at + make_interval(secs => poll_interval_seconds)
        <= ${new Date(now.getTime() + toleranceMs)})`
  return count === 1
}

/** From now on the client has to wait longer between two polls, `mostSeconds` in the end. */
export async function updatePollInterval(
  sql: Sql,
  idHash: Buffer,
  { now, bySeconds, mostSeconds }: { now: Date; bySeconds: number; mostSeconds: number }
): Promise<void> {
  await sql`
    update oidc_artifacts set polled_at = ${now},
      poll_interval_seconds = least(poll_interval_seconds + ${bySeconds}::int, ${mostSeconds}::int)
    where id_hash = ${idHash} and model in ('DeviceCode', 'BackchannelAuthenticationRequest')`
}

export type PendingRequest = {
  idHash: Buffer
  clientId: string
  payload: Payload
  createdAt: Date
  expiresAt: Date
}

/** A backchannel authentication request that its person may still decide. */
const pending = (sql: Sql, { accountId, now }: { accountId: string; now: Date }) => sql`
  account_id = ${accountId} and model = 'BackchannelAuthenticationRequest' and expires_at > ${now}
  and consumed_at is null and approved_at is null and not payload ? 'error'`

export async function listPendingRequests(
  sql: Sql,
  of: { accountId: string; now: Date; limit: number }
): Promise<PendingRequest[]> {
  return await sql<PendingRequest[]>`
    select id_hash, client_id, payload, created_at, expires_at from oidc_artifacts
    where ${pending(sql, of)} order by created_at desc limit ${of.limit}`
}

/** One of an account's own; null for one that is over, decided, or somebody else's. */
export async function findPendingRequest(
  sql: Sql,
  idHash: Buffer,
  of: { accountId: string; now: Date }
): Promise<PendingRequest | null> {
  const [row] = await sql<PendingRequest[]>`
    select id_hash, client_id, payload, created_at, expires_at from oidc_artifacts
    where id_hash = ${idHash} and ${pending(sql, of)}`
  return row ?? null
}

/** How many requests of one client wait for an account. */
export async function countPendingRequests(
  sql: Sql,
  of: { accountId: string; clientId: string; now: Date }
): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from oidc_artifacts where ${pending(sql, of)} and client_id = ${of.clientId}`
  return row?.count ?? 0
}

/**
 * Approves a request, if nobody has decided it and the browser's session still counts: it may be cut off at this moment.
 * False otherwise. (read-only join of sessions and accounts)
 */
export async function updateRequestApproved(
  sql: Sql,
  idHash: Buffer,
  of: { accountId: string; now: Date; sessionUid: string; grantId: string; result: Payload }
): Promise<boolean> {
  const { count } = await sql`
    update oidc_artifacts set payload = payload || ${sql.json(of.result as never)}, grant_id = ${of.grantId},
      approved_at = proof.authenticated_at
    from (
      select s.authenticated_at from sessions s join accounts a on a.id = s.account_id
      where s.uid = ${of.sessionUid} and s.account_id = ${of.accountId} and a.disabled_at is null
        and s.authenticated_at >= a.tokens_valid_from
    ) proof
    where id_hash = ${idHash} and ${pending(sql, of)}`
  return count === 1
}

/** Refuses a request; false when it is over or decided. */
export async function updateRequestDenied(
  sql: Sql,
  idHash: Buffer,
  of: { accountId: string; now: Date; result: Payload }
): Promise<boolean> {
  const { count } = await sql`
    update oidc_artifacts set payload = payload || ${sql.json(of.result as never)}
    where id_hash = ${idHash} and ${pending(sql, of)}`
  return count === 1
}

/** A request whatever became of it. */
export async function findBackchannelRequest(sql: Sql, idHash: Buffer): Promise<PendingRequest | null> {
  const [row] = await sql<PendingRequest[]>`
    select id_hash, client_id, payload, created_at, expires_at from oidc_artifacts
    where id_hash = ${idHash} and model = 'BackchannelAuthenticationRequest'`
  return row ?? null
}
