// Roles: what somebody is, for policies to speak of. They are given and taken by the operator.
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { countRolesAmong, deleteRole, insertRole } from './repository.ts'

type Assignment = { accountId: string; role: string }

/** Gives an account a role. False: it has it already. Records `role.granted`. */
export async function grantRole(ctx: Context, { accountId, role }: Assignment): Promise<boolean> {
  return await inTransaction(ctx, async tx => {
    if (!(await insertRole(tx.sql, { accountId, role, at: tx.now() }))) return false
    await recordEvent(tx, { type: 'role.granted', accountId, details: { role } })
    return true
  })
}

/** Takes a role from an account. False: it did not have it. Records `role.revoked`. */
export async function revokeRole(ctx: Context, { accountId, role }: Assignment): Promise<boolean> {
  return await inTransaction(ctx, async tx => {
    if (!(await deleteRole(tx.sql, { accountId, role }))) return false
    await recordEvent(tx, { type: 'role.revoked', accountId, details: { role } })
    return true
  })
}

/** Whether the installation, or one of their roles, demands a second factor of this person. */
export async function isSecondFactorRequired(ctx: Context, accountId: string): Promise<boolean> {
  const { required, requiredRoles } = ctx.config.secondFactor
  return required || (await countRolesAmong(ctx.sql, accountId, requiredRoles)) > 0
}
