// An account's passkeys and security keys once they are there: their names, and their end.
import { sendNotice } from '../accounts/notice-service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { isId } from '../lib/ids.ts'
import { parseFactorName } from './factor-name-model.ts'
import { findWaysInToChange } from './factor-repository.ts'
import { removeStrayRecoveryCodes } from './recovery-code-service.ts'
import { isFrozen, mayRemove, type RemovalOutcome } from './ways-in-model.ts'
import { deletePasskey, listPasskeys, updatePasskeyName } from './webauthn-repository.ts'

export type RenamePasskeyOutcome =
  | { ok: true; name: string }
  | { ok: false; reason: 'not_found' | 'frozen' | 'missing' | 'too_long' | 'invalid' }

/**
 * Renames one of the account's own passkeys. Records `passkey.renamed`.
 *
 * - `not_found`: nobody's, or another account's, which is not told apart.
 * - `frozen`: the owner said “this wasn't me”, and until then nothing may be changed.
 */
export async function renamePasskey(
  ctx: Context,
  { accountId, id, name: typed }: { accountId: string; id: string; name: unknown }
): Promise<RenamePasskeyOutcome> {
  const parsed = parseFactorName(typed)
  if (!parsed.ok) return parsed
  const { name } = parsed
  return await inTransaction(ctx, async tx => {
    const held = await findWaysInToChange(tx.sql, accountId)
    if (held !== null && isFrozen(held.ways, tx.now())) return { ok: false, reason: 'frozen' }
    const renamed = isId(id) ? await updatePasskeyName(tx.sql, { id, accountId, name }) : null
    if (renamed === null) return { ok: false, reason: 'not_found' }
    await recordEvent(tx, { type: 'passkey.renamed', accountId, details: { id } })
    return { ok: true, name }
  })
}

export type RemovePasskeyOutcome = RemovalOutcome | { ok: false; reason: 'not_found' }

/**
 * Removes one of the account's own passkeys; recovery codes go with the last second factor. Records `passkey.removed` and mails a notice.
 *
 * `not_found`: nobody's, or another account's, which is not told apart. Else as `mayRemove`.
 */
export async function removePasskey(
  ctx: Context,
  wanted: { accountId: string; id: string; secondFactorRequired: boolean }
): Promise<RemovePasskeyOutcome> {
  const { accountId, id, secondFactorRequired } = wanted
  return await inTransaction(ctx, async tx => {
    const held = await findWaysInToChange(tx.sql, accountId)
    const passkey = (await listPasskeys(tx.sql, accountId)).find(own => own.id === id)
    if (held === null || passkey === undefined) return { ok: false, reason: 'not_found' }
    const policy = { mailSignIn: tx.config.mailSignIn, secondFactorRequired, now: tx.now() }
    const allowed = mayRemove(held.ways, passkey.userVerified ? 'passkey' : 'security_key', policy)
    if (!allowed.ok) return allowed
    await deletePasskey(tx.sql, id, accountId)
    await recordEvent(tx, {
      type: 'passkey.removed',
      accountId,
      details: { id, aaguid: passkey.aaguid }
    })
    await removeStrayRecoveryCodes(tx, accountId)
    await sendNotice(tx, held.account, {
      kind: 'factor_removed',
      data: { factor: 'passkey', label: passkey.name }
    })
    return { ok: true }
  })
}
