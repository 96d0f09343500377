// What tokens say beside what every token says: the operator's own claims, how the person signed in, who acts, and what
// the token hook adds.
import type { AccessToken, Client, ClientCredentials, KoaContextWithOIDC } from 'oidc-provider'
import type { Context } from '../context.ts'
import type { Sql } from '../db/connect.ts'
import { findPerson, personOf } from './claims.ts'
import { type CustomClaims, scopesBehind } from './custom-claims.ts'
import { createPairwiseIdentifier } from './pairwise.ts'
import { authenticationFacts } from './protected-resource.ts'
import type { TokenFacts, TokenHook } from './token-hook.ts'
import { exchangedClaims } from './token-origin.ts'

type Token = AccessToken | ClientCredentials
type Parts = { lookups: Sql; customClaims: CustomClaims; hook: TokenHook | null }

/**
 * `forToken` is the library's `extraTokenClaims`: the claims of an access token and of its introspection.
 * `factsForIdToken` is what the hook is told where an ID token is all that is made.
 */
export function createExtraClaims(ctx: Context, { lookups, customClaims, hook }: Parts) {
  const nameFor = createPairwiseIdentifier(ctx.config)
  const subjectOf = async (accountId: string | null, client: Client) =>
    accountId !== null && client.subjectType === 'pairwise'
      ? await nameFor(null, accountId, client)
      : accountId
  const ownClaims = async (koa: KoaContextWithOIDC, token: Token): Promise<object> => {
    if (customClaims.names.length === 0) return {}
    const accountId = accountOf(token)
    const account = accountId === null ? null : await findPerson(lookups, customClaims, accountId)
    const asked = {
      destination: 'access_token' as const,
      clientId: token.clientId ?? '',
      scopes: scopesBehind(koa, token)
    }
    return await customClaims.valuesFor(asked, account === null ? null : personOf(lookups, account))
  }
  return {
    forToken: async (koa: KoaContextWithOIDC, token: Token): Promise<Record<string, unknown>> => {
      const claims = {
        ...(await ownClaims(koa, token)),
        ...authenticationFacts(koa),
        ...exchangedClaims()
      }
      if (hook === null) return claims
      const client = koa.oidc.client as Client
      const accountId = accountOf(token)
      const { access_token } = await hook(koa, async () => ({
        client_id: client.clientId,
        account_id: accountId,
        sub: exchangedClaims()?.sub ?? (await subjectOf(accountId, client)) ?? client.clientId,
        scopes: [...scopesBehind(koa, token)],
        audience: typeof token.aud === 'string' ? token.aud : null,
        claims
      }))
      return { ...claims, ...access_token }
    },
    factsForIdToken: async (koa: KoaContextWithOIDC): Promise<TokenFacts> => {
      const client = koa.oidc.client as Client
      const accountId = koa.oidc.account?.accountId ?? null
      return {
        client_id: client.clientId,
        account_id: accountId,
        sub: (await subjectOf(accountId, client)) ?? client.clientId,
        scopes: [...scopesBehind(koa, {})],
        audience: null,
        claims: {}
      }
    }
  }
}

const accountOf = (token: Token): string | null => (token as Partial<AccessToken>).accountId ?? null
