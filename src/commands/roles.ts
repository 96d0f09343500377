// gatehouse roles: what people are, for policies such as SECOND_FACTOR_ROLES and for applications to hear of.
import { listEmailsWithRole, listRoles } from '../roles/repository.ts'
import { grantRole, revokeRole } from '../roles/service.ts'
import { membershipCommands } from './memberships.ts'

export const roleCommands = membershipCommands({
  words: 'roles',
  option: 'role',
  summaries: {
    add: 'Give somebody a role.',
    remove: 'Take a role from somebody.',
    list: 'List the roles of somebody, or everybody who has a role.'
  },
  says: role => `is ${role}`,
  add: async (ctx, { accountId, name: role }) => await grantRole(ctx, { accountId, role }),
  remove: async (ctx, { accountId, name: role }) => await revokeRole(ctx, { accountId, role }),
  listOf: listRoles,
  listEmails: listEmailsWithRole
})
