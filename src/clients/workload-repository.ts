// The table of workloads: whose assertions stand for which client.
import type { Sql } from '../db/connect.ts'
import type { Workload } from './workload-model.ts'

const columns = (sql: Sql) => sql`
  id, client_id, issuer, audience, subject, claims, jwks, reusable, created_at
`

/** All rules for an issuer's assertions, of every client. */
export async function listWorkloadsOfIssuer(sql: Sql, issuer: string): Promise<Workload[]> {
  return await sql<Workload[]>`select ${columns(sql)} from workloads where issuer = ${issuer}`
}

/** Oldest first; of one client where it is named. */
export async function listWorkloads(sql: Sql, clientId: string | null = null): Promise<Workload[]> {
  return await sql<Workload[]>`
    select ${columns(sql)} from workloads
    ${clientId === null ? sql`` : sql`where client_id = ${clientId}`}
    order by id
  `
}

export async function insertWorkload(sql: Sql, workload: Workload): Promise<void> {
  await sql`
    insert into workloads (${columns(sql)})
    values (
      ${workload.id}, ${workload.clientId}, ${workload.issuer}, ${workload.audience}, ${workload.subject},
      ${sql.json(workload.claims)}, ${workload.jwks === null ? null : sql.json(workload.jwks as never)},
      ${workload.reusable}, ${workload.createdAt}
    )
  `
}

/** Removes a rule and returns it, or null when there is none. */
export async function deleteWorkload(sql: Sql, id: string): Promise<Workload | null> {
  const [row] = await sql<Workload[]>`delete from workloads where id = ${id} returning ${columns(sql)}`
  return row ?? null
}
