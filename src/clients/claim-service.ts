// Sets up which claims are filled in by data. What becomes of them is the protocol's work (oidc/custom-claims.ts).
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { createId, isId } from '../lib/ids.ts'
import { type ClaimInput, type ClaimMapping, parseClaimMapping } from './claim-model.ts'
import { deleteClaimMapping, insertClaimMapping } from './claim-repository.ts'
import type { Fault } from './model.ts'
import { findClient, listResources } from './repository.ts'

/**
 * Adds a mapping: from then on its claim is in what its destinations say, and its scope is one that clients may be
 * registered for. Tells every node; records `claim_mapping.added`.
 */
export async function addClaimMapping(
  ctx: Context,
  input: ClaimInput
): Promise<{ ok: true; mapping: ClaimMapping } | { ok: false; faults: Fault[] }> {
  const parsed = parseClaimMapping(input)
  if (!parsed.ok) return parsed
  const { claim, scope, clientId } = parsed.mapping
  return await inTransaction(ctx, async tx => {
    const faults: Fault[] = []
    if (clientId !== null && (await findClient(tx.sql, clientId)) === null)
      faults.push({ field: 'client_id', message: 'is not registered' })
    const holder = (await listResources(tx.sql)).find(({ scopes }) => scopes.includes(scope ?? ''))
    if (holder !== undefined)
      faults.push({ field: 'scope', message: `is a scope of ${holder.identifier}, whose tokens say no more` })
    if (faults.length > 0) return { ok: false, faults }

    const mapping = { ...parsed.mapping, id: createId(tx.now()), createdAt: tx.now() }
    if (!(await insertClaimMapping(tx.sql, mapping)))
      return {
        ok: false,
        faults: [{ field: 'claim', message: 'is mapped for this scope and client already' }]
      }
    await recordEvent(tx, {
      type: 'claim_mapping.added',
      ...(clientId === null ? {} : { clientId }),
      details: { claim, source: mapping.source, scope, destinations: mapping.destinations }
    })
    return { ok: true, mapping }
  })
}

/** Removes a mapping. Returns its claim, or null when there is none. Tells every node; records `claim_mapping.removed`. */
export async function removeClaimMapping(ctx: Context, id: string): Promise<string | null> {
  if (!isId(id)) return null
  return await inTransaction(ctx, async tx => {
    const claim = await deleteClaimMapping(tx.sql, id)
    if (claim !== null) await recordEvent(tx, { type: 'claim_mapping.removed', details: { claim } })
    return claim
  })
}
