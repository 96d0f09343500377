// What tokens and userinfo tell of a person.
import type { Account, AccountClaims, KoaContextWithOIDC } from 'oidc-provider'
import type { AccountFacts } from '../accounts/facts-model.ts'
import type { ClaimDestination } from '../clients/claim-model.ts'
import type { Sql } from '../db/connect.ts'
import { isId } from '../lib/ids.ts'
import type { CustomClaims, Person } from './custom-claims.ts'
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

/** The library's `claims`: a custom claim is supported wherever a person signs in, and has a value for whom it is meant. */
export const claimsWith = ({ names, scopes }: CustomClaims) => ({
  ...claimsByScope,
  openid: [...claimsByScope.openid, ...names],
  ...Object.fromEntries(Object.keys(scopes).map(scope => [scope, []]))
})

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

/**
 * The library's `findAccount`: undefined for an account that is gone or disabled. Mostly read along with the token already.
 */
export const createFindAccount =
  (sql: Sql, custom: CustomClaims) =>
  async (ctx: KoaContextWithOIDC, sub: string): Promise<Account | undefined> => {
    const account = await findPerson(sql, custom, sub)
    if (account === null) return undefined
    const claims: Account['claims'] = async (use, scope) => {
      const held = ctx.oidc.entities.Grant?.getOIDCScope().split(' ')
      const scopes = new Set(scope.split(' ').filter(name => held?.includes(name) ?? true))
      const asked = {
        destination: use as ClaimDestination,
        clientId: ctx.oidc.client?.clientId ?? '',
        scopes
      }
      const told: AccountClaims = accountClaims(account)
      // A field of the profile that has a claim's name is not that claim: it would be told to everybody.
      for (const name of custom.names) delete told[name]
      return { ...told, ...(await custom.valuesFor(asked, personOf(sql, account))) }
    }
    return {
      accountId: account.id,
      claims: custom.names.length === 0 ? () => accountClaims(account) : claims
    }
  }

/** Null for an account that is gone or disabled. */
export async function findPerson(
  sql: Sql,
  { memberships }: CustomClaims,
  id: string
): Promise<AccountFacts | null> {
  const unit = currentUnit()
  const known = unit.accounts.get(id)
  if (known !== undefined) return known
  const row = isId(id) ? await findAccountFacts(sql, id, { memberships }) : null
  if (row === null) return null
  unit.accounts.set(id, row.account)
  if (row.memberships !== undefined) unit.memberships.set(id, row.memberships)
  return row.account
}

/** Of somebody who came along with a session, roles and groups are read once they are asked for. */
export const personOf = (sql: Sql, account: AccountFacts): Person => ({
  account,
  memberships: async () => {
    const { memberships } = currentUnit()
    const known = memberships.get(account.id) ??
      (await findAccountFacts(sql, account.id, { memberships: true }))?.memberships ?? {
        roles: [],
        groups: []
      }
    memberships.set(account.id, known)
    return known
  }
})
