// The grants that the library does not have.
import type { Provider } from 'oidc-provider'
import { createJwtBearer, jwtBearer } from './jwt-bearer.ts'
import type { Oidc } from './oidc.ts'
import { createTokenExchange, tokenExchange, tokenExchangeParameters } from './token-exchange.ts'

/** Registers them; clients use them once their `grant_types` name them. */
export function registerGrants(oidc: Oidc, provider: Provider): void {
  provider.registerGrantType(tokenExchange, createTokenExchange(oidc), tokenExchangeParameters, [
    'audience',
    'resource'
  ])
  provider.registerGrantType(jwtBearer, createJwtBearer(oidc), ['assertion', 'scope', 'resource'], 'resource')
}
