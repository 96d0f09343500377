// The OpenID Connect part of the demo application: everything that a real application would copy.
import * as oidc from 'openid-client'

export type DemoClient = { client_id: string; client_secret?: string }

/** What one sign-in under way must remember, and only the browser that began it may use. */
export type PendingSignIn = { state: string; nonce: string; codeVerifier: string }

export type Tokens = {
  accessToken: string
  idToken: string
  refreshToken: string | null
  scope: string
  expiresAt: Date | null
}

export type SignedIn = {
  tokens: Tokens
  /** The ID token's claims, verified. */
  claims: Record<string, unknown>
  userinfo: Record<string, unknown>
  refreshedAt: Date | null
}

export type RelyingParty = {
  beginSignIn: () => Promise<{ url: URL; pending: PendingSignIn }>
  finishSignIn: (callback: URL, pending: PendingSignIn) => Promise<SignedIn>
  refresh: (signedIn: SignedIn) => Promise<SignedIn>
  signOutUrl: (signedIn: SignedIn) => Promise<URL>
}

/** Comes back from the provider after signing out, and tells the start page to say so. */
export const signedOutState = 'signed-out'

export const scope = 'openid profile email address phone offline_access'

/** `baseUrl` is the application's own address; its callback and its start page must be registered with the provider. */
export function createRelyingParty(issuer: string, client: DemoClient, baseUrl: string): RelyingParty {
  const redirectUri = `${baseUrl}/callback`
  const configuration = discoverOnce(issuer, client)
  return {
    beginSignIn: async () => {
      const pending = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        codeVerifier: oidc.randomPKCECodeVerifier()
      }
      const url = oidc.buildAuthorizationUrl(await configuration(), {
        redirect_uri: redirectUri,
        scope,
        state: pending.state,
        nonce: pending.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(pending.codeVerifier),
        code_challenge_method: 'S256',
        // A refresh token that outlives the sign-in needs the person's word (OpenID Connect Core 1.0 §11).
        prompt: 'consent'
      })
      return { url, pending }
    },
    finishSignIn: async (callback, { state, nonce, codeVerifier }) => {
      const config = await configuration()
      const response = await oidc.authorizationCodeGrant(config, callback, {
        expectedState: state,
        expectedNonce: nonce,
        pkceCodeVerifier: codeVerifier,
        idTokenExpected: true
      })
      return await describe(config, response, null)
    },
    refresh: async signedIn => {
      const { refreshToken } = signedIn.tokens
      if (refreshToken === null) return signedIn
      const config = await configuration()
      return await describe(config, await oidc.refreshTokenGrant(config, refreshToken), signedIn)
    },
    signOutUrl: async ({ tokens }) =>
      oidc.buildEndSessionUrl(await configuration(), {
        id_token_hint: tokens.idToken,
        post_logout_redirect_uri: `${baseUrl}/`,
        state: signedOutState
      })
  }
}

/** Asks the provider for its metadata when first needed, and again after a failure: it may start after us. */
export function discoverOnce(issuer: string, client: DemoClient): () => Promise<oidc.Configuration> {
  let known: Promise<oidc.Configuration> | null = null
  const discover = async () =>
    await oidc.discovery(
      new URL(issuer),
      client.client_id,
      undefined,
      client.client_secret === undefined ? oidc.None() : oidc.ClientSecretBasic(client.client_secret),
      // http is for a provider on this machine; any other is https.
      { execute: issuer.startsWith('http:') ? [oidc.allowInsecureRequests] : [] }
    )
  return () => {
    known ??= discover().catch(error => {
      known = null
      throw error
    })
    return known
  }
}

type TokenResponse = Awaited<ReturnType<typeof oidc.authorizationCodeGrant>>

/** A refresh may leave the ID and refresh tokens out: the ones before stay good then (OpenID Connect Core 1.0 §12.2). */
export async function describe(
  config: oidc.Configuration,
  response: TokenResponse,
  before: SignedIn | null
): Promise<SignedIn> {
  const claims = response.claims() ?? before?.claims
  const idToken = response.id_token ?? before?.tokens.idToken
  if (claims === undefined || idToken === undefined) throw new Error('the provider sent no ID token')
  const lifetime = response.expiresIn()
  return {
    claims,
    userinfo: await oidc.fetchUserInfo(config, response.access_token, String(claims.sub)),
    refreshedAt: before === null ? null : new Date(),
    tokens: {
      accessToken: response.access_token,
      idToken,
      refreshToken: response.refresh_token ?? before?.tokens.refreshToken ?? null,
      scope: response.scope ?? before?.tokens.scope ?? scope,
      expiresAt: lifetime === undefined ? null : new Date(Date.now() + lifetime * 1000)
    }
  }
}
