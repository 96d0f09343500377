// Who has which role.
import type { Sql } from '../db/connect.ts'

/** An account's roles, in alphabetical order. */
export async function listRoles(sql: Sql, accountId: string): Promise<string[]> {
  const rows = await sql<{ role: string }[]>`
    select role from role_assignments where account_id = ${accountId} order by role collate "C"
  `
  return rows.map(({ role }) => role)
}

/** The addresses of those who have a role, a page at a time. */
export async function listEmailsWithRole(
  sql: Sql,
  role: string,
  { after = '', limit = 1000 }: { after?: string; limit?: number } = {}
): Promise<string[]> {
  // read-only join: an operator knows people by their addresses
  const rows = await sql<{ email: string }[]>`
    select a.email_key as email from role_assignments r join accounts a on a.id = r.account_id
    where r.role = ${role} and a.email_key > ${after} order by a.email_key limit ${limit}
  `
  return rows.map(({ email }) => email)
}

/** How many of `roles` an account has. */
export async function countRolesAmong(sql: Sql, accountId: string, roles: string[]): Promise<number> {
  const [row] = await sql<{ count: number }[]>`
    select count(*)::int as count from role_assignments where account_id = ${accountId} and role = any(${roles})
  `
  return row?.count ?? 0
}

/** False: the account has it already. */
export async function insertRole(
  sql: Sql,
  { accountId, role, at }: { accountId: string; role: string; at: Date }
): Promise<boolean> {
  const { count } = await sql`
    insert into role_assignments (account_id, role, created_at) values (${accountId}, ${role}, ${at})
    on conflict do nothing
  `
  return count === 1
}

/** False: the account did not have it. */
export async function deleteRole(
  sql: Sql,
  { accountId, role }: { accountId: string; role: string }
): Promise<boolean> {
  const { count } = await sql`delete from role_assignments where account_id = ${accountId} and role = ${role}`
  return count === 1
}
