// Adding an authenticator application: a secret is offered, and kept once a code shows that the application has it.
import type { Account } from '../accounts/model.ts'
import { sendNotice } from '../accounts/notice-service.ts'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { createId } from '../lib/ids.ts'
import { drawQrCode, type QrCode } from '../lib/qr-code.ts'
import { deriveKey, open, seal } from '../lib/sealed-box.ts'
import { parseFactorName } from './factor-name-model.ts'
import { findWaysInToChange } from './factor-repository.ts'
import { createSecret, findStep, groupSecret, keyUri, parseTotpCode } from './totp-model.ts'
import { insertTotp } from './totp-repository.ts'
import { sealTotpSecret } from './totp-service.ts'
import { isFrozen } from './ways-in-model.ts'

const enrolmentLifetimeMs = 600_000
const maxPerAccount = 10
export const defaultTotpName = 'Authenticator app'

/** Who enrols, and where: an enrolment is good for this account in this session or sign-in alone. */
export type Enrolling = {
  account: Pick<Account, 'id' | 'email'>
  /** The hash of the session or sign-in. */
  boundTo: Buffer
}

export type TotpEnrolment = {
  /** Base32 in groups of four, to be typed where no camera is at hand. */
  secret: string
  /** `otpauth://…`, which the QR code carries and a telephone opens. */
  uri: string
  qrCode: QrCode
  /** For a hidden field: the secret and its end, sealed. */
  enrolment: string
}

type Offer = { id: string; secret: string; expiresAt: number }

/**
 * Offers a new secret, for ten minutes. Nothing is stored: what `confirmTotpEnrolment` needs comes back with the form,
 * sealed, and opens for this account in this session alone. Its row's id is chosen here, so that it makes one at most.
 */
export function beginTotpEnrolment(ctx: Context, enrolling: Enrolling): TotpEnrolment {
  const now = ctx.now()
  const offer = {
    id: createId(now),
    secret: createSecret(),
    expiresAt: now.getTime() + enrolmentLifetimeMs
  }
  const enrolment = seal(enrolmentKey(ctx), JSON.stringify(offer), contextOf(enrolling)).toString('base64url')
  return presentOffer(ctx, enrolling, { offer, enrolment })
}

/** The same offer once more, for a form that is shown again: who scanned the code need not scan another. */
export function readTotpEnrolment(
  ctx: Context,
  enrolling: Enrolling & { enrolment: unknown }
): ({ ok: true } & TotpEnrolment) | { ok: false; reason: 'invalid' | 'expired' } {
  const opened = openOffer(ctx, enrolling)
  if (!opened.ok) return opened
  return { ok: true, ...presentOffer(ctx, enrolling, opened) }
}

export type ConfirmTotpOutcome =
  | { ok: true; id: string }
  | { ok: false; reason: 'invalid' | 'expired' | 'invalid_name' | 'wrong_code' | 'too_many' | 'frozen' }

/**
 * Adds the authenticator whose code was typed. That code is spent: it signs nobody in. Records `totp.added` and mails a
 * notice. No other way of signing in and no session ends.
 *
 * - `invalid`: made for somebody else or another session, damaged, or added already.
 * - `too_many`: the account has ten.
 * - `frozen`: the owner said “this wasn't me”, and until then nothing may be changed.
 */
export async function confirmTotpEnrolment(
  ctx: Context,
  typed: Enrolling & { enrolment: unknown; code: unknown; name: unknown }
): Promise<ConfirmTotpOutcome> {
  const opened = openOffer(ctx, typed)
  if (!opened.ok) return opened
  const { id, secret } = opened.offer
  const named = parseFactorName(typed.name)
  if (!named.ok && named.reason !== 'missing') return { ok: false, reason: 'invalid_name' }
  const name = named.ok ? named.name : defaultTotpName
  const code = parseTotpCode(typed.code)
  const step = code === null ? null : findStep(secret, code, ctx.now())
  if (step === null) return { ok: false, reason: 'wrong_code' }
  const accountId = typed.account.id
  return await inTransaction(ctx, async tx => {
    const held = await findWaysInToChange(tx.sql, accountId)
    if (held === null) return { ok: false, reason: 'invalid' }
    if (isFrozen(held.ways, tx.now())) return { ok: false, reason: 'frozen' }
    if (held.ways.totp >= maxPerAccount) return { ok: false, reason: 'too_many' }
    const secretSealed = sealTotpSecret(tx, { id, secret })
    const at = tx.now()
    const row = { id, accountId, name, secretSealed, lastUsedStep: step, at }
    if (!(await insertTotp(tx.sql, row))) return { ok: false, reason: 'invalid' }
    await recordEvent(tx, { type: 'totp.added', accountId, details: { id } })
    await sendNotice(tx, held.account, {
      kind: 'factor_added',
      data: { factor: 'authenticator', label: name },
      happenedAt: at
    })
    return { ok: true, id }
  })
}

function presentOffer(
  ctx: Context,
  { account }: Enrolling,
  { offer, enrolment }: { offer: Offer; enrolment: string }
): TotpEnrolment {
  const uri = keyUri({ issuer: ctx.config.brand.name, email: account.email, secret: offer.secret })
  return { secret: groupSecret(offer.secret), uri, qrCode: drawQrCode(uri), enrolment }
}

function openOffer(
  ctx: Context,
  enrolling: Enrolling & { enrolment: unknown }
): { ok: true; offer: Offer; enrolment: string } | { ok: false; reason: 'invalid' | 'expired' } {
  const { enrolment } = enrolling
  if (typeof enrolment !== 'string' || enrolment.length > 1000) return { ok: false, reason: 'invalid' }
  let offer: Offer
  try {
    const plain = open(enrolmentKey(ctx), Buffer.from(enrolment, 'base64url'), contextOf(enrolling))
    offer = JSON.parse(plain.toString()) as Offer
  } catch {
    return { ok: false, reason: 'invalid' }
  }
  return offer.expiresAt > ctx.now().getTime()
    ? { ok: true, offer, enrolment }
    : { ok: false, reason: 'expired' }
}

const enrolmentKey = (ctx: Context) => deriveKey(ctx.config.encryptionKey, 'totp enrolments')
const contextOf = ({ account, boundTo }: Enrolling) => `${account.id} ${boundTo.toString('hex')}`
