// Which URIs an application may register. An attacker's way in is a URI that reads like one thing and leads to another.
import { isLoopback } from '../lib/urls.ts'

export type UriRules = {
  applicationType: 'web' | 'native'
  development: boolean
  /** The application says it of itself, and programs that people run on their own device write the name localhost. */
  selfRegistered?: boolean
}

const longestUri = 2000
const loopbackAddresses = ['127.0.0.1', '[::1]']
// RFC 8252 §7.1: a name in reverse, so that it belongs to somebody: com.example.app
const privateUseScheme = /^[a-z][a-z0-9-]*(\.[a-z0-9-]+)+:$/

/**
 * What is wrong with a redirect URI, or null.
 *
 * It is compared as a string later (RFC 9700 §4.1.3), so only one spelling is let in: the one that URL parsers give back.
 * That alone keeps out user names, spaces, backslashes, numbers for addresses, dots that climb and other disguises.
 *
 * @see RFC 6749 §3.1.2, RFC 8252 §7, RFC 9700 §2.1
 */
export function redirectUriProblem(text: unknown, rules: UriRules): string | null {
  if (typeof text !== 'string' || text === '') return 'must be a URI'
  if (text.length > longestUri) return `must not be longer than ${longestUri} characters`
  if (text.includes('*')) return 'must not hold a wildcard: list every URI in full'
  if (text.includes('#')) return 'must not have a fragment'
  const url = URL.parse(text)
  if (url === null) return 'must be an absolute URI like https://app.example.org/callback'
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password'
  const problem = schemeProblem(url, rules)
  if (problem !== null) return problem
  // A bare origin may be written without its slash, as people do.
  if (url.href !== text && url.href !== `${text}/`) return `must be written as ${url.href}`
  return null
}

function schemeProblem(url: URL, rules: UriRules): string | null {
  const { applicationType } = rules
  if (url.protocol === 'https:')
    return applicationType === 'native' && isLoopback(url)
      ? 'must use http for a loopback address: no certificate authority vouches for one'
      : null
  if (url.protocol === 'http:') return httpProblem(url, rules)
  if (applicationType === 'native' && privateUseScheme.test(url.protocol)) return null
  return applicationType === 'native'
    ? 'must use https, http on a loopback address, or a private-use scheme with a dot like com.example.app:/callback'
    : 'must use https'
}

function httpProblem(url: URL, { applicationType, development, selfRegistered }: UriRules): string | null {
  // Any machine's hosts file may say what localhost is (RFC 8252 §8.3): fine for trying things out, not beyond. Native
  // applications that register themselves may have it (OpenID Connect Dynamic Client Registration 1.0 §2): people are
  // told that the way leads to a program on their device, whichever name it has.
  const withName = [...loopbackAddresses, 'localhost'].includes(url.hostname)
  if (withName && (development || (selfRegistered === true && applicationType === 'native'))) return null
  if (applicationType === 'native')
    return loopbackAddresses.includes(url.hostname)
      ? null
      : 'must use https, or http on 127.0.0.1 or [::1] (not localhost)'
  return 'must use https'
}

/** What is wrong with the address of a page or picture that people are shown, or null. */
export function pageUriProblem(text: unknown, { development }: Pick<UriRules, 'development'>): string | null {
  if (typeof text !== 'string' || text.length > longestUri) return 'must be a URL'
  const url = URL.parse(text)
  if (url === null || /[\s\\]/.test(text)) return 'must be a URL like https://app.example.org/privacy'
  if (url.username !== '' || url.password !== '') return 'must not hold a user name or password'
  if (url.protocol === 'https:' || (development && url.protocol === 'http:' && isLoopback(url))) return null
  return 'must use https'
}

/** What is wrong with a resource indicator, or null: an absolute URI without fragment. @see RFC 8707 §2 */
export function resourceIndicatorProblem(text: unknown): string | null {
  if (typeof text !== 'string' || text === '' || text.length > 500)
    return 'must be a URI of at most 500 characters'
  if (!/^[a-z][a-z0-9+.-]*:[!$-;=?-Z_a-z~]+$/.test(text) || URL.parse(text) === null)
    return 'must be an absolute URI like https://api.example.org or urn:example:api, without fragment'
  return null
}
