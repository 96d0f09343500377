// Signing in by mail, where the installation wants that: a link and a code, each good in the sign-in that asked alone.
import { type Account, type ParsedEmail, parseEmail } from '../accounts/model.ts'
import { findAccount, findAccountByEmailKey, findAccountForUpdate } from '../accounts/repository.ts'
import { findSecurityToken } from '../accounts/security-token-repository.ts'
import { mailSecurityToken, takeSecurityToken, tryCode } from '../accounts/security-token-service.ts'
import { verifyEmailByMailbox } from '../accounts/service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { equalBytes, hashToken } from '../lib/tokens.ts'
import { deletePassword } from './repository.ts'

const lifetimeSeconds = 600

export type MailSignInRequest =
  | {
      ok: true
      /** As typed, normalised: to be shown. */
      email: string
      /** `capped`: too many mails within the hour; the last one stays good. The same for any address. */
      mail: 'queued' | 'capped'
    }
  | Extract<ParsedEmail, { ok: false }>

/**
 * Mails a link and a code to an address, if an active account has it. Answer, statements and rows are the same for every
 * address that is one. A newer mail voids older ones. Records `sign_in.mail_requested`.
 */
export async function requestMailSignIn(
  ctx: Context,
  typed: { email: unknown; interactionUid: string }
): Promise<MailSignInRequest> {
  const parsed = parseEmail(typed.email)
  if (!parsed.ok) return parsed
  const { email, emailKey } = parsed
  return await inTransaction(ctx, async tx => {
    const account = await findAccountByEmailKey(tx.sql, emailKey)
    const active = account !== null && account.disabledAt === null ? account : null
    const mail = await mailSecurityToken(
      tx,
      {
        kind: 'sign_in',
        accountId: active?.id ?? null,
        askedBy: typed.interactionUid,
        // The mailbox that proves who it is: once the account has another address, this one proves nothing.
        data: { emailKey },
        lifetimeSeconds,
        replacing: true
      },
      ({ token, code }) => ({
        kind: 'sign_in_code',
        // To the stored address, not the typed one, whose letters may differ in case.
        to: active?.email ?? email,
        data: { link: `${tx.config.issuer}/sign-in/${token}`, code, expiresInMinutes: lifetimeSeconds / 60 }
      })
    )
    const about = account === null ? {} : { accountId: account.id }
    await recordEvent(tx, { type: 'sign_in.mail_requested', ...about, details: { mail } })
    return { ok: true, email, mail }
  })
}

/**
 * Signs in by the six digits of the mail, in the sign-in that asked for it. A try costs one of five, and the caller has
 * paid for the guess at the account.
 *
 * `wrong_code` is a wrong one, one that is too old or was replaced, and one too many, without telling which: an account's
 * mail is replaced when another browser asks, an unknown address's is not. Records `sign_in.failed`.
 *
 * Proof of the mailbox, so an address that nobody had confirmed is confirmed by it; a password that was set before is
 * void then, for it may be a stranger's who signed up there first.
 */
export async function signInByCode(
  ctx: Context,
  { interactionUid, code }: { interactionUid: string; code: unknown }
): Promise<{ ok: true; account: Account } | { ok: false; reason: 'wrong_code' }> {
  // Before the transaction: a try is paid for whatever becomes of it, and holds no row that others wait for.
  const tried = await tryCode(ctx, 'sign_in', { askedBy: interactionUid, code })
  const account = tried.ok ? await takeProof(ctx, tried) : null
  if (account !== null) return { ok: true, account }
  const details = { reason: tried.ok ? 'void' : tried.reason, method: 'mail' }
  const about = tried.ok ? { accountId: tried.accountId } : {}
  await recordEvent(ctx, { type: 'sign_in.failed', ...about, details })
  return { ok: false, reason: 'wrong_code' }
}

/** `elsewhere`: the mail was asked for in another browser, where its link works, and its code. */
export type SignInLinkState = 'ready' | 'elsewhere' | 'invalid' | 'expired'
type Link = { token: string; waitingUid: string | null }

/**
 * What a mail's link does in this browser, whose sign-in `waitingUid` waits for a mail; null for none. Nothing is spent.
 *
 * Elsewhere it does nothing: else whoever types somebody's address would be signed in by that person's click.
 */
export async function readSignInLink(ctx: Context, link: Link): Promise<{ state: SignInLinkState }> {
  const { state } = await findLink(ctx, link)
  return { state }
}

async function findLink(
  ctx: Context,
  { token, waitingUid }: Link
): Promise<{ state: SignInLinkState; accountId: string | null }> {
  const found = await findSecurityToken(ctx.sql, 'sign_in', hashToken(token))
  if (found === null || found.askedByHash === null) return { state: 'invalid', accountId: null }
  const { accountId, askedByHash, expiresAt } = found
  if (expiresAt <= ctx.now()) return { state: 'expired', accountId }
  const own = waitingUid !== null && equalBytes(hashToken(waitingUid), askedByHash)
  return { state: own ? 'ready' : 'elsewhere', accountId }
}

/**
 * Signs in by the link of the mail, once, in the browser whose sign-in asked for it. `elsewhere` spends nothing. Else as
 * `signInByCode`.
 */
export async function signInByLink(
  ctx: Context,
  link: Link
): Promise<{ ok: true; account: Account } | { ok: false; reason: Exclude<SignInLinkState, 'ready'> }> {
  const { state, accountId } = await findLink(ctx, link)
  if (state !== 'ready') return { ok: false, reason: state }
  const account = await takeProof(ctx, { tokenHash: hashToken(link.token), accountId })
  return account === null ? { ok: false, reason: 'invalid' } : { ok: true, account }
}

/** Takes the token, once, unless the account is disabled or has another address by now; null: nobody is proven. */
async function takeProof(
  ctx: Context,
  { tokenHash, accountId }: { tokenHash: Buffer; accountId: string | null }
): Promise<Account | null> {
  if (accountId === null) return null
  return await inTransaction(ctx, async tx => {
    const account = await findAccountForUpdate(tx.sql, accountId)
    const taken = await takeSecurityToken(tx, 'sign_in', tokenHash)
    if (account === null || account.disabledAt !== null) return null
    if (!taken.ok || taken.data.emailKey !== account.emailKey) return null
    if (account.emailVerifiedAt !== null) return account
    await verifyEmailByMailbox(tx, account)
    await deletePassword(tx.sql, accountId)
    return await findAccount(tx.sql, accountId)
  })
}
