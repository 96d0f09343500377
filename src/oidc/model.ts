// What the protocol stores, and what is told of an account in a token.

import type { AccountFacts } from '../accounts/facts-model.ts'
import type { FactorFacts } from '../credentials/factor-model.ts'
import type { Proof } from '../credentials/proof-model.ts'
import type { Memberships } from '../roles/membership-model.ts'
import { type AuthorizationDetail, detailsBeyond } from './details-model.ts'
import type { RegisteredClient } from './registry.ts'

export type Payload = Record<string, unknown>

export type Consent = {
  scopes: string[]
  claims: string[]
  resources: Record<string, string[]>
  /** Authorization details are agreed to for one request, and never kept as agreed. */
  details?: AuthorizationDetail[]
}

/** Gatehouse's part of an interaction; see interactions/. */
export type Progress = {
  /** The address that a confirmation mail went to, as typed. */
  pendingEmail?: string
  /** The address, as typed, that a mail with a sign-in code went to, if anybody has it. */
  mailCodeEmail?: string
  /** What was proven in this sign-in; worth something only once the account is authenticated. */
  proofs?: Proof[]
  /** The account was made without a password: a passkey is set up before anything else. */
  passkeyWanted?: boolean
  /** The person asked not to be asked for the second factor in this browser again. */
  trustDevice?: boolean
}

export type StoredInteraction = {
  payload: Payload
  progress: Progress
  accountId: string | null
  authenticatedAt: Date | null
  expiresAt: Date
  account: AccountFacts | null
  factors: FactorFacts | null
  /** A second factor is due by one of the account's roles. */
  secondFactorRole: boolean
  /** The person trusts the browser that asks: it need not prove a second factor. */
  deviceTrusted: boolean
  /** Whether the account may still finish what it authenticated here: not disabled, no cut-off since. */
  authenticationValid: boolean
  consent: Consent | null
  /** The grant of a finished interaction. */
  grant: Payload | null
}

/** Who acts, and for whom that one acted in turn: the newest first. @see RFC 8693 §4.1 */
export type Actor = { sub: string; act?: Actor }

/** How and when the person behind a token proved who they are; empty for a client by itself. @see RFC 9068 §2.2.1 */
export type SignInFacts = { acr?: string; auth_time?: number }

/** What a token by exchange takes over from the token that it is made from. */
export type Exchange = {
  /** The grant that it lives and dies with, given to the client that had the first token; null: a client spoke for itself. */
  grantId: string | null
  /** The session that it ends with, if it does. */
  sessionUid: string | null
  /** The client that is spoken for; null: a person is. */
  subjectClientId: string | null
  act: Actor | null
  signIn: SignInFacts
}

export type TokenKind = 'AccessToken' | 'ClientCredentials' | 'RefreshToken'

export type StoredToken = {
  kind: TokenKind | 'AuthorizationCode'
  payload: Payload
  consumedAt: Date | null
  successorSealed: Buffer | null
  expiresAt: Date
  grantId: string | null
  grant: Payload | null
  clientId: string
  account: AccountFacts | null
  /** Read along only where some claim tells of them. */
  memberships?: Memberships | null
  /** The session that the token ends with, if it does. */
  sessionUid: string | null
  session: { accountId: string; grantId: string | null; sid: string | null } | null
}

const emptyConsent: Consent = { scopes: [], claims: [], resources: {} }
const union = (a: readonly string[], b: readonly string[]) => [...new Set([...a, ...b])]

/** What was agreed to before and now, together, as it is kept. */
export function mergeConsent(a: Consent | null, b: Consent): Consent {
  const { scopes, claims, resources } = a ?? emptyConsent
  const identifiers = union(Object.keys(resources), Object.keys(b.resources))
  return {
    scopes: union(scopes, b.scopes),
    claims: union(claims, b.claims),
    resources: Object.fromEntries(
      identifiers.map(id => [id, union(resources[id] ?? [], b.resources[id] ?? [])])
    )
  }
}

/** What `wanted` asks for beyond `given`; null when that is nothing. */
export function missingConsent(given: Consent | null, wanted: Consent): Consent | null {
  const { scopes, claims, resources, details: held = [] } = given ?? emptyConsent
  const details = detailsBeyond(held, wanted.details ?? [])
  const without = (a: readonly string[], b: readonly string[] | undefined) =>
    a.filter(value => !b?.includes(value))
  const missing = {
    scopes: without(wanted.scopes, scopes),
    claims: without(wanted.claims, claims),
    resources: Object.fromEntries(
      Object.entries(wanted.resources)
        .map(([id, names]) => [id, without(names, resources[id])] as const)
        .filter(([, names]) => names.length > 0)
    ),
    ...(details.length === 0 ? {} : { details })
  }
  const count = missing.scopes.length + missing.claims.length + Object.keys(missing.resources).length
  return count + details.length === 0 ? null : missing
}

/** Whether a stored grant is there and has not ended. */
export const isGrantStanding = (grant: Payload | null, now: Date): boolean =>
  grant !== null && Number(grant.exp) * 1000 > now.getTime()

/** A client sees its own tokens; one that guards a resource sees the tokens for it. @see RFC 7662 §4 */
export function mayIntrospect(
  client: Pick<RegisteredClient, 'clientId' | 'introspection' | 'resources'>,
  token: { clientId?: string | undefined; aud?: string | string[] | undefined }
): boolean {
  if (token.clientId === client.clientId) return true
  return client.introspection && typeof token.aud === 'string' && client.resources.includes(token.aud)
}
