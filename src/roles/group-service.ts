// Groups: what somebody belongs to, for applications to hear of. Their members are named by the operator.
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { deleteGroupMember, insertGroupMember } from './group-repository.ts'

type Membership = { accountId: string; group: string }

/** Puts an account in a group. False: it is in it already. Records `group.member_added`. */
export async function addToGroup(ctx: Context, { accountId, group }: Membership): Promise<boolean> {
  return await inTransaction(ctx, async tx => {
    if (!(await insertGroupMember(tx.sql, { accountId, group, at: tx.now() }))) return false
    await recordEvent(tx, { type: 'group.member_added', accountId, details: { group } })
    return true
  })
}

/** Takes an account out of a group. False: it was not in it. Records `group.member_removed`. */
export async function removeFromGroup(ctx: Context, { accountId, group }: Membership): Promise<boolean> {
  return await inTransaction(ctx, async tx => {
    if (!(await deleteGroupMember(tx.sql, { accountId, group }))) return false
    await recordEvent(tx, { type: 'group.member_removed', accountId, details: { group } })
    return true
  })
}
