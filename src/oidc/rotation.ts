// Refresh token rotation that survives bad networks: for a short while a used token's retry gets the same successor,
// which is stored sealed under a key that only the used token gives.
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Context } from '../context.ts'
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import { deriveKey, open, seal } from '../lib/sealed-box.ts'
import { hashToken } from '../lib/tokens.ts'
import { fromSeconds, toSeconds } from '../sessions/model.ts'
import { refreshTokenSeconds } from './lifetimes.ts'
import type { StoredToken } from './model.ts'
import type { RegisteredClient } from './registry.ts'
import { consumeRefreshToken, findToken, updateRefreshTokenExpiry } from './repository.ts'
import { currentUnit } from './unit-of-work.ts'

type Clock = { now: () => Date; graceSeconds: number }

const successorKey = (token: string) => deriveKey(Buffer.from(token), 'refresh token successor')
const context = 'refresh token successor'

/** Another request used the same refresh token first. Its successor is the answer to both: never a second family. */
export class LostRotation extends Error {
  readonly value: string
  constructor(value: string) {
    super('the refresh token was used by another request at the same time')
    this.value = value
  }
}

export type Rotation = { value: string; write: Write; setSuccessor: (successor: string) => void }

/** Takes a refresh token once. The successor becomes known after this, and before the write is sent. */
export function consumeWithSuccessor({ now }: Pick<Clock, 'now'>, value: string): Rotation {
  let successorSealed: Buffer | null = null
  return {
    value,
    setSuccessor: successor => {
      successorSealed = seal(successorKey(value), successor, context)
    },
    write: {
      text: bind => {
        if (successorSealed === null) throw new Error('a refresh token is used up only for a successor')
        return consumeRefreshToken(hashToken(value), successorSealed, now()).text(bind)
      }
    }
  }
}

/** The successor of a token that was used within the grace window; null outside it. */
export function openSuccessor(
  { now, graceSeconds }: Clock,
  value: string,
  token: StoredToken
): string | null {
  if (token.consumedAt === null || token.successorSealed === null) return null
  const ageMilliseconds = now().getTime() - token.consumedAt.getTime()
  return ageMilliseconds >= graceSeconds * 1000
    ? null
    : open(successorKey(value), token.successorSealed, context).toString()
}

/** The successor that the winner of a race made. Throws invalid_grant when the grant was revoked meanwhile. */
export async function findLostSuccessor(sql: Sql, clock: Clock, value: string): Promise<string> {
  const token = await findToken(sql, hashToken(value), { now: clock.now(), loginAfter: new Date(0) })
  const successor = token === null ? null : openSuccessor(clock, value, token)
  if (successor === null) throw new errors.InvalidGrant('refresh token already used')
  return successor
}

/**
 * The library's `rotateRefreshToken`. Every use rotates, but for a retry, which is answered with the successor there is,
 * and for a client that is registered to keep its token: that one's idle time begins anew instead. Whoever can neither
 * prove who they are nor hold the key that the token is bound to gets a new one whatever is registered.
 *
 * @see RFC 9700 §2.2.2
 */
export const createRotationPolicy =
  ({ config, now }: Pick<Context, 'config' | 'now'>) =>
  ({ oidc }: KoaContextWithOIDC): boolean => {
    const unit = currentUnit()
    const client = oidc.client as RegisteredClient
    const token = oidc.entities.RefreshToken
    if (unit.successor !== null || token === undefined) return false
    if (client.refresh_token_rotation !== false) return true
    if (client.clientAuthMethod === 'none' && !token.isSenderConstrained()) return true
    const seconds = toSeconds(now())
    const age = seconds - (token.iiat ?? seconds)
    const expiresAt = seconds + refreshTokenSeconds(config, client, age)
    // Less than a twentieth of it is not worth a write.
    if (expiresAt - (token.exp ?? 0) > (expiresAt - seconds) / 20)
      unit.issuing.push({ write: updateRefreshTokenExpiry(hashToken(token.jti), fromSeconds(expiresAt)) })
    return false
  }
