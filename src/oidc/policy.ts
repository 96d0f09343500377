// When a person is asked, and what a grant holds.
import { type Grant, interactionPolicy, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import { ownClientId } from '../clients/model.ts'
import type { Sql } from '../db/connect.ts'
import { acrCheck, loginDetails } from './acr-policy.ts'
import type { AuthorizationDetail } from './details-model.ts'
import { findConsent } from './interaction-repository.ts'
import { type Consent, missingConsent } from './model.ts'
import type { RegisteredClient } from './registry.ts'
import { requestedDetails } from './rich-authorization.ts'
import { currentUnit } from './unit-of-work.ts'

/** Claims that tell of the sign-in, not of the person: they need no consent. */
const claimsWithoutConsent = new Set(['sub', 'sid', 'auth_time', 'acr', 'amr', 'iss'])

/** What the authorization request asks for. */
export function wantedConsent(ctx: KoaContextWithOIDC): Consent {
  const { oidc } = ctx
  const requested = [...oidc.requestParamScopes]
  const resources = Object.entries(oidc.resourceServers ?? {}).map(([identifier, server]) => {
    const available = new Set(server.scope?.split(' '))
    return [identifier, requested.filter(scope => available.has(scope))] as const
  })
  const details = requestedDetails(ctx)
  return {
    scopes: [...oidc.requestParamOIDCScopes],
    claims: [...oidc.requestParamClaims].filter(claim => !claimsWithoutConsent.has(claim)),
    resources: Object.fromEntries(resources),
    ...(details.length === 0 ? {} : { details })
  }
}

/** A grant, as yet empty, that lasts as long as the client's tokens may. */
export function createGrant(provider: Provider, accountId: string, client: RegisteredClient): Grant {
  const grant = new provider.Grant({ accountId })
  grant.client = client
  return grant
}

/** Puts what was agreed to into a grant. */
export function fillGrant(grant: Grant, consent: Consent): void {
  if (consent.scopes.length > 0) grant.addOIDCScope(consent.scopes.join(' '))
  if (consent.claims.length > 0) grant.addOIDCClaims(consent.claims)
  for (const [identifier, scopes] of Object.entries(consent.resources))
    if (scopes.length > 0) grant.addResourceScope(identifier, scopes.join(' '))
  for (const detail of consent.details ?? []) grant.addRar(detail)
}

function heldBy(grant: Grant, wanted: Consent): Consent {
  return {
    scopes: grant.getOIDCScope().split(' '),
    claims: grant.getOIDCClaims(),
    resources: Object.fromEntries(
      Object.keys(wanted.resources).map(id => [id, grant.getResourceScope(id).split(' ')])
    ),
    details: (grant.rar ?? []) as AuthorizationDetail[]
  }
}

/**
 * The library's `loadExistingGrant`: the grant of this browser session and application, made or widened without
 * asking where the person has agreed before or the application is the operator's own.
 */
export const createLoadExistingGrant =
  (sql: Sql, provider: () => Provider) =>
  async (ctx: KoaContextWithOIDC): Promise<Grant | undefined> => {
    const { account, result, session, prompts } = ctx.oidc
    const client = ctx.oidc.client as RegisteredClient
    const grantId = result?.consent?.grantId ?? session?.grantIdFor(client.clientId)
    const existing = grantId === undefined ? undefined : await provider().Grant.find(grantId)
    // A grant of whoever was signed in here before is nobody else's.
    const own = existing?.accountId === account?.accountId ? existing : undefined
    const wanted = wantedConsent(ctx)
    if (own !== undefined && missingConsent(heldBy(own, wanted), wanted) === null) return own
    if (account === undefined || (prompts.has('consent') && result?.consent === undefined)) return own

    const given = client.first_party
      ? { ...wanted, details: [] }
      : await findConsent(sql, account.accountId, client.clientId)
    if (missingConsent(given, wanted) !== null) return own
    // Who asks for nothing lacks nothing, and would be let in unseen.
    if (given === null && client.registered_by !== undefined) return own
    const grant = own ?? createGrant(provider(), account.accountId, client)
    fillGrant(grant, wanted)
    // Our own pages are granted nothing that would have to be kept.
    currentUnit().restsOnConsent = !client.first_party && given !== null
    if (client.clientId !== ownClientId) await grant.save()
    return grant
  }

/** The library's prompts, with what is wanted noted in each, and no extra question for the operator's own native applications. */
export function createInteractionPolicy() {
  const policy = interactionPolicy.base()
  for (const name of ['login', 'consent']) {
    const prompt = policy.get(name)
    if (prompt !== undefined)
      prompt.details = async ctx => ({
        wanted: wantedConsent(ctx),
        ...(name === 'login' ? loginDetails(ctx) : {})
      })
  }
  const loginChecks = policy.get('login')?.checks
  loginChecks?.remove('essential_acrs')
  loginChecks?.remove('essential_acr')
  loginChecks?.add(acrCheck)
  const checks = policy.get('consent')?.checks
  checks?.remove('native_client_prompt')
  // Another program could sit behind a native application's redirect URI: the person is asked every time (RFC 8252 §8.6).
  checks?.add(
    new interactionPolicy.Check(
      'native_client_prompt',
      'native clients require End-User interaction',
      'interaction_required',
      ({ oidc }) => {
        const client = oidc.client as RegisteredClient
        return (
          client.applicationType === 'native' && !client.first_party && oidc.result?.consent === undefined
        )
      }
    )
  )
  // Nobody but the person vouches for an application that registered itself, so they see it once, whatever it asks for.
  checks?.add(
    new interactionPolicy.Check(
      'registered_client_prompt',
      'the End-User has not agreed to this client yet',
      'consent_required',
      ({ oidc }) =>
        (oidc.client as RegisteredClient).registered_by !== undefined &&
        oidc.result?.consent === undefined &&
        oidc.entities.Grant?.jti === undefined
    )
  )
  return policy
}
