// A new password for whoever reads the account's mailbox. Sessions and devices are joined in self-service/.
import { type Account, emailKeyOf, type ParsedEmail, parseEmail } from '../accounts/model.ts'
import { findAccount, findAccountByEmailKey, findAccountForUpdate } from '../accounts/repository.ts'
import {
  mailSecurityToken,
  readSecurityToken,
  type TokenRefusal,
  takeSecurityToken,
  tryCode,
  voidSecurityTokens
} from '../accounts/security-token-service.ts'
import { verifyEmailByMailbox } from '../accounts/service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { hashToken } from '../lib/tokens.ts'
import { deletePassword, updatePassword } from './repository.ts'

/**
 * Mails a link and a code to an address, if an active account has it. `askedBy` is a secret of the browser that asks:
 * the code counts there alone.
 *
 * The answer, the statements and the rows are the same for every address that is one. A newer mail voids older ones;
 * where the cap on mails is reached nothing is sent, and they stay good. Records `password.reset_requested`.
 */
export async function requestReset(
  ctx: Context,
  typed: { email: unknown; askedBy: string }
): Promise<ParsedEmail> {
  const parsed = parseEmail(typed.email)
  if (!parsed.ok) return parsed
  return await inTransaction(ctx, async tx => {
    const account = await findAccountByEmailKey(tx.sql, parsed.emailKey)
    const active = account !== null && account.disabledAt === null ? account : null
    const to = active?.email ?? parsed.email
    const outcome = await mailReset(tx, { account: active, to, askedBy: typed.askedBy })
    const about = account === null ? {} : { accountId: account.id }
    await recordEvent(tx, { type: 'password.reset_requested', ...about, details: { outcome } })
    return parsed
  })
}

/** Mails a link and a code that reset an account's password; for null it does the same work and sends nothing. */
export async function mailReset(
  tx: Context,
  { account, to, askedBy }: { account: Account | null; to: string; askedBy: string }
): Promise<'queued' | 'capped'> {
  const lifetimeSeconds = tx.config.passwordResetLifetimeSeconds
  return await mailSecurityToken(
    tx,
    {
      kind: 'reset_password',
      accountId: account?.id ?? null,
      askedBy: askerOf(askedBy, to),
      // The mailbox that proves who it is: once the account has another address, this one proves nothing.
      data: { emailKey: account?.emailKey ?? '' },
      lifetimeSeconds,
      replacing: true
    },
    ({ token, code }) => ({
      kind: 'reset_password',
      to,
      data: {
        link: `${tx.config.issuer}/reset-password/${token}`,
        code,
        expiresInMinutes: Math.floor(lifetimeSeconds / 60)
      }
    })
  )
}

/** A browser has one secret for each address, so that tries at a code count for the account that it is of. */
const askerOf = (askedBy: string, email: string) => `${askedBy} ${emailKeyOf(email)}`

/** What a link or a right code gives a right to: this account's password, once. */
export type ResetClaim = { tokenHash: Buffer; account: Account }

/** Whose password a mail's link would set. Nothing is spent. */
export async function readResetLink(
  ctx: Context,
  token: string
): Promise<{ ok: true; claim: ResetClaim } | TokenRefusal> {
  const read = await readSecurityToken(ctx, 'reset_password', token)
  if (!read.ok) return read
  const account = await findAccount(ctx.sql, read.accountId)
  if (account === null || account.disabledAt !== null) return { ok: false, reason: 'invalid' }
  return { ok: true, claim: { tokenHash: hashToken(token), account } }
}

/**
 * Whose password a mail's code would set, at the price of one of five tries. `email` is the address that was typed when
 * `askedBy` asked. Records `password.reset_code_refused`.
 *
 * Null for a code that is wrong, too old, replaced by a newer mail's or was tried too often, without telling which: an
 * account's code is replaced when another browser asks, an unknown address's is not.
 */
export async function tryResetCode(
  ctx: Context,
  { askedBy, email, code }: { askedBy: string; email: string; code: unknown }
): Promise<ResetClaim | null> {
  const tried = await tryCode(ctx, 'reset_password', { askedBy: askerOf(askedBy, email), code })
  const account = tried.ok ? await findAccount(ctx.sql, tried.accountId) : null
  if (tried.ok && account !== null && account.disabledAt === null)
    return { tokenHash: tried.tokenHash, account }
  const reason = tried.ok ? 'disabled' : tried.reason
  await recordEvent(ctx, { type: 'password.reset_code_refused', details: { reason } })
  return null
}

/**
 * Takes a claim, once, and sets the password, also of an account that has none. Proves the address where it was not,
 * and voids every mail that could still get somebody in. Null: the claim is gone, or the account is disabled or has
 * another address by now; nothing has changed. Records `password.reset`.
 */
export async function takeResetClaim(
  tx: Context,
  { tokenHash, account: { id } }: ResetClaim,
  passwordHash: string
): Promise<Account | null> {
  const account = await findAccountForUpdate(tx.sql, id)
  if (account === null || account.disabledAt !== null) return null
  const taken = await takeSecurityToken(tx, 'reset_password', tokenHash)
  if (!taken.ok || taken.data.emailKey !== account.emailKey) return null
  await updatePassword(tx.sql, { accountId: id, passwordHash, at: tx.now() })
  if (account.emailVerifiedAt === null) await verifyEmailByMailbox(tx, account)
  await voidSecurityTokens(tx, id)
  await recordEvent(tx, { type: 'password.reset', accountId: id })
  return account
}

/**
 * From now on the password opens nothing, nor does any mail that is out: only a new reset leads in by the mailbox.
 * Whoever took the account over may well know the password, or have set it.
 */
export async function voidPassword(tx: Context, accountId: string): Promise<void> {
  await deletePassword(tx.sql, accountId)
  await voidSecurityTokens(tx, accountId, ['not_me'])
}
