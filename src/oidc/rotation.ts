// Refresh token rotation that survives bad networks: for a short while a used token's retry gets the same successor,
// which is stored sealed under a key that only the used token gives.
import { errors } from 'oidc-provider'
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import { deriveKey, open, seal } from '../lib/sealed-box.ts'
import { hashToken } from '../lib/tokens.ts'
import type { StoredToken } from './model.ts'
import { consumeRefreshToken, findToken } from './repository.ts'

type Clock = { now: () => Date; refreshTokenGraceSeconds: number }

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
export function consumeWithSuccessor({ now }: Clock, value: string): Rotation {
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
  { now, refreshTokenGraceSeconds }: Clock,
  value: string,
  token: StoredToken
): string | null {
  if (token.consumedAt === null || token.successorSealed === null) return null
  const ageMilliseconds = now().getTime() - token.consumedAt.getTime()
  return ageMilliseconds > refreshTokenGraceSeconds * 1000
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
