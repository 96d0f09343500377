// What tokens and userinfo tell of a person.
import type { Account, KoaContextWithOIDC } from 'oidc-provider'
import type { AccountFacts } from '../accounts/facts-model.ts'
import type { Sql } from '../db/connect.ts'
import { isId } from '../lib/ids.ts'
import { findAccountFacts } from './repository.ts'
import { currentUnit } from './unit-of-work.ts'

/** Scopes and the claims behind them. @see OpenID Connect Core 1.0 §5.4 */
export const claimsByScope = {
  openid: ['sub', 'acr', 'amr', 'auth_time'],
  profile: [
    'name',
    'family_name',
    'given_name',
    'middle_name',
    'nickname',
    'preferred_username',
    'profile',
    'picture',
    'website',
    'gender',
    'birthdate',
    'zoneinfo',
    'locale',
    'updated_at'
  ],
  email: ['email', 'email_verified'],
  address: ['address'],
  phone: ['phone_number', 'phone_number_verified'],
  acr: null,
  amr: null,
  auth_time: null,
  iss: null,
  sid: null
}

/** The claims of an account; the library picks from them what scope and consent allow. */
export function accountClaims(account: AccountFacts) {
  return {
    ...account.profile,
    sub: account.id,
    name: account.name,
    email: account.email,
    email_verified: account.emailVerified,
    updated_at: account.updatedAt
  }
}

/** The library's `findAccount`: undefined for an account that is gone or disabled. Mostly read along with the token already. */
export const createFindAccount =
  (sql: Sql) =>
  async (_ctx: KoaContextWithOIDC, sub: string): Promise<Account | undefined> => {
    const account = currentUnit().accounts.get(sub) ?? (isId(sub) ? await findAccountFacts(sql, sub) : null)
    if (account === null) return undefined
    currentUnit().accounts.set(sub, account)
    return { accountId: account.id, claims: () => accountClaims(account) }
  }
