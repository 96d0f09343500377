// How surely a person must have proven who they are for a request, and what the tokens then say of it.
import { errors, interactionPolicy, type KoaContextWithOIDC } from 'oidc-provider'
import { type Acr, acrLevels, rankOf } from '../credentials/proof-model.ts'
import type { RegisteredClient } from './registry.ts'

/** What the login prompt notes for Gatehouse's pages. */
export type LoginDetails = {
  wantedAcr: Acr | null
  /** What the session at hand stands for; null without one. Moments are seconds since 1970. */
  standing: { acr: string | null; amr: string[]; at: number } | null
}

/** The check's name; a login prompt for this reason alone asks for what is missing, and for nothing else again. */
export const insufficientAcr = 'insufficient_acr'

type AcrRequest = { essential?: boolean; value?: unknown; values?: unknown } | null | undefined

/** The values asked for, in the order of the request, and whether the request must fail without them. */
function requestedAcrs({ oidc }: KoaContextWithOIDC): { values: unknown[]; essential: boolean } {
  const claim = (oidc.claims as { id_token?: { acr?: AcrRequest } }).id_token?.acr
  if (claim?.values !== undefined && !Array.isArray(claim.values))
    throw new errors.InvalidRequest('invalid claims.id_token.acr.values type')
  const ofClaim = [
    ...(claim?.value === undefined ? [] : [claim.value]),
    ...((claim?.values as unknown[]) ?? [])
  ]
  if (claim?.essential === true && ofClaim.length > 0) return { values: ofClaim, essential: true }
  const ofParameter = typeof oidc.params?.acr_values === 'string' ? oidc.params.acr_values.split(' ') : []
  return { values: [...ofParameter, ...ofClaim], essential: false }
}

/**
 * The least that satisfies both the request and the application's own rule; null for no demand. A stronger proof
 * satisfies a weaker demand. Values that nobody here knows are skipped, as voluntary claims are; where they are
 * essential and nothing else is named, the request fails.
 *
 * @see OpenID Connect Core 1.0 §5.5.1.1, RFC 9470 §4
 */
export function wantedAcr(ctx: KoaContextWithOIDC): Acr | null {
  const { values, essential } = requestedAcrs(ctx)
  const known = values.map(value => rankOf(value as string)).filter(rank => rank > 0)
  if (essential && known.length === 0) throw new errors.UnmetAuthenticationRequirements()
  const requested = known.length === 0 ? 0 : Math.min(...known)
  const { required_acr: required } = ctx.oidc.client as RegisteredClient
  return acrLevels[Math.max(requested, rankOf(required)) - 1] ?? null
}

/**
 * The acr that this request's tokens carry: among the values it named and the application's own rule, the highest that
 * is true, so that a client that compares texts finds its own; else the session's.
 */
function toldAcr(ctx: KoaContextWithOIDC, actual: string | undefined): string | undefined {
  const { values } = requestedAcrs(ctx)
  if (actual === undefined || values.length === 0 || values.includes(actual)) return actual
  const { required_acr: required } = ctx.oidc.client as RegisteredClient
  const below = [...values, required]
    .map(value => rankOf(value as string))
    .filter(rank => rank > 0 && rank <= rankOf(actual))
  return below.length === 0 ? actual : acrLevels[Math.max(...below) - 1]
}

/** The login prompt's check: replaces the library's two, which know no order between values and no `acr_values`. */
export const acrCheck = new interactionPolicy.Check(
  insufficientAcr,
  'a stronger authentication is required',
  'login_required',
  ctx => {
    const wanted = wantedAcr(ctx)
    const { oidc } = ctx
    const actual = oidc.session?.acr
    if (rankOf(actual) < rankOf(wanted)) return interactionPolicy.Check.REQUEST_PROMPT
    const value = toldAcr(ctx, actual)
    if (value !== actual) Object.defineProperty(oidc, 'acr', { value, configurable: true })
    return interactionPolicy.Check.NO_NEED_TO_PROMPT
  }
)

export function loginDetails(ctx: KoaContextWithOIDC): LoginDetails {
  const { session } = ctx.oidc
  return {
    wantedAcr: wantedAcr(ctx),
    standing:
      session?.accountId === undefined || session.loginTs === undefined
        ? null
        : { acr: session.acr ?? null, amr: session.amr ?? [], at: session.loginTs }
  }
}
