// Builds oidc-provider from the settings and the signing keys. A changed key set means a new instance, swapped in whole.
import { type Configuration, type KoaContextWithOIDC, Provider } from 'oidc-provider'
import { authMethods, openidScopes, responseTypes } from '../clients/model.ts'
import type { Config } from '../config/schema.ts'
import type { Context } from '../context.ts'
import { acrLevels } from '../credentials/proof-model.ts'
import type { Sql } from '../db/connect.ts'
import { fetchOutbound, type OutboundOptions } from '../http/outbound.ts'
import type { PrivateJwk } from '../keys/model.ts'
import { hostCookieName } from '../lib/cookies.ts'
import { deriveKey } from '../lib/sealed-box.ts'
import { hashToken } from '../lib/tokens.ts'
import { toSeconds } from '../sessions/model.ts'
import { createAdapter } from './adapter.ts'
import type { Storage } from './adapter-parts.ts'
import { deferLogoutTokens } from './back-channel-logout.ts'
import { requestSeconds } from './ciba.ts'
import { claimsWith, createFindAccount } from './claims.ts'
import type { CustomClaims } from './custom-claims.ts'
import { fillScope } from './default-scope.ts'
import { completeDeviceFlow } from './device-flow.ts'
import { createExtraClaims } from './extra-claims.ts'
import { isFapi } from './fapi.ts'
import { createFeatures } from './features.ts'
import {
  accessTokenSeconds,
  graceSeconds,
  grantSeconds,
  idTokenSeconds,
  refreshTokenSeconds
} from './lifetimes.ts'
import { createPairwiseIdentifier } from './pairwise.ts'
import { createInteractionPolicy, createLoadExistingGrant } from './policy.ts'
import { createRegistry, ownMetadata, type RegisteredClient, type Registry } from './registry.ts'
import { insertReplayMark } from './repository.ts'
import type { DetailChecks } from './rich-authorization.ts'
import { createRotationPolicy } from './rotation.ts'
import { createAssertionCheck, enabledAlgs, signedResponseDefaults } from './signed-messages.ts'
import { addToIdTokens, createTokenHook } from './token-hook.ts'
import { nameOrigin } from './token-origin.ts'

/** Where the protocol's endpoints are. */
export const routes = {
  authorization: '/auth',
  token: '/token',
  userinfo: '/userinfo',
  jwks: '/jwks',
  introspection: '/introspect',
  revocation: '/revoke',
  end_session: '/session/end',
  pushed_authorization_request: '/par',
  device_authorization: '/device/auth',
  code_verification: '/device',
  backchannel_authentication: '/backchannel'
}

/** Where applications register themselves: ours, since the library's knows nothing of our checks. */
export const registrationPath = '/register'

/** What the library does not know of. @see RFC 8414 §2, OAuth Client ID Metadata Document §5 */
const ownDiscovery = ({ issuer, registration, clientIdMetadata }: Config) => ({
  ...(registration.mode === 'off' ? {} : { registration_endpoint: `${issuer}${registrationPath}` }),
  ...(clientIdMetadata.enabled ? { client_id_metadata_document_supported: true } : {})
})

/** How the library's own moments become pages: the texts are ours, the forms are its. */
export type ProtocolPages = {
  renderError: NonNullable<Configuration['renderError']>
  renderSignOut: (ctx: KoaContextWithOIDC) => Promise<void>
  renderSignedOut: (ctx: KoaContextWithOIDC) => Promise<void>
}

export type ProviderParts = {
  pages: ProtocolPages
  lookups: Sql
  details: DetailChecks
  customClaims: CustomClaims
}

export type ProviderInstance = { provider: Provider; registry: Registry }

/** `keys` in the key store's order: the first that fits signs. */
export function createProvider(
  ctx: Context,
  keys: PrivateJwk[],
  { pages, lookups, details, customClaims }: ProviderParts
): ProviderInstance {
  const { config, now } = ctx
  const secure = config.issuer.startsWith('https:')
  const instance: { provider?: Provider; registry?: Registry } = {}
  const storage: Storage = {
    lookups,
    now,
    ...config,
    memberships: customClaims.memberships,
    isRegistered: async id => (await instance.registry?.clients.find(id)) !== undefined,
    graceSecondsOf: async clientId => graceSeconds(config, await instance.registry?.clients.find(clientId))
  }
  const hook = createTokenHook(ctx)
  const extraClaims = createExtraClaims(ctx, { lookups, customClaims, hook })
  const provider = new Provider(config.issuer, {
    adapter: createAdapter(storage) as never,
    jwks: { keys: keys as never },
    routes,
    discovery: ownDiscovery(config),
    claims: claimsWith(customClaims),
    scopes: [...openidScopes, ...Object.keys(customClaims.scopes)],
    // `none` is what our own account pages ask with: a session is all that they need.
    responseTypes: [...(config.conformance ? responseTypes : ['code' as const]), 'none'],
    acrValues: [...acrLevels],
    subjectTypes: ['public', 'pairwise'],
    pairwiseIdentifier: createPairwiseIdentifier(config),
    findAccount: createFindAccount(lookups, customClaims),
    loadExistingGrant: createLoadExistingGrant(lookups, () => provider),
    interactions: {
      policy: createInteractionPolicy(),
      // A new one has nothing to look up: the dispatcher is told where it starts.
      url: (_ctx, interaction) =>
        `/interaction/${interaction.uid}${interaction.prompt.name === 'login' ? '?start' : ''}`
    },
    cookies: {
      names: {
        session: hostCookieName(config.issuer, 'session'),
        interaction: secure ? '__Secure-interaction' : 'interaction',
        resume: secure ? '__Secure-resume' : 'resume'
      },
      keys: [deriveKey(config.encryptionKey, 'cookies').toString('base64url')],
      long: { signed: true, httpOnly: true, sameSite: 'lax', secure, path: '/' },
      short: { signed: true, httpOnly: true, sameSite: 'lax', secure }
    },
    clientDefaults: {
      ...signedResponseDefaults,
      grant_types: ['authorization_code'],
      response_types: ['code']
    },
    extraClientMetadata: { properties: ownMetadata },
    clientAuthMethods: [...authMethods],
    // Not an extra one: the one place where the library lets a parameter be filled in once the resources are known.
    extraParams: { scope: fillScope },
    enabledJWA: enabledAlgs,
    assertJwtClientAuthClaimsAndHeader: createAssertionCheck(ctx),
    pkce: { required: (_ctx, client) => needsPkce(client as RegisteredClient, config) },
    features: createFeatures(ctx, {
      pages,
      details,
      findResource: async id => (await instance.registry?.resources.find(id)) ?? null
    }),
    // Refresh tokens for whoever registered for them; without offline_access they end with the browser session.
    issueRefreshToken: async (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    rotateRefreshToken: createRotationPolicy(ctx),
    // Signing out ends tokens; what was agreed to is kept in consents, so nothing is lost with the grant.
    revokeGrantPolicy: () => true,
    formats: { customizers: { jwt: nameOrigin } },
    renderError: pages.renderError,
    // `null` is what any sandboxed page may call itself, and what URL calls an app's own scheme: nobody's origin.
    clientBasedCORS: (_ctx, origin, client) =>
      origin !== 'null' && (client.redirectUris ?? []).some(uri => URL.parse(uri)?.origin === origin),
    extraTokenClaims: extraClaims.forToken,
    ttl: lifetimes(ctx),
    // Key sets, sector identifiers, notices: all through the guard.
    fetch: (url, options) => fetchOutbound(config, url as string, options as OutboundOptions),
    allowOmittingSingleRegisteredRedirectUri: false
  })
  // Our mount sets the forwarded headers from the issuer and nothing else reaches them.
  provider.proxy = true
  instance.registry = createRegistry(ctx, provider, Object.keys(customClaims.scopes))
  takeReplayMarksAtOnce(provider, ctx)
  deferLogoutTokens(provider)
  completeDeviceFlow(provider)
  if (hook !== null) addToIdTokens(provider, hook, extraClaims.factsForIdToken)
  return { provider, registry: instance.registry }
}

/** Whoever has no secret or keeps to FAPI, always; others, unless their registration or the test suite's profile says otherwise. */
const needsPkce = (client: RegisteredClient, { conformance }: Context['config']): boolean =>
  client.clientAuthMethod === 'none' || isFapi(client) || (client.require_pkce ?? !conformance)

function lifetimes({ config, now }: Context): NonNullable<Configuration['ttl']> {
  const seconds = () => toSeconds(now())
  return {
    AccessToken: (_ctx, token, client) =>
      token.resourceServer?.accessTokenTTL ?? accessTokenSeconds(config, client),
    ClientCredentials: (_ctx, token, client) =>
      token.resourceServer?.accessTokenTTL ?? accessTokenSeconds(config, client),
    AuthorizationCode: 60,
    DeviceCode: config.deviceCodeLifetimeSeconds,
    BackchannelAuthenticationRequest: requestSeconds,
    IdToken: (_ctx, _token, client) => idTokenSeconds(config, client),
    Interaction: config.interactionLifetimeSeconds,
    Grant: (koa, grant) => grantSeconds(config, grant.client ?? koa?.oidc.client),
    RefreshToken: (_ctx, token, client) =>
      refreshTokenSeconds(config, client, seconds() - (token.iiat ?? seconds())),
    Session: (_ctx, session) => {
      const left = (session.loginTs ?? seconds()) + config.sessionAbsoluteSeconds - seconds()
      return Math.max(1, Math.min(config.sessionIdleSeconds, left))
    }
  }
}

/**
 * The library remembers a DPoP proof's use for five minutes, but believes one that is dated five minutes ahead for ten,
 * to the end of that second: the rest (RFC 9449 §11.1).
 */
const replayMarkExtraSeconds = 301

/** The library looks first and marks later, so two proofs at once would both pass; one insert decides here. */
function takeReplayMarksAtOnce(provider: Provider, { sql, now }: Context): void {
  const model = provider.ReplayDetection as unknown as {
    unique: (issuer: string, jti: string, exp: number) => Promise<boolean>
  }
  model.unique = async (issuer, jti, exp) =>
    await insertReplayMark(sql, {
      idHash: hashToken(JSON.stringify([issuer, jti])),
      at: now(),
      expiresAt: new Date((exp + replayMarkExtraSeconds) * 1000)
    })
}
