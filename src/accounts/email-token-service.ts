// Proof of an address: a mail with a link and a code, either of which confirms it once.
import { createHmac, randomBytes } from 'node:crypto'
import type { Context } from '../context.ts'
import { deriveKey } from '../lib/sealed-box.ts'
import { createCode, createToken, equalBytes, hashToken } from '../lib/tokens.ts'
import { queueMail } from '../mail/service.ts'
import {
  consumeCodeAttempt,
  consumeEmailToken,
  type EmailToken,
  findEmailToken,
  findEmailTokenOfInteraction,
  insertEmailToken
} from './email-token-repository.ts'
import type { Account } from './model.ts'
import { updateEmailVerified } from './repository.ts'

const codeDigits = 6
const codeAttempts = 5

/**
 * What a confirmation sets: typed with the sign-up that the token belongs to, null with a token of a sign-in. An empty
 * hash: signed up without a password.
 */
export type Pending = { name: string | null; passwordHash: string | null }

export type RedeemOutcome =
  | { ok: true; account: Account; pending: Pending; interactionHash: Buffer | null }
  | { ok: false; reason: 'invalid' | 'expired' }

/**
 * Writes to an account's owner: how to confirm the address, or that the account exists already.
 *
 * Either way the same is stored: a token row. For a verified account, and where the cap on mails was reached, it is
 * one that nothing matches. So its attempts run out and its time passes as any other's, and neither the database's
 * work nor the page's answers tell a stranger whose address is taken. It also means that only codes which were mailed
 * can be guessed: five tries for each of the few mails an hour.
 *
 * `keepOnCap`: leaves the token that was mailed before as it is when this mail is not sent.
 */
export async function sendConfirmation(
  tx: Context,
  request: { account: Account; pending: Pending; interactionUid: string | null; keepOnCap: boolean }
): Promise<'sent' | 'capped'> {
  const { account, pending } = request
  const now = tx.now()
  const expiresAt = new Date(now.getTime() + tx.config.emailTokenLifetimeSeconds * 1000)
  const token = createToken()
  const code = createCode(codeDigits)
  const verified = account.emailVerifiedAt !== null
  const queued = await queueMail(
    tx,
    verified
      ? { kind: 'already_registered', to: account.email, data: { name: account.name } }
      : {
          kind: 'confirm_address',
          // To the stored address, not the typed one, whose letters may differ in case.
          to: account.email,
          data: {
            name: pending.name ?? account.name,
            link: linkOf(tx, token, request.interactionUid),
            code,
            expiresInHours: Math.max(1, Math.floor(tx.config.emailTokenLifetimeSeconds / 3600))
          }
        },
    expiresAt
  )
  const capped = queued === 'capped'
  if (capped && request.keepOnCap) return 'capped'
  const usable = !verified && !capped
  const tokenHash = usable ? hashToken(token) : randomBytes(32)
  await insertEmailToken(tx.sql, {
    tokenHash,
    accountId: account.id,
    emailKey: account.emailKey,
    codeHash: usable ? hashCode(tx, tokenHash, code) : randomBytes(32),
    codeAttemptsLeft: codeAttempts,
    ...(verified ? { name: null, passwordHash: null } : pending),
    interactionHash: request.interactionUid === null ? null : hashToken(request.interactionUid),
    createdAt: now,
    expiresAt
  })
  return capped ? 'capped' : 'sent'
}

/** The sign-in that waits is named in the link alone: the database knows it by its hash. */
function linkOf(tx: Context, token: string, interactionUid: string | null): string {
  const query = interactionUid === null ? '' : `?interaction=${encodeURIComponent(interactionUid)}`
  return `${tx.config.issuer}/verify-email/${token}${query}`
}

/**
 * Confirms an address by the token of its link, once. Voids the account's other tokens, and whatever was issued for
 * it before. `expired`: it was right, but too late; nothing is spent.
 */
export async function redeemEmailToken(tx: Context, token: string): Promise<RedeemOutcome> {
  const tokenHash = hashToken(token)
  const spent = await consumeEmailToken(tx.sql, tokenHash, tx.now())
  if (spent !== null) return await confirmWith(tx, spent)
  return { ok: false, reason: (await findEmailToken(tx.sql, tokenHash)) === null ? 'invalid' : 'expired' }
}

export type RedeemCodeOutcome = RedeemOutcome | { ok: false; reason: 'no_attempts_left' }

/**
 * Confirms an address by the code of its mail, in the sign-in that the mail was for. Each try is paid for before it is
 * compared, so five is five however many are sent at once.
 */
export async function redeemEmailCode(
  tx: Context,
  { accountId, interactionUid, code }: { accountId: string; interactionUid: string; code: string }
): Promise<RedeemCodeOutcome> {
  const attempt = await consumeCodeAttempt(tx.sql, { accountId, interactionUid, now: tx.now() })
  if (attempt === null) {
    const token = await findEmailTokenOfInteraction(tx.sql, accountId, interactionUid)
    if (token === null) return { ok: false, reason: 'invalid' }
    return { ok: false, reason: token.expiresAt <= tx.now() ? 'expired' : 'no_attempts_left' }
  }
  // People type the spaces and dashes that mail programs show.
  const digits = code.length > 40 ? '' : code.replace(/[\s-]/g, '')
  if (!equalBytes(attempt.codeHash, hashCode(tx, attempt.tokenHash, digits)))
    return { ok: false, reason: attempt.codeAttemptsLeft === 0 ? 'no_attempts_left' : 'invalid' }
  const spent = await consumeEmailToken(tx.sql, attempt.tokenHash, tx.now())
  return spent === null ? { ok: false, reason: 'invalid' } : await confirmWith(tx, spent)
}

async function confirmWith(tx: Context, spent: EmailToken): Promise<RedeemOutcome> {
  const { accountId, emailKey, name, passwordHash, interactionHash } = spent
  const account = await updateEmailVerified(tx.sql, { accountId, emailKey, name, at: tx.now() })
  if (account === null) return { ok: false, reason: 'invalid' }
  return { ok: true, account, pending: { name, passwordHash }, interactionHash }
}

/** Six digits are a million guesses for who has the row, so their hash needs a key that is not in the database. */
function hashCode(ctx: Context, tokenHash: Buffer, code: string): Buffer {
  const key = deriveKey(ctx.config.encryptionKey, 'email codes')
  return createHmac('sha256', key).update(tokenHash).update(code).digest()
}
