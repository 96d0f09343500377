// Where an application is found again by somebody whose sign-in cannot go on.
import type { Client } from 'oidc-provider'
import { hostCookieName } from '../lib/cookies.ts'

/** The name of the cookie that remembers which application the person came from. */
export const applicationCookie = (issuer: URL): string => hostCookieName(issuer, 'application')

/**
 * The application's own way to begin a sign-in, else its page, else the host of its redirect URI; null for one that
 * has no page.
 *
 * @see OpenID Connect Core 1.0 §4 for the parameter that `initiate_login_uri` needs
 */
export function applicationHome(client: Client, issuer: string): { name: string; url: string } | null {
  const { initiateLoginUri, clientUri, redirectUris, applicationType } = client
  const origin = applicationType === 'web' ? URL.parse(redirectUris?.[0] ?? '')?.origin : undefined
  const url = initiateLoginUri === undefined ? (clientUri ?? origin) : withIssuer(initiateLoginUri, issuer)
  return url === undefined ? null : { name: client.clientName ?? client.clientId, url }
}

function withIssuer(initiateLoginUri: string, issuer: string): string {
  const url = new URL(initiateLoginUri)
  url.searchParams.set('iss', issuer)
  return url.href
}
