// What several settings are checked with.
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'

export type AddFault = (setting: string, message: string) => void

export function listOf(text: string): string[] {
  return text
    .split(',')
    .map(entry => entry.trim())
    .filter(entry => entry !== '')
}

export function checkUrl(setting: string, text: string, protocols: string[], fault: AddFault): void {
  if (text !== '' && !protocols.includes(URL.parse(text)?.protocol ?? ''))
    fault(setting, `must be a URL starting with ${protocols.map(protocol => `${protocol}//`).join(' or ')}`)
}

/** Addresses and CIDR ranges. */
export function parseNetworks(setting: string, text: string, fault: AddFault): string[] {
  const entries = listOf(text)
  const valid = (entry: string) => {
    const [address = '', bits, ...rest] = entry.split('/')
    return (
      isIP(address) > 0 &&
      rest.length === 0 &&
      (bits === undefined || (/^\d{1,3}$/.test(bits) && Number(bits) <= (isIP(address) === 4 ? 32 : 128)))
    )
  }
  for (const entry of entries.filter(entry => !valid(entry)))
    fault(setting, `must list addresses or CIDR ranges like 10.0.0.0/8, not ${JSON.stringify(entry)}`)
  return entries
}

/** The text of a file that a setting names; null, with a fault, when it cannot be read. Empty path: null alone. */
export function readNamedFile(setting: string, path: string, fault: AddFault): string | null {
  if (path === '') return null
  try {
    return readFileSync(path, 'utf8')
  } catch {
    fault(setting, `names a file that cannot be read: ${path}`)
    return null
  }
}

/** The certificates of a PEM text. */
export const certificatesOf = (text: string): string[] =>
  text.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g) ?? []
