// A client that asks for scopes and may have none of them is told so, rather than given a token that is good for nothing.
import { errors, type KoaContextWithOIDC } from 'oidc-provider'
import { jwtBearer } from '../clients/model.ts'

/** Grants by which a client asks for itself: nobody else could have narrowed what it asked for. */
const ownGrants: unknown[] = ['client_credentials', jwtBearer]

/** Turns such an answer into the error that it should be. @see RFC 6749 §3.3, §5.2 */
export function refuseEmptyScope(ctx: KoaContextWithOIDC): void {
  const { scope, grant_type: grantType } = ctx.oidc?.params ?? {}
  const body = ctx.body as { access_token?: string; scope?: string } | undefined
  if (!ownGrants.includes(grantType) || body?.access_token === undefined) return
  if (!scope || body.scope !== undefined) return
  const { status, error, error_description } = new errors.InvalidScope(
    'none of the requested scopes may be had',
    String(scope)
  )
  ctx.status = status
  ctx.body = { error, error_description, scope }
}
