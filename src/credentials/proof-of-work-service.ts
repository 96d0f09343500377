// Work that a browser does where its network tried too often: asked for, checked, taken once.
import type { Context } from '../context.ts'
import type { RetentionRule } from '../jobs/model.ts'
import { deriveKey } from '../lib/sealed-box.ts'
import {
  bitsFor,
  checkWork,
  createChallenge,
  type ProofOfWork,
  type WorkScope
} from './proof-of-work-model.ts'
import { deleteExpiredProofsOfWork, insertSpentProofOfWork } from './proof-of-work-repository.ts'

const keyOf = (ctx: Context): Buffer => deriveKey(ctx.config.encryptionKey, 'proofs of work')

/** Work for a network that is `networkExcess` over its allowance. Nothing is stored; it is good for five minutes. */
export function askForWork(ctx: Context, scope: WorkScope, networkExcess: number): string {
  return createChallenge(keyOf(ctx), scope, { bits: bitsFor(networkExcess), now: ctx.now() })
}

/** Takes proof of work, once. False for none, a wrong one, one for something else, and one that was used. */
export async function spendWork(
  ctx: Context,
  scope: WorkScope,
  proof: ProofOfWork | undefined
): Promise<boolean> {
  const work = proof && checkWork(keyOf(ctx), scope, { ...proof, now: ctx.now() })
  return work ? await insertSpentProofOfWork(ctx.sql, work) : false
}

export const proofOfWorkRetention: RetentionRule = {
  table: 'spent_proofs_of_work',
  deleteExpired: deleteExpiredProofsOfWork
}
