// What can be told from a URL alone.

/** Whether the URL's host can only be this machine. @see RFC 8252 §7.3, RFC 6761 §6.3 */
export function isLoopback(url: URL): boolean {
  const host = url.hostname
  return (
    host === 'localhost' ||
    host.endsWith('.localhost') ||
    host === '[::1]' ||
    /^127(\.\d{1,3}){3}$/.test(host)
  )
}
