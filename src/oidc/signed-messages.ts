// Messages that are JWTs: requests and proofs of clients, answers of ours. Which algorithms each may have, and what is
// looked at beyond a JWT's signature, times and audience, which the library checks.
import { type Configuration, errors } from 'oidc-provider'
import { clientAlgs, encryptionAlgs, encryptionEncs } from '../clients/member-model.ts'
import { fapiAlgs } from '../clients/profile-model.ts'
import type { Context } from '../context.ts'
import { signingAlgs } from '../keys/model.ts'
import { toSeconds } from '../sessions/model.ts'
import { isFapi } from './fapi.ts'

/** What signs where nothing was registered: the specifications' RS256 costs ten times as much. */
export const signedResponseDefaults = {
  id_token_signed_response_alg: 'ES256',
  introspection_signed_response_alg: 'ES256',
  authorization_signed_response_alg: 'ES256'
} as const

const encryption = { algs: [...encryptionAlgs], encs: [...encryptionEncs] }

/** `none` is in no list, and an encrypted request object would be believed for its encryption alone: there is none. */
export const enabledAlgs = {
  idTokenSigningAlgValues: [...signingAlgs, 'HS256'],
  userinfoSigningAlgValues: [...signingAlgs],
  introspectionSigningAlgValues: [...signingAlgs],
  authorizationSigningAlgValues: [...signingAlgs],
  requestObjectSigningAlgValues: [...clientAlgs],
  clientAuthSigningAlgValues: [...clientAlgs, 'HS256'],
  dPoPSigningAlgValues: ['ES256', 'EdDSA', 'Ed25519'],
  idTokenEncryptionAlgValues: encryption.algs,
  idTokenEncryptionEncValues: encryption.encs,
  userinfoEncryptionAlgValues: encryption.algs,
  userinfoEncryptionEncValues: encryption.encs,
  requestObjectEncryptionAlgValues: [],
  requestObjectEncryptionEncValues: [],
  introspectionEncryptionAlgValues: [],
  introspectionEncryptionEncValues: [],
  authorizationEncryptionAlgValues: [],
  authorizationEncryptionEncValues: []
} satisfies Configuration['enabledJWA']

/** RFC 9101, JARM, RFC 9701, signed userinfo; encryption where JWT_ENCRYPTION says so. */
export const createSignedMessages = ({ config }: Pick<Context, 'config'>) =>
  ({
    requestObjects: { enabled: true, assertJwtClaimsAndHeader: checkRequestObject },
    jwtResponseModes: { enabled: true },
    jwtIntrospection: { enabled: true },
    jwtUserinfo: { enabled: true },
    encryption: { enabled: config.jwtEncryption }
  }) satisfies Configuration['features']

type Claims = Record<string, unknown>

/** A JWT for one purpose is none for another (RFC 8725 §3.11). Many libraries name no type, which is let pass. */
const isOfType = ({ typ }: Claims, own: string): boolean =>
  typ === undefined || ['jwt', own, `application/${own}`].includes(String(typ).toLowerCase())

type RequestObjectCheck = NonNullable<
  NonNullable<NonNullable<Configuration['features']>['requestObjects']>['assertJwtClaimsAndHeader']
>

/** Request objects of clients, and what the library makes of pushed requests, which has `alg` none and is ours. */
const checkRequestObject: RequestObjectCheck = async (ctx, claims, header, client) => {
  const { route, entities } = ctx.oidc
  const refuse = (problem: string) => {
    throw new errors.InvalidRequestObject(`the request object ${problem}`)
  }
  if (!isOfType(header, 'oauth-authz-req+jwt')) refuse('is of another type by its typ')
  const required = [
    ...(isFapi(client) ? ['exp', 'nbf', 'aud'] : []),
    // OpenID Connect CIBA Core 1.0 §7.1.1
    ...(route === 'backchannel_authentication' ? ['exp', 'iat', 'nbf', 'jti'] : [])
  ]
  for (const name of required) if (claims[name] === undefined) refuse(`has no ${name}`)
  if (!isFapi(client) || entities.PushedAuthorizationRequest !== undefined) return
  if (!fapiAlgs.includes(String(header.alg))) refuse('is signed with an algorithm that the profile excludes')
  // FAPI 2.0 Message Signing §5.3.1
  const lifetime = Number(claims.exp) - Number(claims.nbf)
  if (!(lifetime > 0 && lifetime <= 3600)) refuse('must end within 60 minutes of its nbf')
}

/** OWASP ASVS 10.4.10's five minutes, and a minute for clocks. */
const longestAssertionSeconds = 360

/**
 * The library's `assertJwtClientAuthClaimsAndHeader`. An assertion is taken once, and remembered until it ends: so that
 * must be soon. A client of FAPI aims it at the issuer alone, as one text, so that no other server can pass it on.
 *
 * @see RFC 7523 §3, FAPI 2.0 Security Profile §5.3.2.1, §5.3.3.1
 */
export const createAssertionCheck =
  ({
    config,
    now
  }: Pick<Context, 'config' | 'now'>): NonNullable<Configuration['assertJwtClientAuthClaimsAndHeader']> =>
  async (_ctx, claims, header, client) => {
    const refuse = (problem: string) => {
      throw new errors.InvalidClientAuth(`the client assertion ${problem}`)
    }
    const seconds = toSeconds(now())
    if (!isOfType(header, 'client-authentication+jwt')) refuse('is of another type by its typ')
    if (Number(claims.exp) > seconds + longestAssertionSeconds) refuse('must end within five minutes')
    if (!isFapi(client)) return
    if (claims.aud !== config.issuer) refuse("must have the issuer as its one 'aud'")
    if (!fapiAlgs.includes(String(header.alg)))
      refuse('is signed with an algorithm that the profile excludes')
    if (Number(claims.iat ?? 0) > seconds + 60) refuse('is dated ahead')
  }
