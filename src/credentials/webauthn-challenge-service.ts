// Challenges: made for one ceremony of one sign-in or session, taken once, within five minutes.
import { randomBytes } from 'node:crypto'
import { recordEvent } from '../audit/service.ts'
import type { Context } from '../context.ts'
import type { RetentionRule } from '../jobs/model.ts'
import { hashToken } from '../lib/tokens.ts'
import { type Ceremony, challengeLifetimeSeconds, spellId } from './webauthn-model.ts'
import { consumeChallenge, deleteChallengesBefore, insertChallenge } from './webauthn-repository.ts'

const challengeBytes = 32

export type CeremonyOf = {
  ceremony: Ceremony
  /** Null with `sign_in`: whoever has the passkey. */
  accountId: string | null
  /** The sign-in or session that the ceremony belongs to, as a SHA-256 hash. */
  boundTo: Buffer
}

/** Makes a challenge of 256 random bits; only its hash is stored. @see Web Authentication Level 3 §13.4.3 */
export async function issueChallenge(ctx: Context, ceremony: CeremonyOf): Promise<Buffer<ArrayBuffer>> {
  const challenge = randomBytes(challengeBytes)
  const createdAt = ctx.now()
  const expiresAt = new Date(createdAt.getTime() + challengeLifetimeSeconds * 1000)
  const challengeHash = hashToken(spellId(challenge))
  await insertChallenge(ctx.sql, { ...ceremony, challengeHash }, { createdAt, expiresAt })
  return challenge
}

/**
 * Takes the challenge that a response answers, before anything else of the response is believed: a response that is
 * refused cannot be mended and sent again. False: it was not made for this, is used up or too old.
 */
export async function takeChallenge(ctx: Context, ceremony: CeremonyOf, challenge: string): Promise<boolean> {
  return await consumeChallenge(ctx.sql, { ...ceremony, challengeHash: hashToken(challenge) }, ctx.now())
}

/** Why a ceremony failed, for the audit trail. The person is told only that it did. */
export type CeremonyFault =
  | 'malformed'
  | 'challenge'
  | 'framed'
  | 'verification'
  | 'attestation'
  | 'unknown_credential'
  | 'known_credential'
  | 'other_account'
  | 'user_handle'
  | 'user_verification'
  | 'sign_count'
  | 'account'

/** Records `passkey.refused`, with what was wrong and never with what was sent. */
export async function recordRefusal(
  ctx: Context,
  { ceremony, accountId }: Pick<CeremonyOf, 'ceremony' | 'accountId'>,
  fault: CeremonyFault
): Promise<void> {
  await recordEvent(ctx, {
    type: 'passkey.refused',
    ...(accountId === null ? {} : { accountId }),
    details: { ceremony, reason: fault }
  })
}

/** Challenges that nobody answered. */
export const challengeRetention: RetentionRule = {
  table: 'webauthn_challenges',
  deleteExpired: deleteChallengesBefore
}
