// What of the protocol is switched on, and by whose rules: the library's `features`.
import type { Configuration } from 'oidc-provider'
import type { Resource } from '../clients/model.ts'
import type { Context } from '../context.ts'
import { deriveKey } from '../lib/sealed-box.ts'
import { createCiba } from './ciba.ts'
import { deviceFlow } from './device-flow.ts'
import { fapi, isFapi } from './fapi.ts'
import { mayIntrospect } from './model.ts'
import { createMtls } from './mtls.ts'
import type { ProtocolPages } from './provider.ts'
import { type RegisteredClient, resourceServer } from './registry.ts'
import { createRichAuthorization, type DetailChecks } from './rich-authorization.ts'
import { createSignedMessages } from './signed-messages.ts'

type Parts = {
  pages: ProtocolPages
  details: DetailChecks
  findResource: (identifier: string) => Promise<Resource | null>
}

export const createFeatures = (
  ctx: Context,
  { pages, details, findResource }: Parts
): NonNullable<Configuration['features']> => ({
  devInteractions: { enabled: false },
  clientCredentials: { enabled: true },
  claimsParameter: { enabled: true },
  introspection: {
    enabled: true,
    allowedPolicy: (_ctx, client, token) => mayIntrospect(client as RegisteredClient, token)
  },
  // Another client's token and none at all are answered alike (RFC 7009 §2.2).
  revocation: {
    enabled: true,
    allowedPolicy: (_ctx, client, token) => token.clientId === client.clientId
  },
  deviceFlow: deviceFlow(pages),
  ciba: createCiba(ctx),
  dPoP: {
    enabled: true,
    nonceSecret: deriveKey(ctx.config.encryptionKey, 'dpop nonces'),
    requireNonce: ({ oidc }) => ctx.config.dpopNonceRequired || isFapi(oidc.client)
  },
  fapi,
  mTLS: createMtls(ctx),
  ...createSignedMessages(ctx),
  richAuthorizationRequests: createRichAuthorization(details),
  resourceIndicators: {
    enabled: true,
    defaultResource: (_ctx, _client, oneOf) => (oneOf?.length === 1 ? oneOf[0] : oneOf) as string,
    getResourceServerInfo: async (_ctx, identifier, asking) => {
      const client = asking as RegisteredClient
      // Anybody can make names up: what is not the client's is not looked for.
      const resource = client.resources?.includes(identifier) ? await findResource(identifier) : null
      return await resourceServer(ctx, resource, client)
    }
  },
  backchannelLogout: { enabled: true },
  rpInitiatedLogout: {
    enabled: true,
    logoutSource: pages.renderSignOut,
    postLogoutSuccessSource: pages.renderSignedOut
  }
})
