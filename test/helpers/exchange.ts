// An application, an API that it calls, and what that API may exchange the application's tokens for.
import { registerResource } from '../../src/clients/resource-service.ts'
import type { DemoClient } from '../../src/development/clients-service.ts'
import { type Body, type Fields, obtainCode, post, type Reply, redeem, registerPortal } from './protocol.ts'
import type { Service, Visitor } from './service.ts'

export const front = 'urn:test:front'
export const back = 'urn:test:back'
export const opaque = 'urn:test:opaque'
export const grantType = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const tokenType = (type: string): string => `urn:ietf:params:oauth:token-type:${type}`

export type Parts = {
  /** What people sign in to. */
  app: DemoClient
  /** Guards `front` and `opaque`, and calls `back`. */
  gateway: DemoClient
  /** One as the gateway, with another policy. */
  registerGateway: (policy: object | undefined, over?: Record<string, unknown>) => Promise<DemoClient>
  policy: Record<string, unknown>
  /** A person's tokens for a resource. */
  obtain: (visitor: Visitor, params: Fields & { resource: string }, client?: DemoClient) => Promise<Body>
}

/** Registers the resources and both clients; the gateway may do everything that a policy can allow. */
export async function registerParts(service: Service): Promise<Parts> {
  const { ctx } = service.app
  await registerResource(ctx, { identifier: front, scopes: ['read', 'write', 'same'] })
  await registerResource(ctx, { identifier: back, scopes: ['orders:read', 'orders:write', 'same'] })
  await registerResource(ctx, { identifier: opaque, scopes: ['read', 'see'], accessTokenFormat: 'opaque' })
  const app = await registerPortal(service, {
    scope: 'openid offline_access read write same see',
    resources: [front, opaque]
  })
  const policy = {
    subject_clients: [app.client_id],
    audiences: [back, opaque, front],
    scopes: { read: ['orders:read', 'see'], write: ['orders:write', 'orders:read'] },
    impersonation: true,
    delegation: true
  }
  const registerGateway: Parts['registerGateway'] = async (token_exchange, over = {}) =>
    await service.register({
      client_name: 'Gateway',
      grant_types: ['client_credentials', grantType],
      resources: [front, back, opaque],
      introspection: true,
      ...(token_exchange === undefined ? {} : { token_exchange }),
      ...over
    })
  return {
    app,
    gateway: await registerGateway(policy),
    registerGateway,
    policy,
    obtain: async (visitor, params, client = app) => {
      const code = await obtainCode(service, { client, visitor, params })
      return (await redeem(service, client, code, { resource: params.resource })).body
    }
  }
}

/** Asks for a token in place of an access token; `over` replaces or, by undefined, leaves out. */
export const exchange = async (
  service: Service,
  client: DemoClient,
  { headers, ...over }: { headers?: Record<string, string> } & Record<string, unknown>
): Promise<Reply> =>
  await post(
    service,
    '/token',
    { grant_type: grantType, subject_token_type: tokenType('access_token'), ...(over as Fields) },
    { client, ...(headers === undefined ? {} : { headers }) }
  )
