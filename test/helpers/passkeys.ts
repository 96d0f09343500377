// What tests of passkeys share: a session to be in, a passkey that is there already, what was written down of one.
import type { Account } from '../../src/accounts/model.ts'
import type { Passkey } from '../../src/credentials/webauthn-model.ts'
import { beginRegistration, finishRegistration } from '../../src/credentials/webauthn-registration-service.ts'
import { hashToken } from '../../src/lib/tokens.ts'
import { type Authenticator, type AuthenticatorSettings, createAuthenticator } from './authenticator.ts'
import type { TestContext } from './context.ts'

export const ownSession = hashToken("the person's own session")
export const otherSession = hashToken('another session')

/** Adds a passkey of a new authenticator to an account. */
export async function addedPasskey(
  ctx: TestContext,
  account: Account,
  settings: AuthenticatorSettings = {}
): Promise<{ authenticator: Authenticator; passkey: Passkey }> {
  const authenticator = createAuthenticator(settings)
  const registering = { account, boundTo: ownSession }
  const response = authenticator.create(await beginRegistration(ctx, registering))
  const outcome = await finishRegistration(ctx, { ...registering, response })
  if (!outcome.ok) throw new Error(outcome.reason)
  return { authenticator, passkey: outcome.passkey }
}

/** An account that passkeys alone open. */
export async function withoutPassword(ctx: TestContext, account: Account): Promise<Account> {
  await ctx.pool`delete from password_credentials where account_id = ${account.id}`
  return account
}

export async function freeze(ctx: TestContext, account: Account): Promise<void> {
  const until = new Date(ctx.now().getTime() + 86_400_000)
  await ctx.pool`update accounts set factor_changes_frozen_until = ${until} where id = ${account.id}`
}

/** Events about passkeys, oldest first, as `type reason`. By place: ids of one millisecond are in no order. */
export async function passkeyEvents(ctx: TestContext): Promise<string[]> {
  const rows = await ctx.pool<{ type: string; details: { reason?: string } }[]>`
    select type, details from audit_events where type like 'passkey.%' order by occurred_at, ctid
  `
  return rows.map(({ type, details }) => [type, details.reason].filter(Boolean).join(' '))
}

export async function countRows(ctx: TestContext): Promise<{ passkeys: number; challenges: number }> {
  const [row] = await ctx.pool<{ passkeys: number; challenges: number }[]>`
    select (select count(*)::int from webauthn_credentials) as passkeys,
      (select count(*)::int from webauthn_challenges) as challenges
  `
  return row ?? { passkeys: 0, challenges: 0 }
}
