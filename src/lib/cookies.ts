// The names of our cookies.

/**
 * The name of a cookie of the whole site. With `__Host-` neither a neighbouring subdomain nor plain http can plant it;
 * browsers accept the prefix with https alone.
 *
 * @see RFC 6265bis §4.1.3.2
 */
export function hostCookieName(issuer: string | URL, name: string): string {
  return new URL(issuer).protocol === 'https:' ? `__Host-${name}` : name
}

/** The name of the cookie by which a browser is known again. */
export const deviceCookie = (issuer: string | URL): string => hostCookieName(issuer, 'device')
