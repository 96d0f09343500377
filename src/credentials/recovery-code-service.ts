// Recovery codes: ten single-use codes that stand in for a second factor that was lost.
import { createHmac } from 'node:crypto'
import type { Account } from '../accounts/model.ts'
import { sendNotice } from '../accounts/notice-service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { deriveKey } from '../lib/sealed-box.ts'
import { hasSecondFactor } from './factor-model.ts'
import { findWaysInToChange } from './factor-repository.ts'
import { createRecoveryCode, parseRecoveryCode, recoveryCodesPerAccount } from './recovery-code-model.ts'
import {
  consumeRecoveryCode,
  countRecoveryCodes,
  deleteStrayRecoveryCodes,
  updateRecoveryCodes
} from './recovery-code-repository.ts'
import { isFrozen } from './ways-in-model.ts'

export type CreateRecoveryCodesOutcome =
  | { ok: true; codes: string[] }
  | { ok: false; reason: 'no_second_factor' | 'frozen' }

/**
 * Gives an account ten new codes, which are shown this once; those that it had are void. Records
 * `recovery_codes.created` and mails a notice.
 *
 * - `no_second_factor`: there is nothing that they could stand in for.
 * - `frozen`: the owner said “this wasn't me”, and until then nothing may be changed.
 */
export async function createRecoveryCodes(
  ctx: Context,
  { id: accountId }: Pick<Account, 'id'>
): Promise<CreateRecoveryCodesOutcome> {
  return await inTransaction(ctx, async tx => {
    const held = await findWaysInToChange(tx.sql, accountId)
    if (held === null || !hasSecondFactor(held.ways)) return { ok: false, reason: 'no_second_factor' }
    if (isFrozen(held.ways, tx.now())) return { ok: false, reason: 'frozen' }
    const codes = Array.from({ length: recoveryCodesPerAccount }, createRecoveryCode)
    const codeHashes = codes.map(code => hashRecoveryCode(tx, accountId, code))
    const at = tx.now()
    await updateRecoveryCodes(tx.sql, { accountId, codeHashes, at })
    await recordEvent(tx, { type: 'recovery_codes.created', accountId })
    await sendNotice(tx, held.account, {
      kind: 'factor_added',
      data: { factor: 'recovery_codes', label: '' },
      happenedAt: at
    })
    return { ok: true, codes }
  })
}

export type UseRecoveryCodeOutcome = { ok: true; codesLeft: number } | { ok: false; reason: 'wrong_code' }

/**
 * Takes one of an account's codes, once, and tells how many are left. Records `recovery_code.used` and mails a notice.
 * The guesses are the caller's to count; 80 bits are beyond them all the same.
 */
export async function useRecoveryCode(
  ctx: Context,
  { account, code }: { account: Pick<Account, 'id' | 'email'>; code: unknown }
): Promise<UseRecoveryCodeOutcome> {
  const accountId = account.id
  const codeHash = hashRecoveryCode(ctx, accountId, code)
  return await inTransaction(ctx, async tx => {
    if (!(await consumeRecoveryCode(tx.sql, { accountId, codeHash })))
      return { ok: false, reason: 'wrong_code' }
    const codesLeft = await countRecoveryCodes(tx.sql, accountId)
    await recordEvent(tx, { type: 'recovery_code.used', accountId, details: { codesLeft } })
    await sendNotice(tx, account, { kind: 'recovery_code_used', data: { codesLeft } })
    return { ok: true, codesLeft }
  })
}

/**
 * Removes an account's codes once its last second factor is gone: who sets one up later gets new ones. Called by
 * every removal of a factor. Records `recovery_codes.removed` where there were any.
 */
export async function removeStrayRecoveryCodes(tx: Context, accountId: string): Promise<void> {
  if ((await deleteStrayRecoveryCodes(tx.sql, accountId)) > 0)
    await recordEvent(tx, { type: 'recovery_codes.removed', accountId })
}

/** What is not a code has a hash as well, which no stored one equals: the work is the same. */
function hashRecoveryCode(ctx: Context, accountId: string, code: unknown): Buffer {
  const key = deriveKey(ctx.config.encryptionKey, 'recovery codes')
  return createHmac('sha256', key)
    .update(accountId)
    .update(parseRecoveryCode(code) ?? '')
    .digest()
}
