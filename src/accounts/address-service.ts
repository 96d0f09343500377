// Changing an account's address: asked for by who is signed in, proven at the new mailbox, told to the old one.
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { PostgresError } from '../db/connect.ts'
import { hashToken } from '../lib/tokens.ts'
import { holdRecipient, queueMail } from '../mail/service.ts'
import { deleteEmailTokens } from './email-token-repository.ts'
import { type Account, parseEmail } from './model.ts'
import { sendNotice } from './notice-service.ts'
import {
  deleteUnverifiedAccount,
  findAccountByEmailKey,
  findAccountForUpdate,
  updateEmail
} from './repository.ts'
import { findSecurityTokenAskedBy } from './security-token-repository.ts'
import {
  issueSecurityToken,
  mailSecurityToken,
  type Redeemed,
  readSecurityToken,
  redeemSecurityToken,
  type TokenRefusal,
  takeSecurityToken,
  tryCode,
  voidSecurityTokens
} from './security-token-service.ts'

const confirmSeconds = 3600
const undoSeconds = 72 * 3600

export type RequestAddressChangeOutcome =
  | {
      ok: true
      /** As typed, normalised: to be shown. */
      email: string
      /** `capped`: too many mails to this address within the hour; the last one's link and code stay good. */
      mail: 'queued' | 'capped'
    }
  | { ok: false; reason: 'missing' | 'invalid' | 'too_long' | 'same' | 'frozen' }

/**
 * Mails a link and a code to the address that an account is to have; nothing of the account changes yet.
 *
 * Where the address is somebody's already, the answer and the work are the same, and its owner is told that they have an
 * account. An account that nobody confirmed does not count: whoever made it has proven nothing.
 *
 * `askedBy`: a secret of the browser session; the code is good there alone. A newer mail voids an older one. `frozen`:
 * somebody said “this wasn't me” within the last day. Records `account.email_change_requested`.
 */
export async function requestAddressChange(
  ctx: Context,
  { account, newEmail, askedBy }: { account: Pick<Account, 'id'>; newEmail: unknown; askedBy: string }
): Promise<RequestAddressChangeOutcome> {
  const parsed = parseEmail(newEmail)
  if (!parsed.ok) return parsed
  const { email, emailKey } = parsed
  return await inTransaction(ctx, async tx => {
    const asking = await findAccountForUpdate(tx.sql, account.id)
    if (asking === null || isFrozen(tx, asking)) return { ok: false, reason: 'frozen' }
    if (email === asking.email) return { ok: false, reason: 'same' }
    const mail = await mailBoth(tx, { account: asking, email, emailKey, askedBy })
    await recordEvent(tx, {
      type: 'account.email_change_requested',
      accountId: account.id,
      details: { mail }
    })
    return { ok: true, email, mail }
  })
}

type Wanted = { account: Account; email: string; emailKey: string; askedBy: string }

/** One of the two mails leaves; the other is the same work for nothing, so that neither time nor cap tells which. */
async function mailBoth(
  tx: Context,
  { account, email, emailKey, askedBy }: Wanted
): Promise<'queued' | 'capped'> {
  const holder = await findAccountByEmailKey(tx.sql, emailKey)
  const taken = holder !== null && holder.id !== account.id && holder.emailVerifiedAt !== null
  const request = {
    kind: 'change_address' as const,
    accountId: account.id,
    askedBy,
    data: { email, emailKey },
    lifetimeSeconds: confirmSeconds,
    replacing: true,
    usable: !taken
  }
  const outcome = await mailSecurityToken(tx, request, ({ token, code }) => ({
    kind: 'confirm_new_address',
    to: email,
    data: {
      link: `${tx.config.issuer}/account/security/address/${token}`,
      code,
      expiresInMinutes: confirmSeconds / 60
    }
  }))
  const owner = { kind: 'already_registered' as const, to: taken ? holder.email : email }
  const sendBefore = new Date(tx.now().getTime() + confirmSeconds * 1000)
  await queueMail(tx, { ...owner, data: { name: holder?.name ?? '' }, deliver: taken }, sendBefore)
  return outcome
}

/** The address that this browser session asked for last, while its mail is good; null: none. */
export async function readAddressAskedFor(ctx: Context, askedBy: string): Promise<string | null> {
  const found = await findSecurityTokenAskedBy(ctx.sql, 'change_address', hashToken(askedBy))
  return found === null || found.expiresAt <= ctx.now() ? null : String(found.data.email)
}

export type ConfirmAddressOutcome =
  | { ok: true; account: Account }
  | {
      ok: false
      /**
       * `other_account`: the mail belongs to another account than the one signed in here; nothing is spent.
       * `taken`: told only to who proved the mailbox.
       */
      reason: 'invalid' | 'expired' | 'other_account' | 'frozen' | 'taken'
    }

/** What a link would do for the account that is signed in; nothing is spent. */
export async function readAddressLink(
  ctx: Context,
  { token, accountId }: { token: string; accountId: string }
): Promise<{ ok: true; email: string } | { ok: false; reason: 'invalid' | 'expired' | 'other_account' }> {
  const found = await readSecurityToken(ctx, 'change_address', token)
  if (!found.ok) return found
  if (found.accountId !== accountId) return { ok: false, reason: 'other_account' }
  return { ok: true, email: String(found.data.email) }
}

/**
 * Changes the address by the link of the mail, once, in a browser that is signed in to `accountId`.
 *
 * Only there: a link that worked anywhere would let a stranger move their account onto the mailbox of whoever clicks.
 * Voids every mail that is out but those that protect, and writes to the old address how to undo it, within 72 hours.
 * Records `account.email_changed`. Begins a transaction of its own.
 */
export async function confirmAddressChangeByLink(
  ctx: Context,
  { token, accountId }: { token: string; accountId: string }
): Promise<ConfirmAddressOutcome> {
  return await withAccount(ctx, accountId, async (tx, account) => {
    const link = await readAddressLink(tx, { token, accountId })
    if (!link.ok) return link
    return await changeTo(tx, account, await redeemSecurityToken(tx, 'change_address', token))
  })
}

/**
 * As `confirmAddressChangeByLink`, by the six digits of the mail, in the browser session that asked.
 * `no_attempts_left`: five wrong ones. A wrong one is recorded as `account.email_code_refused`.
 */
export async function confirmAddressChangeByCode(
  ctx: Context,
  { askedBy, code, accountId }: { askedBy: string; code: unknown; accountId: string }
): Promise<ConfirmAddressOutcome | { ok: false; reason: 'no_attempts_left' }> {
  return await withAccount(ctx, accountId, async (tx, account) => {
    const tried = await tryCode(tx, 'change_address', { askedBy, code })
    if (!tried.ok) {
      const { reason } = tried
      await recordEvent(tx, { type: 'account.email_code_refused', accountId, details: { reason } })
      return tried
    }
    if (tried.accountId !== accountId) return { ok: false, reason: 'other_account' }
    return await changeTo(tx, account, await takeSecurityToken(tx, 'change_address', tried.tokenHash))
  })
}

/** The account's row first, then its tokens', so that of two changes at once one waits for the other. */
async function withAccount<Outcome>(
  ctx: Context,
  accountId: string,
  work: (tx: Context, account: Account) => Promise<Outcome>
): Promise<Outcome | { ok: false; reason: 'invalid' | 'frozen' }> {
  return await onceMoreIfTaken(() =>
    inTransaction(ctx, async tx => {
      const account = await findAccountForUpdate(tx.sql, accountId)
      if (account === null || account.disabledAt !== null) return { ok: false, reason: 'invalid' }
      if (isFrozen(tx, account)) return { ok: false, reason: 'frozen' }
      return await work(tx, account)
    })
  )
}

/** What an undo link carries. */
export type UndoData = { oldEmail: string; oldEmailKey: string; changedAt: string }

async function changeTo(
  tx: Context,
  account: Account,
  spent: Redeemed | TokenRefusal
): Promise<ConfirmAddressOutcome> {
  if (!spent.ok) return spent
  const { email, emailKey } = spent.data as { email: string; emailKey: string }
  const changed = await moveToAddress(tx, account, { email, emailKey })
  if (changed === null) return { ok: false, reason: 'taken' }
  const data: UndoData = {
    oldEmail: account.email,
    oldEmailKey: account.emailKey,
    changedAt: tx.now().toISOString()
  }
  const { token } = await issueSecurityToken(tx, {
    kind: 'undo_address',
    accountId: account.id,
    askedBy: null,
    data,
    lifetimeSeconds: undoSeconds,
    replacing: false
  })
  const undoLink = `${tx.config.issuer}/undo-address/${token}`
  await sendNotice(tx, account, { kind: 'address_changed', data: { newAddress: email, undoLink } })
  const details = { from: hashOf(account.emailKey), to: hashOf(emailKey) }
  await recordEvent(tx, { type: 'account.email_changed', accountId: account.id, details })
  return { ok: true, account: changed }
}

/** The trail tells which address it was to who knows the address. */
export const hashOf = (emailKey: string): string => hashToken(emailKey).toString('hex')

/**
 * Gives an account an address whose mailbox was proven, and voids the mails that are out; null: it is somebody else's.
 * An account that was made there without proof gives way.
 */
export async function moveToAddress(
  tx: Context,
  { id: accountId, email: current }: Account,
  { email, emailKey }: { email: string; emailKey: string }
): Promise<Account | null> {
  // Before the row changes: a mail to this address that is being written refers to it.
  await holdRecipient(tx, current)
  await deleteUnverifiedAccount(tx.sql, { emailKey, except: accountId })
  const changed = await updateEmail(tx.sql, { accountId, email, emailKey, at: tx.now() })
  // After the row has changed: what was mailed to the old address up to this moment is seen here, and void.
  await voidSecurityTokens(tx, accountId)
  await deleteEmailTokens(tx.sql, accountId)
  return changed
}

const isFrozen = (ctx: Context, { factorChangesFrozenUntil: until }: Account): boolean =>
  until !== null && until > ctx.now()

/**
 * Runs a transaction again whose address somebody else took at the same moment: the second time it is seen to be taken.
 */
export async function onceMoreIfTaken<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    const taken = error instanceof PostgresError && error.constraint_name === 'accounts_email_key_key'
    if (!taken) throw error
    return await work()
  }
}
