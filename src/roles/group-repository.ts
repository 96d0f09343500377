// Who belongs to which group.
import type { Sql } from '../db/connect.ts'

/** An account's groups, in alphabetical order. */
export async function listGroups(sql: Sql, accountId: string): Promise<string[]> {
  const rows = await sql<{ groupName: string }[]>`
    select group_name from group_members where account_id = ${accountId} order by group_name collate "C"
  `
  return rows.map(({ groupName }) => groupName)
}

/** The addresses of a group's members, a page at a time. */
export async function listEmailsInGroup(
  sql: Sql,
  group: string,
  { after = '', limit = 1000 }: { after?: string; limit?: number } = {}
): Promise<string[]> {
  // read-only join: an operator knows people by their addresses
  const rows = await sql<{ email: string }[]>`
    select a.email_key as email from group_members m join accounts a on a.id = m.account_id
    where m.group_name = ${group} and a.email_key > ${after} order by a.email_key limit ${limit}
  `
  return rows.map(({ email }) => email)
}

/** False: the account is a member already. */
export async function insertGroupMember(
  sql: Sql,
  { accountId, group, at }: { accountId: string; group: string; at: Date }
): Promise<boolean> {
  const { count } = await sql`
    insert into group_members (account_id, group_name, created_at) values (${accountId}, ${group}, ${at})
    on conflict do nothing
  `
  return count === 1
}

/** False: the account was no member. */
export async function deleteGroupMember(
  sql: Sql,
  { accountId, group }: { accountId: string; group: string }
): Promise<boolean> {
  const { count } = await sql`
    delete from group_members where account_id = ${accountId} and group_name = ${group}
  `
  return count === 1
}
