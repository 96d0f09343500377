// FAPI 2.0 for the clients that are registered for it. What their registration must be stands in clients/profile-model.ts
// and makes the library ask for pushed requests, bound tokens and signed messages; here is what each request is held to.
import type { Client } from 'oidc-provider'
import type { RegisteredClient } from './registry.ts'

/** Whether a client keeps to FAPI 2.0: its security profile, or message signing, which includes it. */
export const isFapi = (client: Client | undefined): boolean =>
  (client as RegisteredClient | undefined)?.security_profile !== undefined

/** The library's feature: PKCE for every code, and redirect URIs named in every request. */
export const fapi = {
  enabled: true,
  profile: (_ctx: unknown, client: Client | undefined) => (isFapi(client) ? ('2.0' as const) : undefined)
}
