// What a mail's link or code may do, once: made, shown to one person, taken.
import { createHmac, randomBytes } from 'node:crypto'
import type { Context } from '../context.ts'
import type { RetentionRule } from '../jobs/model.ts'
import { deriveKey } from '../lib/sealed-box.ts'
import { createCode, createToken, equalBytes, hashToken } from '../lib/tokens.ts'
import type { Mail } from '../mail/model.ts'
import { queueMail } from '../mail/service.ts'
import {
  consumeSecurityCodeAttempt,
  consumeSecurityToken,
  deleteSecurityTokens,
  deleteSecurityTokensBefore,
  findSecurityToken,
  findSecurityTokenAskedBy,
  insertSecurityToken,
  type SecurityToken,
  type SecurityTokenKind
} from './security-token-repository.ts'

const codeDigits = 6
const codeAttempts = 5
const dayMs = 86_400_000

export type SecurityTokenRequest = {
  kind: SecurityTokenKind
  /** Null where nobody has the address that was typed: nothing will match the token, at the same cost. */
  accountId: string | null
  /** A secret of the browser or sign-in that asks; the code is good there alone. Null: a link only. */
  askedBy: string | null
  data?: Record<string, unknown>
  lifetimeSeconds: number
  /** Older ones of the same kind, account or asker are void. */
  replacing: boolean
  /** False: nothing will match the token, as with nobody's. Default: whether there is an account. */
  usable?: boolean
}

const isUsable = ({ accountId, usable = true }: SecurityTokenRequest) => accountId !== null && usable

/** Makes a token and, where somebody waits for it, a code of six digits. Neither is stored. */
export async function issueSecurityToken(tx: Context, request: SecurityTokenRequest): Promise<Secrets> {
  const secrets = drawSecrets()
  await storeSecurityToken(tx, request, secrets)
  return secrets
}

/**
 * Mails a token and its code to whoever `accountId` is; where that is null, or the token not usable, it does the same
 * work and sends nothing.
 *
 * `capped`: too many within the hour; nothing is sent, and what was mailed before stays good. So nobody can void
 * somebody's mails by asking for ever more.
 */
export async function mailSecurityToken(
  tx: Context,
  request: SecurityTokenRequest,
  mailOf: (secrets: Secrets) => Mail
): Promise<'queued' | 'capped'> {
  const secrets = drawSecrets()
  const mail = { ...mailOf(secrets), deliver: isUsable(request) }
  const outcome = await queueMail(tx, mail, new Date(tx.now().getTime() + request.lifetimeSeconds * 1000))
  if (outcome === 'queued') await storeSecurityToken(tx, request, secrets)
  return outcome
}

type Secrets = { token: string; code: string }
const drawSecrets = (): Secrets => ({ token: createToken(), code: createCode(codeDigits) })

async function storeSecurityToken(
  tx: Context,
  request: SecurityTokenRequest,
  { token, code }: Secrets
): Promise<void> {
  const { kind, accountId, askedBy, data = {}, lifetimeSeconds, replacing } = request
  const now = tx.now()
  const usable = isUsable(request)
  const tokenHash = usable ? hashToken(token) : randomBytes(32)
  await insertSecurityToken(
    tx.sql,
    {
      tokenHash,
      kind,
      accountId,
      codeHash: askedBy === null ? null : usable ? hashCode(tx, tokenHash, code) : randomBytes(32),
      codeAttemptsLeft: askedBy === null ? 0 : codeAttempts,
      askedByHash: askedBy === null ? null : hashToken(askedBy),
      data,
      createdAt: now,
      expiresAt: new Date(now.getTime() + lifetimeSeconds * 1000)
    },
    { replacing }
  )
}

export type Redeemed = { ok: true; accountId: string; data: Record<string, unknown> }
export type TokenRefusal = { ok: false; reason: 'invalid' | 'expired' }

/** What a link would do, for its page. Nothing is spent. */
export async function readSecurityToken(
  ctx: Context,
  kind: SecurityTokenKind,
  token: string
): Promise<Redeemed | TokenRefusal> {
  const found = await findSecurityToken(ctx.sql, kind, hashToken(token))
  if (found === null || found.accountId === null) return { ok: false, reason: 'invalid' }
  if (found.expiresAt <= ctx.now()) return { ok: false, reason: 'expired' }
  return { ok: true, accountId: found.accountId, data: found.data }
}

/** Takes a link's token, once. */
export async function redeemSecurityToken(
  tx: Context,
  kind: SecurityTokenKind,
  token: string
): Promise<Redeemed | TokenRefusal> {
  const tokenHash = hashToken(token)
  const spent = await consumeSecurityToken(tx.sql, kind, { tokenHash, now: tx.now() })
  return spent === null
    ? await refusalOf(tx, await findSecurityToken(tx.sql, kind, tokenHash))
    : redeemed(spent)
}

/**
 * Checks a code without taking it, at the price of an attempt, and answers with the hash of the token that it stands
 * for: `takeSecurityToken` takes that. Between the two, what was typed beside the code can be found wanting.
 *
 * A caller whose transaction fails must not give the attempt back.
 */
export async function tryCode(
  tx: Context,
  kind: SecurityTokenKind,
  { askedBy, code }: { askedBy: string; code: unknown }
): Promise<
  | { ok: true; tokenHash: Buffer; accountId: string }
  | { ok: false; reason: 'invalid' | 'expired' | 'no_attempts_left' }
> {
  const askedByHash = hashToken(askedBy)
  const attempt = await consumeSecurityCodeAttempt(tx.sql, kind, { askedByHash, now: tx.now() })
  if (attempt === null) {
    const found = await findSecurityTokenAskedBy(tx.sql, kind, askedByHash)
    if (found !== null && found.expiresAt > tx.now()) return { ok: false, reason: 'no_attempts_left' }
    return await refusalOf(tx, found)
  }
  // People type the spaces and dashes that mail programs show.
  const digits = typeof code === 'string' && code.length <= 40 ? code.replace(/[\s-]/g, '') : ''
  const right =
    attempt.codeHash !== null && equalBytes(attempt.codeHash, hashCode(tx, attempt.tokenHash, digits))
  if (!right || attempt.accountId === null)
    return { ok: false, reason: attempt.codeAttemptsLeft === 0 ? 'no_attempts_left' : 'invalid' }
  return { ok: true, tokenHash: attempt.tokenHash, accountId: attempt.accountId }
}

/** Takes the token that a right code stood for, once. */
export async function takeSecurityToken(
  tx: Context,
  kind: SecurityTokenKind,
  tokenHash: Buffer
): Promise<Redeemed | TokenRefusal> {
  const spent = await consumeSecurityToken(tx.sql, kind, { tokenHash, now: tx.now() })
  return spent === null ? { ok: false, reason: 'invalid' } : redeemed(spent)
}

function redeemed({ accountId, data }: SecurityToken): Redeemed | TokenRefusal {
  return accountId === null ? { ok: false, reason: 'invalid' } : { ok: true, accountId, data }
}

async function refusalOf(tx: Context, found: SecurityToken | null): Promise<TokenRefusal> {
  return { ok: false, reason: found !== null && found.expiresAt <= tx.now() ? 'expired' : 'invalid' }
}

/**
 * Voids what mails that are out could still do to get in, or to take the account elsewhere. Links that only protect
 * (`not_me`, `undo_address`) stay good unless they are named in `also`.
 */
export async function voidSecurityTokens(
  tx: Context,
  accountId: string,
  also: SecurityTokenKind[] = []
): Promise<void> {
  await deleteSecurityTokens(tx.sql, accountId, ['reset_password', 'sign_in', 'change_address', ...also])
}

/** Six digits are a million guesses for who has the row, so their hash needs a key that is not in the database. */
function hashCode(ctx: Context, tokenHash: Buffer, code: string): Buffer {
  const key = deriveKey(ctx.config.encryptionKey, 'security codes')
  return createHmac('sha256', key).update(tokenHash).update(code).digest()
}

/** Kept for a day after they expire, so that their pages can say “too old” rather than “unknown”. */
export const securityTokenRetention: RetentionRule = {
  table: 'security_tokens',
  deleteExpired: (sql, now, limit) => deleteSecurityTokensBefore(sql, new Date(now.getTime() - dayMs), limit)
}
