// Applications that registered themselves live as long as they are used.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { useWrite } from '../clients/unused-client-service.ts'
import type { Oidc } from './oidc.ts'
import type { RegisteredClient } from './registry.ts'
import { currentUnit } from './unit-of-work.ts'

/** What is made there is a request, whatever becomes of it. */
const requestRoutes = ['pushed_authorization_request', 'device_authorization', 'backchannel_authentication']

/**
 * Writes down that such an application was given a code or a token, along with it and at most once a day. An
 * authorization request alone is no use, pushed or for a device either: anybody can send one.
 */
export function noteUse(oidc: Oidc, ctx: KoaContextWithOIDC): void {
  const client = ctx.oidc?.client as RegisteredClient | undefined
  if (client?.registered_by === undefined || ctx.status >= 400) return
  if (requestRoutes.includes(ctx.oidc.route)) return
  const { issuing } = currentUnit()
  const row = oidc.current().registry.registered.rowOf(client)
  if (row === undefined || (issuing.length === 0 && ctx.oidc.route !== 'token')) return
  const write = useWrite(oidc.ctx, row)
  if (write === null) return
  issuing.push({ write })
  row.lastUsedAt = oidc.ctx.now()
}
