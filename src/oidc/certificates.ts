// The names in a client's certificate, compared as RFC 8705 §2.1.2 says. Node tells them as texts only.
import type { X509Certificate } from 'node:crypto'
import { isIP } from 'node:net'

export type SubjectMember =
  | 'tls_client_auth_subject_dn'
  | 'tls_client_auth_san_dns'
  | 'tls_client_auth_san_uri'
  | 'tls_client_auth_san_ip'
  | 'tls_client_auth_san_email'

/** Whether the certificate is of whom the client registered. What cannot be read matches nothing. */
export function subjectMatches(
  certificate: X509Certificate,
  member: SubjectMember,
  expected: string
): boolean {
  if (member === 'tls_client_auth_subject_dn') return isSubject(certificate, expected)
  const names = readAlternativeNames(certificate.subjectAltName ?? '')
  const { kind, same } = alternatives[member]
  return names.some(name => name.kind === kind && same(name.value, expected))
}

const exact = (actual: string, expected: string) => actual === expected

const alternatives = {
  tls_client_auth_san_dns: {
    kind: 'DNS',
    same: (actual: string, expected: string) => actual.toLowerCase() === expected.toLowerCase()
  },
  tls_client_auth_san_uri: { kind: 'URI', same: exact },
  tls_client_auth_san_ip: {
    kind: 'IP Address',
    same: (actual: string, expected: string) => canonicalAddress(actual) === canonicalAddress(expected)
  },
  tls_client_auth_san_email: { kind: 'email', same: exact }
}

/** One spelling for each IPv6 address (RFC 5952). */
const canonicalAddress = (address: string): string =>
  isIP(address) === 6 ? new URL(`http://[${address}]`).hostname : address

const alternativeName = /([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^",]*)(?:, |$)/y

/** Node puts a value that could be taken for more than one in quotes, as JSON. Null values: the text is of no such form. */
function readAlternativeNames(text: string): { kind: string; value: string }[] {
  const names: { kind: string; value: string }[] = []
  alternativeName.lastIndex = 0
  while (alternativeName.lastIndex < text.length) {
    const [, kind = '', value = ''] = alternativeName.exec(text) ?? []
    if (kind === '') return []
    names.push({ kind, value: value.startsWith('"') ? (JSON.parse(value) as string) : value })
  }
  return names
}

/** Node tells a name as one line for each part, first to last; RFC 4514 §2.1 writes it last to first. */
function isSubject({ subject }: X509Certificate, expected: string): boolean {
  const actual = (subject ?? '').split('\n').map(part => readNamePart(part, ' + '))
  const wanted = splitUnescaped(expected, ',')
    .reverse()
    .map(part => readNamePart(part, '+'))
  return (
    wanted.length === actual.length && wanted.every((part, index) => part !== null && part === actual[index])
  )
}

/** One part of a name, attribute types in upper case and values without escapes; null when it is none. */
function readNamePart(part: string, separator: string): string | null {
  const attributes = splitUnescaped(part, separator).map(attribute => {
    const at = attribute.indexOf('=')
    const value = unescapeValue(attribute.slice(at + 1).replace(/^ +|(?<!\\) +$/g, ''))
    return at < 1 || value === null ? null : [attribute.slice(0, at).trim().toUpperCase(), value]
  })
  return attributes.includes(null) ? null : JSON.stringify(attributes.sort())
}

function splitUnescaped(text: string, separator: string): string[] {
  const parts: string[] = ['']
  for (let index = 0; index < text.length; index++) {
    const escaped = text[index] === '\\'
    if (!escaped && text.startsWith(separator, index)) {
      parts.push('')
      index += separator.length - 1
      continue
    }
    parts.push(`${parts.pop()}${text.slice(index, index + (escaped ? 2 : 1))}`)
    if (escaped) index++
  }
  return parts
}

/** RFC 4514 §3: a backslash before a character, or before two hexadecimal digits of UTF-8. Values in BER (#…) are not read. */
function unescapeValue(value: string): string | null {
  if (value.startsWith('#')) return null
  const bytes: Buffer[] = []
  for (const [whole, hex, character] of value.matchAll(/\\([0-9a-fA-F]{2})|\\(.)|[^\\]+/gs))
    bytes.push(hex === undefined ? Buffer.from(character ?? whole) : Buffer.from(hex, 'hex'))
  return Buffer.concat(bytes).toString()
}
