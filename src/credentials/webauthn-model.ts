// Passkeys and security keys: what is stored of one, what a browser sends, and what can be told from that alone. Pure.

import { type Static, type TSchema, Type } from 'typebox'
import { Value } from 'typebox/value'
import type { Config } from '../config/schema.ts'
import { webauthnHelpers } from './webauthn-library.ts'

/** What a challenge was made for; it is good for nothing else. */
export type Ceremony = 'registration' | 'sign_in' | 'second_factor'

export const challengeLifetimeSeconds = 300
export const maxPasskeysPerAccount = 20

export type Passkey = {
  /** The public id, in addresses and forms. */
  id: string
  accountId: string
  /** What the authenticator calls it. */
  credentialId: Buffer
  /** COSE_Key, RFC 9052 §7 */
  publicKey: Buffer
  signCount: number
  transports: string[]
  aaguid: string
  name: string
  /** It may be synced between devices. */
  backupEligible: boolean
  /** It is synced. */
  backedUp: boolean
  /** The authenticator has verified the person beside another factor: from then on its word for that counts. */
  userVerified: boolean
  /** Its counter went back then: somebody may have a copy of the key. */
  signCountRegressedAt: Date | null
  createdAt: Date
  lastUsedAt: Date | null
}

const base64url = (maxLength: number) => Type.String({ pattern: '^[A-Za-z0-9_-]+$', maxLength })
/** 1,023 bytes at most. @see Web Authentication Level 3 §4 “Credential ID” */
const credentialId = base64url(1364)
const data = base64url(60_000)
const credential = <Response extends TSchema>(response: Response) =>
  Type.Object({ id: credentialId, rawId: credentialId, type: Type.Literal('public-key'), response })

const RegistrationResponse = credential(
  Type.Object({
    clientDataJSON: data,
    attestationObject: data,
    transports: Type.Optional(Type.Array(Type.String({ maxLength: 40 }), { maxItems: 20 }))
  })
)
const AuthenticationResponse = credential(
  Type.Object({
    clientDataJSON: data,
    authenticatorData: data,
    signature: data,
    userHandle: Type.Optional(Type.Union([Type.Null(), Type.Literal(''), base64url(88)]))
  })
)

/** A response that can be read, with the two facts of its client data that are not left to the library. */
export type Answer<Response> = {
  response: Response
  challenge: string
  /** Made inside a frame of another site, which no page of ours is ever in. */
  framed: boolean
}

/** What `navigator.credentials.create()` gave, as the JSON text in a form's field. Null: it cannot be read. */
export const readRegistration = (text: unknown): Answer<Static<typeof RegistrationResponse>> | null =>
  readAnswer(RegistrationResponse, text)

/** What `navigator.credentials.get()` gave, as the JSON text in a form's field. Null: it cannot be read. */
export const readAssertion = (text: unknown): Answer<Static<typeof AuthenticationResponse>> | null =>
  readAnswer(AuthenticationResponse, text)

function readAnswer<Schema extends typeof RegistrationResponse | typeof AuthenticationResponse>(
  schema: Schema,
  text: unknown
): Answer<Static<Schema>> | null {
  if (typeof text !== 'string') return null
  try {
    const response: unknown = JSON.parse(text)
    if (!Value.Check(schema, response)) return null
    // The library reads it the same way: two readers could be shown two different things.
    const { challenge, crossOrigin, topOrigin } = webauthnHelpers().decodeClientDataJSON(
      response.response.clientDataJSON
    )
    if (typeof challenge !== 'string') return null
    return {
      response: response as Static<Schema>,
      challenge,
      framed: (crossOrigin !== undefined && crossOrigin !== false) || topOrigin !== undefined
    }
  } catch {
    return null
  }
}

const knownTransports = ['ble', 'cable', 'hybrid', 'internal', 'nfc', 'smart-card', 'usb']

/** The transports that a browser may be told of later: names that it knows, each once. */
export const readTransports = (transports: readonly string[] = []): string[] =>
  knownTransports.filter(known => transports.includes(known))

/** Where a response may have been made. @see Web Authentication Level 3 §5.11 “related origins” */
export const expectedOrigins = ({ issuer, webauthn }: Config): string[] => [
  new URL(issuer).origin,
  ...webauthn.relatedOrigins
]

/** The user handle: the account's id as its 16 bytes, which say nothing about the person. @see §14.6.1 */
export const userHandleOf = (accountId: string): Buffer<ArrayBuffer> =>
  Buffer.from(accountId.replaceAll('-', ''), 'hex')

/** A credential's id as it is spelled in JSON. */
export const spellId = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')

/** What authenticators can be told by the Signal API. @see Web Authentication Level 3 §5.1.10 */
export type Signals = {
  rpId: string
  userId: string
  name: string
  displayName: string
  /** All that are accepted, parted by spaces. */
  credentialIds: string
}

/** What a page of a signed-in person may tell authenticators: which passkeys are still good, and the name and address. */
export function signalsOf(
  { webauthn }: Config,
  account: { id: string; email: string; name: string },
  passkeys: readonly Pick<Passkey, 'credentialId'>[]
): Signals {
  return {
    rpId: webauthn.rpId,
    userId: spellId(userHandleOf(account.id)),
    name: account.email,
    displayName: account.name,
    credentialIds: passkeys.map(({ credentialId }) => spellId(credentialId)).join(' ')
  }
}
