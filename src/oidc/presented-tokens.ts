// Tokens of ours that a client presents to be exchanged, read and found to be good.
import type { AccessToken, ClientCredentials, Provider } from 'oidc-provider'
import { isId } from '../lib/ids.ts'
import { type Actor, isGrantStanding, type SignInFacts } from './model.ts'
import type { Oidc } from './oidc.ts'
import { findStanding, isJwt, readAccessToken, readOwnJwt } from './own-jwts.ts'
import { findGrantOfClient } from './standing-repository.ts'
import { currentUnit } from './unit-of-work.ts'

const prefix = 'urn:ietf:params:oauth:token-type:'

/** What may be presented. Refresh tokens may not: whoever has one asks with it. @see RFC 8693 §3 */
export const presentableTypes = ['access_token', 'jwt', 'id_token'].map(type => `${prefix}${type}`)

export type Presented = {
  kind: 'access_token' | 'id_token'
  /** Whom it is about, as tokens name them. */
  subject: string
  /** Null: a client speaks for itself. */
  accountId: string | null
  /** The client that it was given to. */
  clientId: string
  /** That client knows people by names of its own. */
  isPairwise: boolean
  audience: string | null
  scopes: string[]
  /** In seconds since 1970. */
  expiresAt: number
  /** The grant that it lives and dies with. */
  grantId: string | null
  /** The session that it ends with, if it does. */
  sessionUid: string | null
  /** Who acts already. */
  act: Actor | null
  mayAct: unknown
  signIn: SignInFacts
  /** The key that it is bound to, by DPoP or by certificate. */
  boundTo: { jkt: string | undefined; x5t: string | undefined }
}

/**
 * Reads a token of one of `presentableTypes`; null when it is not such a token of ours, or nobody stands behind it any
 * more. One look-up.
 */
export async function readPresented(
  oidc: Oidc,
  provider: Provider,
  { token, type }: { token: string; type: string }
): Promise<Presented | null> {
  if (type === `${prefix}id_token`) return await readIdToken(oidc, token)
  if (isJwt(token)) return await readStructured(oidc, token)
  return type === `${prefix}access_token` ? await readOpaque(oidc, provider, token) : null
}

const isPairwise = async ({ current }: Oidc, clientId: string): Promise<boolean> =>
  (await current().registry.clients.find(clientId))?.subjectType === 'pairwise'

const signInOf = ({ acr, auth_time }: SignInFacts): SignInFacts => ({
  ...(acr === undefined ? {} : { acr }),
  ...(auth_time === undefined ? {} : { auth_time })
})

const split = (scope: string | undefined) => (scope === undefined || scope === '' ? [] : scope.split(' '))

async function readStructured(oidc: Oidc, token: string): Promise<Presented | null> {
  const claims = readAccessToken(oidc, token)
  const standing = claims === null ? null : await findStanding(oidc, claims)
  if (claims === null || standing === null) return null
  return {
    kind: 'access_token',
    subject: claims.sub,
    ...standing,
    clientId: claims.client_id,
    isPairwise: await isPairwise(oidc, claims.client_id),
    audience: claims.aud,
    scopes: split(claims.scope),
    expiresAt: claims.exp,
    sessionUid: null,
    act: claims.act ?? null,
    mayAct: claims.may_act,
    signIn: signInOf(claims),
    boundTo: { jkt: claims.cnf?.jkt, x5t: claims.cnf?.['x5t#S256'] }
  }
}

async function readOpaque(oidc: Oidc, provider: Provider, value: string): Promise<Presented | null> {
  const token: AccessToken | ClientCredentials | undefined =
    (await provider.AccessToken.find(value)) ?? (await provider.ClientCredentials.find(value))
  const stored = await currentUnit().tokens.get(value)
  // The library finds a token for some seconds more than it lasts.
  if (!token?.isValid || stored === null || stored === undefined) return null
  if (stored.grantId !== null && !isGrantStanding(stored.grant, oidc.ctx.now())) return null
  const { clientId, grantId, sessionUid } = stored
  const extra = (token.extra ?? {}) as SignInFacts & { sub?: string; act?: Actor; may_act?: unknown }
  const accountId = 'accountId' in token ? token.accountId : null
  const subject = accountId ?? extra.sub ?? clientId
  return {
    kind: 'access_token',
    subject,
    accountId,
    clientId,
    isPairwise: await isPairwise(oidc, clientId),
    audience: typeof token.aud === 'string' ? token.aud : null,
    scopes: split(token.scope),
    expiresAt: token.exp ?? 0,
    grantId,
    sessionUid,
    act: extra.act ?? null,
    mayAct: extra.may_act,
    signIn: signInOf(extra),
    boundTo: { jkt: token.jkt, x5t: token['x5t#S256'] }
  }
}

/** An ID token tells nothing but who signed in; a client with pairwise subjects has a name for them that we do not know back. */
async function readIdToken(oidc: Oidc, token: string): Promise<Presented | null> {
  const { typ, claims } = readOwnJwt(oidc, token) ?? {}
  // Other JWTs without a type, as a signed answer of userinfo, tell of no sign-in.
  if (claims === undefined || typ !== undefined || !('auth_time' in claims)) return null
  const { sub: accountId, aud: clientId, iat: issuedAt, exp: expiresAt } = claims
  const client =
    typeof clientId === 'string' ? await oidc.current().registry.clients.find(clientId) : undefined
  if (client === undefined || !isId(accountId)) return null
  const now = oidc.ctx.now()
  const grant = await findGrantOfClient(oidc.ctx.sql, { accountId, clientId, issuedAt, now })
  if (grant === null) return null
  return {
    kind: 'id_token',
    subject: accountId,
    accountId,
    clientId,
    isPairwise: false,
    audience: clientId,
    scopes: ['openid'],
    expiresAt,
    grantId: grant.grantId,
    sessionUid: null,
    act: null,
    mayAct: (claims as { may_act?: unknown }).may_act,
    signIn: signInOf(claims),
    boundTo: { jkt: undefined, x5t: undefined }
  }
}
