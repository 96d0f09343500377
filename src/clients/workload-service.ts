// Trusts the workloads of other issuers to be a client. What their assertions get is the protocol's work (oidc/).
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { createId, isId } from '../lib/ids.ts'
import { type Fault, jwtBearer } from './model.ts'
import { findClient } from './repository.ts'
import { type Workload, type WorkloadInput, workloadFaults } from './workload-model.ts'
import { deleteWorkload, insertWorkload } from './workload-repository.ts'

/** Lets assertions that fit a rule stand for a client. Works at once on every node; records `workload.trusted`. */
export async function trustWorkload(
  ctx: Context,
  input: WorkloadInput
): Promise<{ ok: true; workload: Workload } | { ok: false; faults: Fault[] }> {
  const faults = workloadFaults(input)
  if (input.issuer === ctx.config.issuer)
    faults.push({
      field: 'issuer',
      message: 'must be another one: tokens of our own are exchanged, not asserted'
    })
  return await inTransaction(ctx, async tx => {
    const client = await findClient(tx.sql, input.clientId)
    if (client === null) faults.push({ field: 'client_id', message: 'is not registered' })
    else if (!client.grantTypes.includes(jwtBearer))
      faults.push({ field: 'client_id', message: `must be registered with the grant type ${jwtBearer}` })
    if (faults.length > 0) return { ok: false, faults }

    const now = tx.now()
    const workload: Workload = {
      ...input,
      id: createId(now),
      jwks: input.jwks as Workload['jwks'],
      createdAt: now
    }
    await insertWorkload(tx.sql, workload)
    await recordEvent(tx, {
      type: 'workload.trusted',
      clientId: workload.clientId,
      details: { workload: workload.id, issuer: workload.issuer, subject: workload.subject }
    })
    return { ok: true, workload }
  })
}

/** Trusts no assertion by this rule any more. Returns whether there was one; records `workload.removed`. */
export async function removeWorkload(ctx: Context, id: string): Promise<boolean> {
  return await inTransaction(ctx, async tx => {
    const workload = isId(id) ? await deleteWorkload(tx.sql, id) : null
    if (workload === null) return false
    const { clientId, issuer, subject } = workload
    await recordEvent(tx, {
      type: 'workload.removed',
      clientId,
      details: { workload: id, issuer, subject }
    })
    return true
  })
}
