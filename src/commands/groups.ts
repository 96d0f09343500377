// gatehouse groups: what people belong to, for applications to hear of.
import { listEmailsInGroup, listGroups } from '../roles/group-repository.ts'
import { addToGroup, removeFromGroup } from '../roles/group-service.ts'
import { membershipCommands } from './memberships.ts'

export const groupCommands = membershipCommands({
  words: 'groups',
  option: 'group',
  summaries: {
    add: 'Put somebody in a group.',
    remove: 'Take somebody out of a group.',
    list: 'List the groups of somebody, or everybody who is in a group.'
  },
  says: group => `is in ${group}`,
  add: async (ctx, { accountId, name: group }) => await addToGroup(ctx, { accountId, group }),
  remove: async (ctx, { accountId, name: group }) => await removeFromGroup(ctx, { accountId, group }),
  listOf: listGroups,
  listEmails: listEmailsInGroup
})
