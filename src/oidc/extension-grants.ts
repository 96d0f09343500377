// The grants that the library does not have. What works them is loaded when the first such request comes.
import type { Provider } from 'oidc-provider'
import { jwtBearer, tokenExchange } from '../clients/model.ts'
import type { Oidc } from './oidc.ts'

const tokenExchangeParameters = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'audience',
  'resource',
  'scope'
]

/** Registers them; clients use them once their `grant_types` name them. */
export function registerGrants(oidc: Oidc, provider: Provider): void {
  provider.registerGrantType(
    tokenExchange,
    async ctx => await (await import('./token-exchange.ts')).exchangeToken(oidc, ctx),
    tokenExchangeParameters,
    ['audience', 'resource']
  )
  provider.registerGrantType(
    jwtBearer,
    async ctx => await (await import('./jwt-bearer.ts')).grantToWorkload(oidc, ctx),
    ['assertion', 'scope', 'resource'],
    'resource'
  )
}
