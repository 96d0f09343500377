// OpenID Connect CIBA in the library's terms: who is meant, what may be said to them, and how they hear of it. What they
// decide, at /account/approvals, is in backchannel-service.ts.
import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import { parseEmail } from '../accounts/model.ts'
import { findAccount, findAccountByEmailKey } from '../accounts/repository.ts'
import type { Context } from '../context.ts'
import { giveBack, takeHintGuess } from '../credentials/guess-service.ts'
import { isId } from '../lib/ids.ts'
import { wantedAcr } from './acr-policy.ts'
import { pollIntervalSeconds } from './device-flow.ts'
import { wantedConsent } from './policy.ts'
import { currentUnit } from './unit-of-work.ts'

const mostSeconds = 600
/** Nobody reads a mail and decides in less. */
const leastSeconds = 30
const longestBindingMessage = 100

/** How long a request waits for its person: as long as the client asks for, but half a minute at least and ten minutes at most. */
export function requestSeconds(koa: KoaContextWithOIDC | undefined): number {
  const { requested_expiry: requested } = koa?.oidc?.params ?? {}
  return Math.min(mostSeconds, Math.max(leastSeconds, Number(requested ?? mostSeconds)))
}

/** The library's feature. */
export const createCiba = (ctx: Context) =>
  ({
    enabled: ctx.config.ciba,
    deliveryModes: ['poll', 'ping'],
    processLoginHint: async ({ oidc }, hint) =>
      await findHinted(ctx, oidc.client?.clientId ?? '', hint ?? ''),
    processLoginHintToken: async () => {
      throw new errors.InvalidRequest('login_hint_token is not supported, use login_hint or id_token_hint')
    },
    validateBindingMessage: async (_koa, message) => {
      if (message !== undefined && !isPlainText(message))
        throw new errors.InvalidBindingMessage(
          `binding_message must be plain text of at most ${longestBindingMessage} characters`
        )
    },
    // Fraud signals of another profile: nothing here looks at them, and nothing of them is kept.
    validateRequestContext: async () => {},
    // Asked of every request, and once everything in it is known.
    verifyUserCode: async (koa, _account, userCode) => {
      if (userCode !== undefined) throw new errors.InvalidRequest('user_code is not supported')
      currentUnit().backchannel = { wanted: wantedConsent(koa), acr: wantedAcr(koa) }
    },
    triggerAuthenticationDevice: async (koa, request, account, client) => {
      // CIBA Core 1.0 §7.3
      Object.assign(koa.body as object, { interval: pollIntervalSeconds })
      const { announceRequest } = await import('./backchannel-service.ts')
      await announceRequest(ctx, { accountId: account.accountId, client, seconds: request.expiration })
    }
  }) satisfies NonNullable<Configuration['features']>['ciba']

/**
 * Whom a login_hint means: an e-mail address, read as at sign-in, or an account's id. Undefined, which the library answers
 * with unknown_user_id, alike for nobody's, a disabled account's, and an address that its owner has not confirmed.
 *
 * That answer tells a client who has an account. CIBA Core 1.0 §13 wants it told: the client is authenticated, was
 * registered for the grant by the operator, and would otherwise let its customer wait for nothing. So that it is no way to
 * try lists of addresses, wrong hints are counted by client.
 */
async function findHinted(ctx: Context, clientId: string, hint: string): Promise<string | undefined> {
  const taken = await takeHintGuess(ctx, clientId)
  if (!taken.ok)
    throw new errors.TemporarilyUnavailable(
      `too many login hints named nobody, wait ${taken.retryAfterSeconds} seconds`
    )
  const email = parseEmail(hint)
  const account = isId(hint)
    ? await findAccount(ctx.sql, hint)
    : email.ok
      ? await findAccountByEmailKey(ctx.sql, email.emailKey)
      : null
  if (account === null || account.disabledAt !== null || account.emailVerifiedAt === null) return undefined
  await giveBack(ctx, taken.guess)
  return account.id
}

/** It stands on a page of ours and is compared by eye: nothing invisible, nothing that turns what follows around. */
const isPlainText = (message: string): boolean =>
  message.trim() !== '' &&
  [...message].length <= longestBindingMessage &&
  !/[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/u.test(message)
