// The library's pages that post themselves: form_post answers, and ending one person's session for the next.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { sourceOf } from '../http/security-headers.ts'

const ownOnly = "form-action 'self'"

/**
 * Names in the page's policy where its form leads in the end. Browsers hold a form and, in Chrome, the redirects that
 * follow it to `form-action`: with our own origin alone nobody would arrive at the application.
 *
 * @see OAuth 2.0 Form Post Response Mode §2
 */
export function allowFormDestination(ctx: KoaContextWithOIDC): void {
  const policy = ctx.response.get('content-security-policy')
  if (ctx.type !== 'text/html' || !policy.includes(ownOnly)) return
  const destination = findDestination(ctx)
  const source = destination === null ? null : sourceOf(destination)
  if (source === null || policy.includes(`${ownOnly} ${source}`)) return
  ctx.set('content-security-policy', policy.replace(ownOnly, `${ownOnly} ${source}`))
}

/** Registered URIs only: what a request merely claims opens nothing. */
function findDestination({ oidc }: KoaContextWithOIDC): string | null {
  if (oidc === undefined) return null
  const { client, params, entities, session } = oidc
  const asked = params?.redirect_uri
  if (typeof asked === 'string' && client?.redirectUriAllowed(asked) === true) return asked
  const underWay = entities.Interaction?.params.redirect_uri
  if (typeof underWay === 'string') return underWay
  const signedOut = session?.state?.postLogoutRedirectUri
  return typeof signedOut === 'string' ? signedOut : null
}
