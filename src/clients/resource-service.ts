// Registers the resources (APIs) that applications ask tokens for.
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { listClaimMappings } from './claim-repository.ts'
import type { Fault, Resource } from './model.ts'
import { deleteResource, insertResource } from './repository.ts'
import { parseResource, type ResourceInput } from './resource-model.ts'

/** Registers a resource. No client may use it until its `resources` names it. Tells every node; records `resource.registered`. */
export async function registerResource(
  ctx: Context,
  input: ResourceInput
): Promise<{ ok: true; resource: Resource } | { ok: false; faults: Fault[] }> {
  const parsed = parseResource(input)
  if (!parsed.ok) return parsed
  const resource = { ...parsed.resource, createdAt: ctx.now(), updatedAt: ctx.now() }
  return await inTransaction(ctx, async tx => {
    const mapped = (await listClaimMappings(tx.sql)).find(({ scope }) =>
      resource.scopes.includes(scope ?? '')
    )
    if (mapped !== undefined)
      return { ok: false, faults: [{ field: 'scopes', message: `${mapped.scope} opens claims already` }] }
    if (!(await insertResource(tx.sql, resource)))
      return { ok: false, faults: [{ field: 'identifier', message: 'is taken' }] }
    await recordEvent(tx, { type: 'resource.registered', details: { identifier: resource.identifier } })
    return { ok: true, resource }
  })
}

/** Removes a resource: no new token is made for it. Returns whether there was one. Tells every node; records `resource.removed`. */
export async function removeResource(ctx: Context, identifier: string): Promise<boolean> {
  return await inTransaction(ctx, async tx => {
    if (!(await deleteResource(tx.sql, identifier))) return false
    await recordEvent(tx, { type: 'resource.removed', details: { identifier } })
    return true
  })
}
