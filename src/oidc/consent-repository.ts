// SQL for what people agreed to, as they see it and take it back. What a sign-in needs of it is in interaction-repository.ts.
import type { Sql } from '../db/connect.ts'

export type AgreedConsent = {
  id: string
  clientId: string
  scopes: string[]
  /** Claims that were asked for by name. */
  claims: string[]
  /** Scopes by resource indicator. */
  resources: Record<string, string[]>
  createdAt: Date
  /** When tokens were last made under it, as far as their rows tell; null: they do not. */
  lastUsedAt: Date | null
}

/** What a person agreed to, newest first. */
export async function listConsents(sql: Sql, accountId: string): Promise<AgreedConsent[]> {
  return await sql<AgreedConsent[]>`
    select c.id, c.client_id, c.scopes, c.claims, c.resources, c.created_at, used.at as last_used_at
    from consents c
    left join lateral (
      select greatest(max(g.created_at), max(r.at), max(t.at)) as at
      from grants g
      left join lateral (select max(created_at) as at from refresh_tokens where grant_id = g.id) r on true
      left join lateral (select max(created_at) as at from access_tokens where grant_id = g.id) t on true
      where g.account_id = c.account_id and g.client_id = c.client_id
    ) used on true
    where c.account_id = ${accountId}
    order by c.created_at desc, c.id`
}

/**
 * Removes what a person agreed to, with every grant and token that came of it, and answers with it; null: it is not
 * theirs, or was removed already. One statement, so that of two at once one removes.
 */
export async function deleteConsent(
  sql: Sql,
  { accountId, id }: { accountId: string; id: string }
): Promise<{ clientId: string; scopes: string[] } | null> {
  // First, and by itself: a grant that is being made under it is seen by the next statement only.
  await sql`select from consents where id = ${id} and account_id = ${accountId} for update`
  const [row] = await sql<{ clientId: string; scopes: string[] }[]>`
    with withdrawn as (
      delete from consents where id = ${id} and account_id = ${accountId} returning client_id, scopes
    ), ended as (
      delete from grants where account_id = ${accountId} and client_id in (select client_id from withdrawn) returning id
    ), refresh as (
      delete from refresh_tokens where grant_id in (select id from ended)
    ), access as (
      delete from access_tokens where grant_id in (select id from ended)
    ), artifacts as (
      delete from oidc_artifacts where grant_id in (select id from ended)
    )
    select client_id, scopes from withdrawn`
  return row ?? null
}
