// Which authenticators are let in: what their attestation says, and who vouches for it. Pure.
import { X509Certificate } from 'node:crypto'
import { webauthnHelpers } from './webauthn-library.ts'

/** What an attestation is made of; `certificates` begins with the authenticator's own. */
export type Attestation = { format: string; certificates: Buffer[] }

/** Formats in which a maker's certificate signs for the key. @see Web Authentication Level 3 §8 */
const certifiedFormats = ['packed', 'tpm', 'fido-u2f']
const maxChainLength = 6

/** Reads an attestation object in base64url; null when it is none. */
export function readAttestation(attestationObject: string): Attestation | null {
  try {
    const decoded = webauthnHelpers().decodeAttestationObject(
      new Uint8Array(Buffer.from(attestationObject, 'base64url'))
    )
    const certificates: unknown = decoded.get('attStmt').get('x5c') ?? []
    const format: unknown = decoded.get('fmt')
    if (typeof format !== 'string' || !Array.isArray(certificates)) return null
    if (!certificates.every(certificate => certificate instanceof Uint8Array)) return null
    return { format, certificates: certificates.map(certificate => Buffer.from(certificate)) }
  } catch {
    return null
  }
}

/**
 * Whether this is what a browser leaves of an attestation that nobody asked for. Anything else is refused unread: the
 * certificates in it would be a stranger's, and checking some kinds fetches what they name.
 *
 * @see Web Authentication Level 3 §5.1.3 step 22, “none”
 */
export const isAnonymous = ({ format, certificates }: Attestation): boolean =>
  format === 'none' || (format === 'packed' && certificates.length === 0)

/**
 * Whether the certificates lead to one of `roots`, all of them good at `now`. That the first one signed the key is the
 * library's to check; with no roots of its own it would take any certificate, also one made at home.
 */
export function isVouchedFor(
  { format, certificates }: Attestation,
  roots: readonly string[],
  now: Date
): boolean {
  if (!certifiedFormats.includes(format) || certificates.length > maxChainLength) return false
  const chain = certificates.map(certificate => new X509Certificate(certificate))
  const last = chain.at(-1)
  if (last === undefined) return false
  const anchors = roots.map(pem => new X509Certificate(pem))
  const anchor = anchors.find(root => root.fingerprint256 === last.fingerprint256 || isIssued(last, root))
  const links = chain.slice(1).every((issuer, index) => isIssued(chain[index] as X509Certificate, issuer))
  return anchor !== undefined && links && [...chain, anchor].every(certificate => isCurrent(certificate, now))
}

const isIssued = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)

const isCurrent = ({ validFromDate, validToDate }: X509Certificate, now: Date): boolean =>
  validFromDate <= now && now <= validToDate
