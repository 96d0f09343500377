// X.509 certificates of authenticators, servers and clients, written by hand (RFC 5280, P-256 and SHA-256 alone).
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'

const der = (tag: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts)
  const length =
    body.length < 0x80
      ? [body.length]
      : body.length < 0x100
        ? [0x81, body.length]
        : [0x82, body.length >> 8, body.length & 0xff]
  return Buffer.concat([Buffer.of(tag, ...length), body])
}
const sequence = (...parts: Uint8Array[]) => der(0x30, ...parts)
const oid = (hex: string) => der(0x06, Buffer.from(hex, 'hex'))
const ecdsaWithSha256 = sequence(oid('2a8648ce3d040302'))
const utcTime = (at: Date) =>
  der(0x17, Buffer.from(`${at.toISOString().replace(/[-:T]/g, '').slice(2, 14)}Z`))

/** C, O, OU and CN, as the packed attestation wants them. @see Web Authentication Level 3 §8.2.1 */
const nameOf = (commonName: string) =>
  sequence(
    ...[
      ['550406', 0x13, 'SE'],
      ['55040a', 0x0c, 'Keymaker'],
      ['55040b', 0x0c, 'Authenticator Attestation'],
      ['550403', 0x0c, commonName]
    ].map(([type, tag, text]) =>
      der(0x31, sequence(oid(type as string), der(tag as number, Buffer.from(text as string))))
    )
  )

export type Certificate = { name: string; der: Buffer; pem: string; privateKey: KeyObject }

type Issue = {
  issuer?: Certificate
  ca?: boolean
  from?: Date
  to?: Date
  /** Its alternative names, as `DNS:…`, `URI:…`, `email:…`, `IP:…` (IPv4). */
  names?: string[]
}

/** @see RFC 5280 §4.2.1.6 */
const alternativeName = (name: string): Buffer => {
  const at = name.indexOf(':')
  const [kind, value] = [name.slice(0, at), name.slice(at + 1)]
  if (kind === 'IP') return der(0x87, Buffer.from(value.split('.').map(Number)))
  return der({ email: 0x81, DNS: 0x82, URI: 0x86 }[kind] ?? 0, Buffer.from(value))
}

const dayMs = 86_400_000

/** Issues a certificate; without an issuer it signs itself. */
export function issueCertificate(
  name: string,
  {
    issuer,
    ca = false,
    from = new Date(Date.now() - dayMs),
    to = new Date(Date.now() + 365 * dayMs),
    names = []
  }: Issue = {}
): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const constraints = sequence(...(ca ? [der(0x01, Buffer.of(0xff))] : []))
  const alternatives = names.map(alternativeName)
  const extensions = sequence(
    sequence(oid('551d13'), der(0x01, Buffer.of(0xff)), der(0x04, constraints)),
    ...(names.length === 0 ? [] : [sequence(oid('551d11'), der(0x04, sequence(...alternatives)))])
  )
  const body = sequence(
    der(0xa0, der(0x02, Buffer.of(2))),
    der(0x02, Buffer.concat([Buffer.of(1), randomBytes(8)])),
    ecdsaWithSha256,
    nameOf(issuer?.name ?? name),
    sequence(utcTime(from), utcTime(to)),
    nameOf(name),
    publicKey.export({ format: 'der', type: 'spki' }),
    der(0xa3, extensions)
  )
  const signature = sign('sha256', body, issuer?.privateKey ?? privateKey)
  const bytes = sequence(body, ecdsaWithSha256, der(0x03, Buffer.of(0), signature))
  const pem = `-----BEGIN CERTIFICATE-----\n${bytes
    .toString('base64')
    .match(/.{1,64}/g)
    ?.join('\n')}\n-----END CERTIFICATE-----\n`
  return { name, der: bytes, pem, privateKey }
}
