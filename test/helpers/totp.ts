// An authenticator application in a person's hand.
import { randomBytes } from 'node:crypto'
import { generateSync } from 'otplib'
import type { Account } from '../../src/accounts/model.ts'
import type { Context } from '../../src/context.ts'
import { beginTotpEnrolment, confirmTotpEnrolment } from '../../src/credentials/totp-enrolment-service.ts'

/** What an application shows for a secret, that many seconds from `now`. */
export function codeShown(secret: string, now: Date, secondsLater = 0): string {
  return generateSync({
    secret: secret.replaceAll(' ', ''),
    epoch: Math.floor(now.getTime() / 1000) + secondsLater
  })
}

/** Any six digits but these. */
export const otherCode = (code: string): string => String((Number(code) + 1) % 1_000_000).padStart(6, '0')

/**
 * Adds an authenticator to an account, by the code that it shows now. That one is spent: the next sign-in needs the
 * next one, thirty seconds later.
 */
export async function addAuthenticator(
  ctx: Context,
  account: Pick<Account, 'id' | 'email'>,
  name = ''
): Promise<{ id: string; secret: string }> {
  const boundTo = randomBytes(32)
  const { secret, enrolment } = beginTotpEnrolment(ctx, { account, boundTo })
  const code = codeShown(secret, ctx.now())
  const outcome = await confirmTotpEnrolment(ctx, { account, boundTo, enrolment, code, name })
  if (!outcome.ok) throw new Error(outcome.reason)
  return { id: outcome.id, secret: secret.replaceAll(' ', '') }
}
