// Userinfo as an API of its own: its metadata (RFC 9728), and the challenge to come back with a stronger or fresher sign-in
// (RFC 9470).
import type { AccessToken, KoaContextWithOIDC } from 'oidc-provider'
import { openidScopes } from '../clients/model.ts'
import type { Config } from '../config/schema.ts'
import { rankOf } from '../credentials/proof-model.ts'
import { signingAlgs } from '../keys/model.ts'
import type { Oidc } from './oidc.ts'
import type { RegisteredClient } from './registry.ts'
import { enabledAlgs } from './signed-messages.ts'

const userinfoPath = '/userinfo'

/** RFC 9728 §3.1: the well-known part goes between host and path. */
export const protectedResourcePath = `/.well-known/oauth-protected-resource${userinfoPath}`

/** @see RFC 9728 §2 */
export const protectedResourceMetadata = ({ issuer, brand }: Config) => ({
  resource: `${issuer}${userinfoPath}`,
  resource_name: `${brand.name}: who is signed in`,
  authorization_servers: [issuer],
  jwks_uri: `${issuer}/jwks`,
  scopes_supported: openidScopes.filter(scope => scope !== 'offline_access'),
  bearer_methods_supported: ['header', 'body'],
  resource_signing_alg_values_supported: signingAlgs,
  dpop_signing_alg_values_supported: enabledAlgs.dPoPSigningAlgValues
})

/** What resource servers need to tell whether a sign-in is sure and fresh enough. */
type AuthenticationFacts = { acr?: string; auth_time?: number }

/**
 * How and when the person behind a token proved who they are, for the token and for introspection; nothing for a token
 * of a client by itself.
 *
 * @see RFC 9470 §6, RFC 9068 §2.2.1
 */
export function authenticationFacts({ oidc }: KoaContextWithOIDC): AuthenticationFacts {
  const { AuthorizationCode, RefreshToken, DeviceCode, BackchannelAuthenticationRequest } = oidc.entities
  const source = (RefreshToken ?? AuthorizationCode ?? DeviceCode ?? BackchannelAuthenticationRequest) as
    | { acr?: string; authTime?: number }
    | undefined
  return {
    ...(source?.acr === undefined ? {} : { acr: source.acr }),
    ...(source?.authTime === undefined ? {} : { auth_time: source.authTime })
  }
}

export type StepUp = { acrValues?: string; maxAgeSeconds?: number }

/** The challenge of an API of ours for which a token's sign-in does not do. @see RFC 9470 §3 */
export const stepUpChallenge = ({ acrValues, maxAgeSeconds }: StepUp): string =>
  [
    'error="insufficient_user_authentication"',
    'error_description="a stronger or more recent sign-in is needed"',
    ...(acrValues === undefined ? [] : [`acr_values="${acrValues}"`]),
    ...(maxAgeSeconds === undefined ? [] : [`max_age="${maxAgeSeconds}"`])
  ].join(', ')

/**
 * Finishes userinfo's answers: a client that meanwhile demands more than the token's sign-in stands for is challenged for
 * that, and every challenge names the metadata that says where tokens are to be had.
 *
 * @see RFC 9728 §5.1
 */
export function finishUserinfo({ ctx: { config } }: Oidc, ctx: KoaContextWithOIDC): void {
  const { issuer } = config
  const { client, accessToken } = ctx.oidc
  const required = (client as RegisteredClient | undefined)?.required_acr
  if (
    ctx.status === 200 &&
    accessToken !== undefined &&
    required !== undefined &&
    isBelow(accessToken, required)
  ) {
    ctx.status = 401
    ctx.body = { error: 'insufficient_user_authentication' }
    ctx.type = 'json'
    const scheme = accessToken.jkt === undefined ? 'Bearer' : 'DPoP'
    ctx.set('www-authenticate', `${scheme} realm="${issuer}", ${stepUpChallenge({ acrValues: required })}`)
  }
  if (ctx.status !== 401) return
  const challenges = [ctx.response.get('www-authenticate')].flat().filter(value => value !== '')
  const metadata = `resource_metadata="${issuer}${protectedResourcePath}"`
  ctx.set(
    'www-authenticate',
    challenges.map(challenge => `${challenge}, ${metadata}`)
  )
}

const isBelow = ({ extra }: AccessToken, required: string): boolean =>
  rankOf((extra as AuthenticationFacts | undefined)?.acr) < rankOf(required)
