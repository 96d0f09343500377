// An authenticator and its browser in software: makes passkeys and signs with them as WebAuthn says, or wrongly in
// whatever way a test asks for. Answers are JSON texts, as our pages post them.
import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type {
  PublicKeyCredentialCreationOptionsJSON,
  PublicKeyCredentialRequestOptionsJSON
} from '@simplewebauthn/server'
import { type Cbor, encodeCbor } from './cbor.ts'
import type { Certificate } from './certificates.ts'

export type Algorithm = 'ES256' | 'EdDSA' | 'RS256'
export type Flags = { up: boolean; uv: boolean; be: boolean; bs: boolean }

export type AuthenticatorSettings = {
  origin?: string
  algorithm?: Algorithm
  aaguid?: string
  transports?: string[]
  flags?: Partial<Flags>
  /** What it counts up with each signature; null: it does not count. */
  signCount?: number | null
  attestation?: 'none' | 'self' | { certificates: Certificate[] }
}

/** What is made wrong in one answer. */
export type Wrong = {
  clientData?: Record<string, unknown>
  clientDataText?: string
  rpId?: string
  flags?: Partial<Flags>
  signCount?: number
  /** Bytes after the authenticator data, which its signature covers. */
  trailing?: Buffer
  /** Members of the answer itself, and of its `response`. */
  answer?: Record<string, unknown>
  response?: Record<string, unknown>
  signedBy?: KeyObject
  signatureOver?: Buffer
  /** The id inside the attested data, where the answer around it keeps its own. */
  attestedId?: Buffer
  /** The algorithm that the key claims for itself. */
  claimedAlgorithm?: number
  format?: string
}

type Credential = {
  id: Buffer
  userHandle: string
  rpId: string
  publicKey: KeyObject
  privateKey: KeyObject
}

const coseAlgorithms = { ES256: -7, EdDSA: -8, RS256: -257 }
const sha256 = (data: Uint8Array | string) => createHash('sha256').update(data).digest()
const base64url = (data: Uint8Array) => Buffer.from(data).toString('base64url')

export type Authenticator = ReturnType<typeof createAuthenticator>

export function createAuthenticator({
  origin = 'http://localhost:3000',
  algorithm = 'ES256',
  aaguid = '00000000-0000-0000-0000-000000000000',
  transports = ['internal'],
  flags = {},
  signCount = null,
  attestation = 'none'
}: AuthenticatorSettings = {}) {
  let credential: Credential | null = null
  let count = signCount
  const held = (): Credential => {
    if (credential === null) throw new Error('this authenticator holds no passkey')
    return credential
  }

  const clientData = (type: string, challenge: string, wrong: Wrong) =>
    Buffer.from(
      wrong.clientDataText ??
        JSON.stringify({ type, challenge, origin, crossOrigin: false, ...wrong.clientData })
    )

  const authenticatorData = (rpId: string, wrong: Wrong, attested: Buffer | null) => {
    const { up, uv, be, bs } = { up: true, uv: true, be: true, bs: true, ...flags, ...wrong.flags }
    const bits =
      Number(up) |
      (Number(uv) << 2) |
      (Number(be) << 3) |
      (Number(bs) << 4) |
      (attested === null ? 0 : 1 << 6)
    const counter = Buffer.alloc(4)
    counter.writeUInt32BE(wrong.signCount ?? count ?? 0)
    return Buffer.concat([
      sha256(wrong.rpId ?? rpId),
      Buffer.of(bits),
      counter,
      attested ?? Buffer.alloc(0),
      wrong.trailing ?? Buffer.alloc(0)
    ])
  }

  const attestedData = (id: Buffer, publicKey: KeyObject, wrong: Wrong) => {
    const key = encodeCbor(coseKeyOf(publicKey, wrong.claimedAlgorithm ?? coseAlgorithms[algorithm]))
    const length = Buffer.of(id.length >> 8, id.length & 0xff)
    return Buffer.concat([Buffer.from(aaguid.replaceAll('-', ''), 'hex'), length, id, key])
  }

  const statementOf = (signed: Buffer, own: KeyObject, wrong: Wrong): Map<string, Cbor> => {
    if (attestation === 'none') return new Map()
    const [certificate] = attestation === 'self' ? [] : attestation.certificates
    const signer = wrong.signedBy ?? certificate?.privateKey ?? own
    return new Map<string, Cbor>([
      ['alg', certificate === undefined ? coseAlgorithms[algorithm] : coseAlgorithms.ES256],
      ['sig', signWith(signer, signed)],
      ...(attestation === 'self'
        ? []
        : ([['x5c', attestation.certificates.map(({ der }) => der)]] as [string, Cbor][]))
    ])
  }

  return {
    get credentialId() {
      return base64url(held().id)
    },
    get privateKey() {
      return held().privateKey
    },
    /** Takes over another one's passkey, as a copied key would be. */
    clone: (other: { export: () => Credential }) => {
      credential = other.export()
    },
    export: held,
    /** The counter from here on. */
    setSignCount: (value: number | null) => {
      count = value
    },
    /** `navigator.credentials.create()`; `id`: what the new credential is to be called. */
    create: (
      options: PublicKeyCredentialCreationOptionsJSON,
      wrong: Wrong = {},
      id = randomBytes(32)
    ): string => {
      const rpId = options.rp.id ?? ''
      const { publicKey, privateKey } = makeKey(algorithm)
      credential = { id, userHandle: options.user.id, rpId, publicKey, privateKey }
      const client = clientData('webauthn.create', options.challenge, wrong)
      const data = authenticatorData(rpId, wrong, attestedData(wrong.attestedId ?? id, publicKey, wrong))
      const statement = statementOf(Buffer.concat([data, sha256(client)]), privateKey, wrong)
      const attestationObject = encodeCbor(
        new Map<string, Cbor>([
          ['fmt', wrong.format ?? (attestation === 'none' ? 'none' : 'packed')],
          ['attStmt', statement],
          ['authData', data]
        ])
      )
      return answerOf(
        id,
        { clientDataJSON: base64url(client), attestationObject: base64url(attestationObject), transports },
        wrong
      )
    },
    /** `navigator.credentials.get()` */
    get: (options: PublicKeyCredentialRequestOptionsJSON, wrong: Wrong = {}): string => {
      const { id, userHandle, rpId, privateKey } = held()
      if (count !== null) count += 1
      const client = clientData('webauthn.get', options.challenge, wrong)
      const data = authenticatorData(rpId, wrong, null)
      const signed = wrong.signatureOver ?? Buffer.concat([data, sha256(client)])
      return answerOf(
        id,
        {
          clientDataJSON: base64url(client),
          authenticatorData: base64url(data),
          signature: base64url(signWith(wrong.signedBy ?? privateKey, signed)),
          userHandle
        },
        wrong
      )
    }
  }
}

const answerOf = (id: Buffer, response: Record<string, unknown>, wrong: Wrong): string =>
  JSON.stringify({
    id: base64url(id),
    rawId: base64url(id),
    type: 'public-key',
    clientExtensionResults: {},
    authenticatorAttachment: 'platform',
    response: { ...response, ...wrong.response },
    ...wrong.answer
  })

export function makeKey(algorithm: Algorithm): { publicKey: KeyObject; privateKey: KeyObject } {
  if (algorithm === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  if (algorithm === 'EdDSA') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength: 2048 })
}

const signWith = (key: KeyObject, data: Buffer): Buffer =>
  sign(key.asymmetricKeyType === 'ed25519' ? null : 'sha256', data, key)

/** @see RFC 9053 §7, RFC 8230 §4 */
function coseKeyOf(publicKey: KeyObject, algorithm: number): Map<number, Cbor> {
  const { x = '', y = '', n = '', e = '' } = publicKey.export({ format: 'jwk' })
  const bytes = (text: string) => Buffer.from(text, 'base64url')
  const kind = publicKey.asymmetricKeyType
  const common: [number, Cbor][] = [[3, algorithm]]
  if (kind === 'ec') return new Map([[1, 2], ...common, [-1, 1], [-2, bytes(x)], [-3, bytes(y)]])
  if (kind === 'ed25519') return new Map([[1, 1], ...common, [-1, 6], [-2, bytes(x)]])
  return new Map([[1, 3], ...common, [-1, bytes(n)], [-2, bytes(e)]])
}
