// Authenticator applications: their codes, names and end. How one is added is in totp-enrolment-service.ts.
import { sendNotice } from '../accounts/notice-service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { isId } from '../lib/ids.ts'
import { deriveKey, open, seal } from '../lib/sealed-box.ts'
import { parseFactorName } from './factor-name-model.ts'
import { findWaysInToChange } from './factor-repository.ts'
import { removeStrayRecoveryCodes } from './recovery-code-service.ts'
import { findStep, parseTotpCode } from './totp-model.ts'
import { consumeTotpStep, deleteTotp, findTotp, listTotpSecrets, updateTotpName } from './totp-repository.ts'
import { mayRemove, type RemovalOutcome } from './ways-in-model.ts'

export type VerifyTotpOutcome = { ok: true; id: string } | { ok: false; reason: 'wrong_code' }

/** Takes the place of an authenticator where there is none, so that the work is the same. */
const nobodysSecret = 'A'.repeat(32)

/**
 * Takes a code of any of an account's authenticators, once, a step early or late. `id` tells which.
 *
 * The statements are the same whether or not there is an authenticator and whatever the code. Guesses are not counted
 * here: six digits are a million of them, so the caller pays for each from the account's budget before it asks.
 *
 * @see RFC 6238 §5.2
 */
export async function verifyTotp(
  ctx: Context,
  { accountId, code }: { accountId: string; code: unknown }
): Promise<VerifyTotpOutcome> {
  const now = ctx.now()
  const stored = await listTotpSecrets(ctx.sql, accountId)
  const candidates = stored.map(({ id, secretSealed }) => ({
    id,
    secret: openTotpSecret(ctx, id, secretSealed)
  }))
  if (candidates.length === 0) candidates.push({ id: '', secret: nobodysSecret })
  const typed = parseTotpCode(code)
  let match: { id: string; step: number } | null = null
  for (const { id, secret } of candidates) {
    const step = findStep(secret, typed ?? '', now)
    if (step !== null && id !== '') match = { id, step }
  }
  const id = await consumeTotpStep(ctx.sql, { accountId, match, now })
  return id === null ? { ok: false, reason: 'wrong_code' } : { ok: true, id }
}

export type RenameTotpOutcome =
  | { ok: true; name: string }
  | { ok: false; reason: 'not_found' | 'missing' | 'too_long' | 'invalid' }

/** Renames one of the account's own authenticators. Records `totp.renamed`. */
export async function renameTotp(
  ctx: Context,
  { accountId, id, name: typed }: { accountId: string; id: string; name: unknown }
): Promise<RenameTotpOutcome> {
  const parsed = parseFactorName(typed)
  if (!parsed.ok) return parsed
  const { name } = parsed
  return await inTransaction(ctx, async tx => {
    if (!isId(id) || !(await updateTotpName(tx.sql, { accountId, id, name })))
      return { ok: false, reason: 'not_found' }
    await recordEvent(tx, { type: 'totp.renamed', accountId, details: { id } })
    return { ok: true, name }
  })
}

export type RemoveTotpOutcome = RemovalOutcome | { ok: false; reason: 'not_found' }

/**
 * Removes one of the account's own authenticators; recovery codes go with the last second factor. Records
 * `totp.removed` and mails a notice.
 *
 * `not_found`: nobody's, or another account's, which is not told apart. Else as `mayRemove`.
 */
export async function removeTotp(
  ctx: Context,
  wanted: { accountId: string; id: string; secondFactorRequired: boolean }
): Promise<RemoveTotpOutcome> {
  const { accountId, id, secondFactorRequired } = wanted
  return await inTransaction(ctx, async tx => {
    const held = await findWaysInToChange(tx.sql, accountId)
    const found = isId(id) ? await findTotp(tx.sql, { accountId, id }) : null
    if (held === null || found === null) return { ok: false, reason: 'not_found' }
    const policy = { mailSignIn: tx.config.mailSignIn, secondFactorRequired, now: tx.now() }
    const allowed = mayRemove(held.ways, 'totp', policy)
    if (!allowed.ok) return allowed
    await deleteTotp(tx.sql, { accountId, id })
    await recordEvent(tx, { type: 'totp.removed', accountId, details: { id } })
    await removeStrayRecoveryCodes(tx, accountId)
    await sendNotice(tx, held.account, {
      kind: 'factor_removed',
      data: { factor: 'authenticator', label: found.name }
    })
    return { ok: true }
  })
}

/** Seals a secret for its row: in another one, it does not open. */
export function sealTotpSecret(ctx: Context, { id, secret }: { id: string; secret: string }): Buffer {
  return seal(secretKey(ctx), secret, id)
}

const openTotpSecret = (ctx: Context, id: string, sealed: Buffer) =>
  open(secretKey(ctx), sealed, id).toString()
const secretKey = (ctx: Context) => deriveKey(ctx.config.encryptionKey, 'totp secrets')
