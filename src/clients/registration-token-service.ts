// Initial access tokens: who may register an application, how often and how long. @see RFC 7591 §1.2, §3
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import type { RetentionRule } from '../jobs/model.ts'
import { createId, isId } from '../lib/ids.ts'
import { createToken, hashToken } from '../lib/tokens.ts'
import type { Fault } from './model.ts'
import {
  deleteExpiredInitialAccessTokens,
  deleteInitialAccessToken,
  type InitialAccessToken,
  insertInitialAccessToken
} from './registration-repository.ts'

export type TokenTerms = { name: string; uses: number; expiresInDays: number }

/**
 * Makes an initial access token. `token` is in the answer this once: only its hash is kept. Records
 * `initial_access_token.created`.
 */
export async function createInitialAccessToken(
  ctx: Context,
  { name, uses, expiresInDays }: TokenTerms
): Promise<
  { ok: true; token: string; kept: Omit<InitialAccessToken, 'tokenHash'> } | { ok: false; faults: Fault[] }
> {
  const faults = [
    ...(name.trim() === '' || name.length > 100
      ? [{ field: 'name', message: 'must be a text of at most 100 characters: what the token is for' }]
      : []),
    ...(uses < 1 || uses > 10_000 ? [{ field: 'uses', message: 'must be from 1 to 10000' }] : []),
    ...(expiresInDays < 1 || expiresInDays > 365
      ? [{ field: 'expires-in-days', message: 'must be from 1 to 365' }]
      : [])
  ]
  if (faults.length > 0) return { ok: false, faults }
  const token = createToken()
  const createdAt = ctx.now()
  const expiresAt = new Date(createdAt.getTime() + expiresInDays * 86_400_000)
  const kept = { id: createId(createdAt), name, usesLeft: uses, createdAt, expiresAt }
  await inTransaction(ctx, async tx => {
    await insertInitialAccessToken(tx.sql, { ...kept, tokenHash: hashToken(token) })
    await recordEvent(tx, {
      type: 'initial_access_token.created',
      details: { id: kept.id, name, uses, expires_at: expiresAt.toISOString() }
    })
  })
  return { ok: true, token, kept }
}

/**
 * Ends an initial access token; what was registered with it stays. Returns whether there was one. Records
 * `initial_access_token.removed`.
 */
export async function removeInitialAccessToken(ctx: Context, id: string): Promise<boolean> {
  if (!isId(id)) return false
  return await inTransaction(ctx, async tx => {
    if (!(await deleteInitialAccessToken(tx.sql, id))) return false
    await recordEvent(tx, { type: 'initial_access_token.removed', details: { id } })
    return true
  })
}

export const initialAccessTokenRetention: RetentionRule[] = [
  { table: 'initial_access_tokens', deleteExpired: deleteExpiredInitialAccessTokens }
]
