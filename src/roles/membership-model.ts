// What somebody is and belongs to, read along with whatever belongs to the account.

export type Memberships = { roles: string[]; groups: string[] }

/** The column `memberships` of a statement that joins accounts as `a`: null without an account. */
export const membershipsColumn = `case when a.id is null then null else jsonb_build_object(
  'roles', (select coalesce(jsonb_agg(role order by role collate "C"), '[]') from role_assignments where account_id = a.id),
  'groups', (select coalesce(jsonb_agg(group_name order by group_name collate "C"), '[]') from group_members where account_id = a.id)
  ) end as memberships`
