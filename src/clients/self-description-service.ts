// What an application says of itself, under the operator's policy and checked: sent by itself, or read in its document.
import type { Context } from '../context.ts'
import type { ParseOutcome } from './metadata-model.ts'
import { type Json, policyFaults, underPolicy } from './registration-model.ts'
import { checkMetadata } from './service.ts'

/** As `checkMetadata`, of what is left of `said` under the policy. An address that leads inside is not fetched from. */
export async function checkSelfDescription(ctx: Context, said: Json): Promise<ParseOutcome> {
  const metadata = underPolicy(said, ctx.config)
  const faults = policyFaults(metadata, ctx.config)
  if (faults.length > 0) return { ok: false, faults }
  return await checkMetadata(ctx, metadata, { selfRegistered: true })
}
