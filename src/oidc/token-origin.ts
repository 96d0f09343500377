// What an access token says of where it comes from.
import type { AccessToken, ClientCredentials, KoaContextWithOIDC } from 'oidc-provider'
import type { SignInFacts } from './model.ts'
import { currentUnit } from './unit-of-work.ts'

type Parts = { payload: Record<string, unknown> }

/**
 * The library's `formats.customizers.jwt`: a JWT names the grant that it lives and dies with, since it is stored nowhere, and
 * whom an exchange made it for.
 */
export function nameOrigin(
  _ctx: KoaContextWithOIDC,
  token: AccessToken | ClientCredentials,
  { payload }: Parts
): void {
  const { exchange } = currentUnit()
  const grantId = exchange === null ? (token as Partial<AccessToken>).grantId : exchange.grantId
  if (grantId) payload.grant_id = grantId
  if (exchange?.subjectClientId) payload.sub = exchange.subjectClientId
}

/** For the library's `extraTokenClaims`: who acts, how the person signed in, and the client that is spoken for. @see RFC 8693 §4.1 */
export function exchangedClaims(): (SignInFacts & { act?: object; sub?: string }) | undefined {
  const { exchange } = currentUnit()
  if (exchange === null) return undefined
  const { act, signIn, subjectClientId } = exchange
  return {
    ...signIn,
    ...(act === null ? {} : { act }),
    ...(subjectClientId === null ? {} : { sub: subjectClientId })
  }
}
