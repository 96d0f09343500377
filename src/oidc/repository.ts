// SQL for grants, tokens and the protocol's short-lived things; interaction-repository.ts has sign-ins and consents.
// Reads give in one statement all that the request will ask for next (read-only joins of accounts, sessions,
// session_clients, roles and groups); writes are parts of a batch.
import { type AccountFacts, accountFactsColumn } from '../accounts/facts-model.ts'
import type { Value, Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import { type Memberships, membershipsColumn } from '../roles/membership-model.ts'
import type { Payload, StoredToken } from './model.ts'

const sessionFacts = `case when s.uid is null then null else
  jsonb_build_object('accountId', s.account_id, 'grantId', sc.grant_id, 'sid', sc.sid) end as session`

// A token is void once its account is gone, disabled, or has moved its cut-off past the token's birth. One by exchange lives with
// a grant, and so with a sign-in, of another client.
const withContext = `
  left join grants g on g.id = t.grant_id
  left join accounts a on a.id = t.account_id
  left join sessions s on s.uid = t.session_uid and s.expires_at > $2 and s.login_at > $3
  left join session_clients sc on sc.session_uid = t.session_uid and sc.client_id = coalesce(g.client_id, t.client_id)
  where t.account_id is null or (a.disabled_at is null and t.created_at >= a.tokens_valid_from)`

/** What is told of a person: their roles and groups only where some mapping tells of them. */
const personColumns = (memberships: boolean) =>
  memberships ? `${accountFactsColumn}, ${membershipsColumn}` : accountFactsColumn

const findTokenText = (memberships: boolean) => `
  select t.kind, t.payload, t.consumed_at, t.successor_sealed, t.expires_at, t.grant_id, t.client_id, t.session_uid,
    g.payload as grant, ${personColumns(memberships)}, ${sessionFacts}
  from (
    select 'RefreshToken' as kind, payload, consumed_at, successor_sealed, created_at, expires_at, grant_id, account_id, client_id, session_uid
    from refresh_tokens where id_hash = $1
    union all
    select kind, payload, null, null, created_at, expires_at, grant_id, account_id, client_id, session_uid
    from access_tokens where id_hash = $1
  ) t ${withContext}`

const findCodeText = (memberships: boolean) => `
  select t.model as kind, t.payload, t.consumed_at, null as successor_sealed, t.expires_at, t.grant_id, t.client_id, t.session_uid,
    g.payload as grant, ${personColumns(memberships)}, ${sessionFacts}
  from (select * from oidc_artifacts where id_hash = $1 and model = 'AuthorizationCode') t ${withContext}`

const tokenTexts = { plain: findTokenText(false), withMemberships: findTokenText(true) }
const codeTexts = { plain: findCodeText(false), withMemberships: findCodeText(true) }

/** `memberships`: roles and groups are read along. */
export type Moments = { now: Date; loginAfter: Date; memberships?: boolean }

/** An opaque access token or a refresh token, whichever it is. Expired ones too: reuse must be told from nonsense. */
export async function findToken(sql: Sql, idHash: Buffer, at: Moments): Promise<StoredToken | null> {
  const text = at.memberships ? tokenTexts.withMemberships : tokenTexts.plain
  const [row] = await sql.unsafe<StoredToken[]>(text, [idHash, at.now, at.loginAfter], { prepare: true })
  return row ?? null
}

export async function findCode(sql: Sql, idHash: Buffer, at: Moments): Promise<StoredToken | null> {
  const text = at.memberships ? codeTexts.withMemberships : codeTexts.plain
  const [row] = await sql.unsafe<StoredToken[]>(text, [idHash, at.now, at.loginAfter], { prepare: true })
  return row ?? null
}

export async function findGrant(sql: Sql, id: string): Promise<Payload | null> {
  const [row] = await sql<{ payload: Payload }[]>`select payload from grants where id = ${id}`
  return row?.payload ?? null
}

export type AccountRow = { account: AccountFacts; memberships?: Memberships }

export async function findAccountFacts(
  sql: Sql,
  id: string,
  { memberships = false }: { memberships?: boolean } = {}
): Promise<AccountRow | null> {
  const [row] = await sql.unsafe<AccountRow[]>(
    `select ${personColumns(memberships)} from accounts a where a.id = $1 and a.disabled_at is null`,
    [id],
    { prepare: true }
  )
  return row ?? null
}

export type Artifact = { payload: Payload; consumedAt: Date | null; expiresAt: Date }

export async function findArtifact(sql: Sql, model: string, idHash: Buffer): Promise<Artifact | null> {
  const [row] = await sql<Artifact[]>`
    select payload, consumed_at, expires_at from oidc_artifacts where id_hash = ${idHash} and model = ${model}`
  return row ?? null
}

export type TokenRow = {
  idHash: Buffer
  kind: string
  grantId: string | null
  accountId: string | null
  clientId: string
  sessionUid: string | null
  payload: Payload
  createdAt: Date
  expiresAt: Date
}

/** `insert … select`, so that a batch can make it depend on an earlier write. */
const insert =
  (table: string, row: Record<string, [string, Value]>): Write['text'] =>
  bind =>
    `insert into ${table} (${Object.keys(row).join(', ')}) select ${Object.values(row)
      .map(([type, value]) => `${bind(value)}::${type}`)
      .join(', ')}`

const tokenColumns = (row: TokenRow): Record<string, [string, Value]> => ({
  id_hash: ['bytea', row.idHash],
  grant_id: ['text', row.grantId],
  account_id: ['uuid', row.accountId],
  client_id: ['text', row.clientId],
  session_uid: ['text', row.sessionUid],
  payload: ['jsonb', row.payload],
  created_at: ['timestamptz', row.createdAt],
  expires_at: ['timestamptz', row.expiresAt]
})

export const insertAccessToken = (row: TokenRow): Write => ({
  text: insert('access_tokens', { ...tokenColumns(row), kind: ['text', row.kind] })
})

export const insertRefreshToken = (row: TokenRow): Write => ({
  text: insert('refresh_tokens', tokenColumns(row))
})

/** Takes a refresh token once: of two at the same moment one hits the row. */
export const consumeRefreshToken = (idHash: Buffer, successorSealed: Buffer, at: Date): Write => ({
  text: bind => `update refresh_tokens set consumed_at = ${bind(at)}, successor_sealed = ${bind(successorSealed)}
    where id_hash = ${bind(idHash)} and consumed_at is null`
})

/** A token that is used again and again lasts from its last use on; the library goes by the payload. */
export const updateRefreshTokenExpiry = (idHash: Buffer, expiresAt: Date): Write => ({
  text: bind => `update refresh_tokens set expires_at = ${bind(expiresAt)},
      payload = payload || ${bind({ exp: Math.floor(expiresAt.getTime() / 1000) })}::jsonb
    where id_hash = ${bind(idHash)} and consumed_at is null`
})

export type ArtifactRow = TokenRow & { userCodeHash: Buffer | null }

export const insertArtifact = (row: ArtifactRow): Write => ({
  text: insert('oidc_artifacts', {
    ...tokenColumns(row),
    client_id: ['text', row.clientId],
    model: ['text', row.kind],
    user_code_hash: ['bytea', row.userCodeHash]
  })
})

/** Takes a code once. The moment is read when the write is sent: who came before it took part in a race, who comes later is late. */
export const consumeArtifact = (model: string, idHash: Buffer, now: () => Date): Write => ({
  text: bind => `update oidc_artifacts set consumed_at = ${bind(now())}
    where id_hash = ${bind(idHash)} and model = ${bind(model)} and consumed_at is null`
})

/** Sets a mark that must be the first of its kind; false when it is there already. One statement: of two at once one is first. */
export async function insertReplayMark(
  sql: Sql,
  mark: { idHash: Buffer; at: Date; expiresAt: Date }
): Promise<boolean> {
  const { count } = await sql`
    insert into oidc_artifacts (id_hash, model, payload, created_at, expires_at)
    values (${mark.idHash}, 'ReplayDetection', '{}', ${mark.at}, ${mark.expiresAt})
    on conflict (id_hash, model) do nothing`
  return count === 1
}

export const deleteArtifact = (model: string, idHash: Buffer): Write => ({
  text: bind => `delete from oidc_artifacts where id_hash = ${bind(idHash)} and model = ${bind(model)}`
})

export const deleteRefreshToken = (idHash: Buffer): Write => ({
  text: bind => `delete from refresh_tokens where id_hash = ${bind(idHash)}`
})

export const deleteAccessToken = (idHash: Buffer): Write => ({
  text: bind => `delete from access_tokens where id_hash = ${bind(idHash)}`
})

/** Everything issued under a grant; the grant itself by `deleteGrant`. */
export const deleteTokensByGrant = (grantId: string): Write[] =>
  ['refresh_tokens', 'access_tokens', 'oidc_artifacts'].map(table => ({
    text: bind => `delete from ${table} where grant_id = ${bind(grantId)}`
  }))

export const deleteGrant = (id: string): Write => ({
  text: bind => `delete from grants where id = ${bind(id)}`
})

export async function deleteGrantsOfAccount(sql: Sql, accountId: string): Promise<void> {
  await sql`delete from grants where account_id = ${accountId}`
}

export type GrantRow = {
  id: string
  accountId: string
  clientId: string
  payload: Payload
  createdAt: Date
  expiresAt: Date
}

export const upsertGrant = (row: GrantRow): Write => ({
  text: bind => `insert into grants (id, account_id, client_id, payload, created_at, expires_at)
    values (${bind(row.id)}, ${bind(row.accountId)}, ${bind(row.clientId)}, ${bind(row.payload)}, ${bind(row.createdAt)}, ${bind(row.expiresAt)})
    on conflict (id) do update set payload = excluded.payload, expires_at = excluded.expires_at`
})

/**
 * As `upsertGrant`, as long as the person has not withdrawn their consent; whoever is about to waits until this is over.
 * (read-only join of consents)
 */
export const upsertGrantUnderConsent = (row: GrantRow): Write => ({
  text: bind => {
    const [accountId, clientId] = [`${bind(row.accountId)}::uuid`, `${bind(row.clientId)}::text`]
    return `insert into grants (id, account_id, client_id, payload, created_at, expires_at)
      select ${bind(row.id)}::text, ${accountId}, ${clientId}, ${bind(row.payload)}::jsonb, ${bind(row.createdAt)}::timestamptz, ${bind(row.expiresAt)}::timestamptz
      where exists (select from consents where account_id = ${accountId} and client_id = ${clientId} for key share)
      on conflict (id) do update set payload = excluded.payload, expires_at = excluded.expires_at`
  }
})

const expiring = {
  grants: 'id',
  refresh_tokens: 'id_hash',
  access_tokens: 'id_hash',
  interactions: 'id_hash',
  oidc_artifacts: 'id_hash',
  revoked_tokens: 'jti_hash'
} as const

/** The tables whose rows end by themselves, each emptied in batches. */
export const listExpiringTables = (): (keyof typeof expiring)[] =>
  Object.keys(expiring) as (keyof typeof expiring)[]

export async function deleteExpiredFrom(
  table: keyof typeof expiring,
  { sql, now, limit }: { sql: Sql; now: Date; limit: number }
): Promise<number> {
  const { count } = await sql`
    delete from ${sql(table)} where ctid = any(array(
      select ctid from ${sql(table)} where expires_at < ${now} order by expires_at limit ${limit} for update skip locked
    ))`
  return count
}
