// SQL for sign-ins under way, and for what people agreed to in them.
// (read-only join of accounts, factors, devices and roles: who is signing in, and how, is read along)
import { accountFactsColumn } from '../accounts/facts-model.ts'
import { factorFactsColumn } from '../credentials/factor-model.ts'
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import type { Consent, Payload, Progress, StoredInteraction } from './model.ts'

const findInteractionText = `
  select i.payload, i.progress, i.account_id, i.authenticated_at, i.expires_at, ${accountFactsColumn}, ${factorFactsColumn},
    exists (select from role_assignments r where r.account_id = a.id and r.role = any($4)) as second_factor_role,
    exists (select from devices d where d.account_id = a.id and d.token_hash = $3 and d.trusted_until > $2 and d.trusted_until <= $5) as device_trusted,
    coalesce(a.disabled_at is null and i.authenticated_at >= a.tokens_valid_from, false) as authentication_valid,
    case when c.account_id is null then null else
      jsonb_build_object('scopes', c.scopes, 'claims', c.claims, 'resources', c.resources) end as consent,
    g.payload as grant
  from interactions i
  left join accounts a on a.id = i.account_id
  left join consents c on c.account_id = i.account_id and c.client_id = i.client_id
  left join grants g on g.id = i.payload #>> '{result,consent,grantId}'
  where i.id_hash = $1 and i.expires_at > $2`

export async function findInteraction(
  sql: Sql,
  idHash: Buffer,
  at: {
    now: Date
    deviceHash: Buffer | null
    secondFactorRoles: string[]
    /** Trust for longer is of a time when the setting was higher, and counts no more; null: none does. */
    trustedUntilAtMost: Date | null
  }
): Promise<StoredInteraction | null> {
  const values = [idHash, at.now, at.deviceHash, at.secondFactorRoles, at.trustedUntilAtMost]
  const [row] = await sql.unsafe<StoredInteraction[]>(findInteractionText, values, { prepare: true })
  return row ?? null
}

export async function findConsent(sql: Sql, accountId: string, clientId: string): Promise<Consent | null> {
  const [row] = await sql<Consent[]>`
    select scopes, claims, resources from consents where account_id = ${accountId} and client_id = ${clientId}`
  return row ?? null
}

/** Adds to what the person agreed to; two browsers at once both count. */
export const upsertConsent = (accountId: string, clientId: string, consent: Consent, at: Date): Write => ({
  text: bind => `insert into consents as c (account_id, client_id, scopes, claims, resources, created_at, updated_at)
    values (${bind(accountId)}, ${bind(clientId)}, ${bind(consent.scopes)}, ${bind(consent.claims)}, ${bind(consent.resources)}, ${bind(at)}, ${bind(at)})
    on conflict (account_id, client_id) do update set
      scopes = array(select distinct unnest(c.scopes || excluded.scopes)),
      claims = array(select distinct unnest(c.claims || excluded.claims)),
      resources = c.resources || excluded.resources, updated_at = excluded.updated_at`
})

export async function deleteConsentsOfAccount(sql: Sql, accountId: string): Promise<void> {
  await sql`delete from consents where account_id = ${accountId}`
}

export type InteractionRow = {
  idHash: Buffer
  clientId: string | null
  accountId: string | null
  authenticatedAt: Date | null
  payload: Payload
  createdAt: Date
  expiresAt: Date
}

/** Keeps Gatehouse's own columns of an interaction that the library saves again. */
export const upsertInteraction = (row: InteractionRow): Write => ({
  text: bind => `insert into interactions as i (id_hash, client_id, account_id, authenticated_at, payload, created_at, expires_at)
    values (${bind(row.idHash)}, ${bind(row.clientId)}, ${bind(row.accountId)}, ${bind(row.authenticatedAt)}, ${bind(row.payload)},
      ${bind(row.createdAt)}, ${bind(row.expiresAt)})
    on conflict (id_hash) do update set payload = excluded.payload, expires_at = excluded.expires_at,
      account_id = coalesce(excluded.account_id, i.account_id), authenticated_at = coalesce(excluded.authenticated_at, i.authenticated_at)`
})

export type ProgressUpdate = { accountId: string | null; authenticatedAt: Date | null; progress: Progress }

export const updateInteractionProgress = (idHash: Buffer, update: ProgressUpdate): Write => ({
  text: bind => `update interactions set account_id = ${bind(update.accountId)}, authenticated_at = ${bind(update.authenticatedAt)},
    progress = ${bind(update.progress)} where id_hash = ${bind(idHash)}`
})

/** The person proved who they are elsewhere, by the mail's link: the sign-in that waits for it may go on. */
export async function updateInteractionAuthenticated(
  sql: Sql,
  idHash: Buffer,
  { accountId, at }: { accountId: string; at: Date }
): Promise<void> {
  await sql`update interactions set authenticated_at = ${at} where id_hash = ${idHash} and account_id = ${accountId}`
}

/** The person proved who they are by a mail's link in the browser of this sign-in, which was nobody's until then. */
export async function updateInteractionProven(
  sql: Sql,
  idHash: Buffer,
  { accountId, at, progress }: { accountId: string; at: Date; progress: Progress }
): Promise<void> {
  await sql`
    update interactions set account_id = ${accountId}, authenticated_at = ${at}, progress = ${sql.json(progress as never)}
    where id_hash = ${idHash} and authenticated_at is null`
}

export const deleteInteraction = (idHash: Buffer): Write => ({
  text: bind => `delete from interactions where id_hash = ${bind(idHash)}`
})
