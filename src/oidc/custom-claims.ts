// Claims that the operator has filled in by data (clients/claim-model.ts), put where they belong.
import type { AccessToken, ClientCredentials, KoaContextWithOIDC } from 'oidc-provider'
import type { AccountFacts } from '../accounts/facts-model.ts'
import type { ClaimDestination, ClaimMapping, Json } from '../clients/claim-model.ts'
import { openidScopes } from '../clients/model.ts'
import type { Memberships } from '../roles/membership-model.ts'

/** Whom a mapping is asked about. `scopes` are those that were granted. */
type Asked = { destination: ClaimDestination; clientId: string; scopes: ReadonlySet<string> }

/** Whose claims they are; null for a client by itself, of whom only constants tell anything. */
export type Person = { account: AccountFacts; memberships: () => Promise<Memberships> }

export type CustomClaims = {
  /** Scopes that are neither OpenID Connect's nor a resource's, and what people read of them. */
  scopes: Record<string, string | null>
  names: string[]
  /** Somebody's roles or groups are told of: they are read along with the account. */
  memberships: boolean
  valuesFor: (asked: Asked, person: Person | null) => Promise<Record<string, Json>>
}

/** `mappings` in the order of `listClaimMappings`: of two with the same claim the later one counts. */
export function createCustomClaims(mappings: ClaimMapping[]): CustomClaims {
  const own = mappings.filter(({ scope }) => !(openidScopes as readonly (string | null)[]).includes(scope))
  const scopes: CustomClaims['scopes'] = {}
  for (const { scope, description } of own)
    if (scope !== null) scopes[scope] = description ?? scopes[scope] ?? null
  return {
    scopes,
    names: [...new Set(mappings.map(({ claim }) => claim))],
    memberships: mappings.some(({ source }) => source === 'roles' || source === 'groups'),
    valuesFor: async (asked, person) => {
      const values: Record<string, Json> = {}
      for (const mapping of mappings) {
        if (!isFor(mapping, asked)) continue
        const value = await valueFrom(mapping, person)
        if (value !== undefined) values[mapping.claim] = value
      }
      return values
    }
  }
}

const isFor = (mapping: ClaimMapping, { destination, clientId, scopes }: Asked): boolean =>
  mapping.destinations.includes(destination) &&
  (mapping.clientId === null || mapping.clientId === clientId) &&
  (mapping.scope === null || scopes.has(mapping.scope))

async function valueFrom(
  { source, path, value }: ClaimMapping,
  person: Person | null
): Promise<Json | undefined> {
  if (source === 'constant') return value
  if (person === null) return undefined
  if (source !== 'profile') return (await person.memberships())[source]
  const { profile, name, email, emailVerified: email_verified } = person.account
  return fieldOf({ ...profile, name, email, email_verified }, path ?? '')
}

/** What a path leads to in a profile; undefined where it leads nowhere. */
function fieldOf(profile: object, path: string): Json | undefined {
  let at: unknown = profile
  for (const step of path.split('.')) {
    if (typeof at !== 'object' || at === null || !Object.hasOwn(at, step)) return undefined
    at = (at as Record<string, unknown>)[step]
  }
  return (at ?? undefined) as Json | undefined
}

/**
 * The scopes behind a token that is being made. A token for a resource has only the resource's own; what opens claims was
 * granted beside them.
 */
export function scopesBehind(
  { oidc }: KoaContextWithOIDC,
  token: Pick<AccessToken | ClientCredentials, 'scope'>
): Set<string> {
  const { AuthorizationCode, RefreshToken, DeviceCode, BackchannelAuthenticationRequest, Grant } =
    oidc.entities
  const source = (RefreshToken ?? AuthorizationCode ?? DeviceCode ?? BackchannelAuthenticationRequest) as
    | { scope?: string }
    | undefined
  const asked = oidc.params?.scope ?? source?.scope
  const held = new Set(Grant?.getOIDCScope().split(' '))
  const opened = typeof asked === 'string' ? asked.split(' ').filter(scope => held.has(scope)) : []
  return new Set([...(token.scope?.split(' ') ?? []), ...opened])
}
