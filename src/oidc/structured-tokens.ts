// Introspection and revocation of our own JWT access tokens, which the library knows for opaque ones only.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { hashToken } from '../lib/tokens.ts'
import { fromSeconds } from '../sessions/model.ts'
import { queue } from './adapter-parts.ts'
import { mayIntrospect } from './model.ts'
import type { Oidc } from './oidc.ts'
import { type AccessTokenClaims, findStanding, readAccessToken } from './own-jwts.ts'
import type { RegisteredClient } from './registry.ts'
import { insertRevokedToken } from './standing-repository.ts'

/**
 * Replaces the library's refusal of a JWT by the answer that the endpoint owes. The library has authenticated the client
 * by then.
 */
export async function answerForStructuredToken(oidc: Oidc, ctx: KoaContextWithOIDC): Promise<void> {
  const { error } = (ctx.body ?? {}) as { error?: string }
  if (error !== 'unsupported_token_type') return
  const claims = readAccessToken(oidc, String(ctx.oidc.params?.token))
  ctx.status = 200
  if (ctx.oidc.route === 'revocation') return await revoke(ctx, claims)
  ctx.body = await introspect(oidc, ctx, claims)
  await signIntrospection(oidc, ctx)
}

/** What the token says while it is good, and `{"active":false}` for any other, without a reason. @see RFC 7662 §2.2 */
async function introspect(
  oidc: Oidc,
  { oidc: { client } }: KoaContextWithOIDC,
  claims: AccessTokenClaims | null
): Promise<object> {
  if (claims === null) return { active: false }
  const { client_id: clientId, aud } = claims
  const seen = mayIntrospect(client as RegisteredClient, { clientId, aud })
  return seen && (await findStanding(oidc, claims)) !== null ? describe(claims) : { active: false }
}

function describe({ grant_id: _grantId, ...claims }: AccessTokenClaims): object {
  return { active: true, ...claims, token_type: claims.cnf?.jkt === undefined ? 'Bearer' : 'DPoP' }
}

const signedIntrospection = 'application/token-introspection+jwt'

/** As the library does for the tokens that it knows: a JWT for whoever asks for one. @see RFC 9701 §4, §5 */
async function signIntrospection({ current }: Oidc, ctx: KoaContextWithOIDC): Promise<void> {
  if (ctx.accepts('json', signedIntrospection) !== signedIntrospection) return
  const answer = new (current().provider.IdToken)({}, { ctx } as never)
  answer.set('token_introspection', ctx.body)
  ctx.body = await answer.issue({ use: 'introspection' })
  ctx.type = `${signedIntrospection}; charset=utf-8`
}

/**
 * Takes back the one token, if it is the client's own, and says the same of any other. The grant stays: what else it gave is
 * for other resources, or opaque, and is revoked by itself.
 *
 * @see RFC 7009 §2.1, §2.2
 */
async function revoke(ctx: KoaContextWithOIDC, claims: AccessTokenClaims | null): Promise<void> {
  if (claims?.client_id === ctx.oidc.client?.clientId && claims !== null)
    await queue(insertRevokedToken(hashToken(claims.jti), fromSeconds(claims.exp)))
  ctx.remove('content-type')
  ctx.body = ''
}
