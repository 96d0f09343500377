// Rich authorization requests (RFC 9396): which details may be asked for, and which a token carries. A person agrees to
// them each time anew, whatever they agreed to before: a payment of yesterday is none of today.
import { type Configuration, errors, type KoaContextWithOIDC } from 'oidc-provider'
import type { Config } from '../config/schema.ts'
import {
  type AuthorizationDetail,
  detailsBeyond,
  detailsFor,
  displayProblem,
  isWithin
} from './details-model.ts'

/** Tells what is wrong with a detail of its type, or null. */
type DetailCheck = (detail: AuthorizationDetail) => string | null
export type DetailChecks = Map<string, DetailCheck>

/** The checks by type. Throws, with the type's name, when a schema of AUTHORIZATION_DETAILS_TYPES_FILE is none. */
export async function compileDetailTypes(types: Config['authorizationDetailsTypes']): Promise<DetailChecks> {
  const checks: DetailChecks = new Map()
  if (Object.keys(types).length === 0) return checks
  const { Compile } = await import('typebox/schema')
  for (const [type, { schema }] of Object.entries(types)) {
    try {
      const validator = Compile(schema)
      checks.set(type, detail => {
        if (validator.Check(detail)) return null
        const [fault] = validator.Errors(detail)[1]
        return `${fault?.instancePath || 'it'} ${fault?.message ?? 'is not as it should be'}`
      })
    } catch (cause) {
      throw new Error(`AUTHORIZATION_DETAILS_TYPES_FILE: the schema of ${type} is none`, { cause })
    }
  }
  return checks
}

/** The details that a request asks for; empty for none. The library has checked their form by then. */
export function requestedDetails({ oidc }: KoaContextWithOIDC): AuthorizationDetail[] {
  const { authorization_details: text } = oidc.params ?? {}
  return typeof text === 'string' ? (JSON.parse(text) as AuthorizationDetail[]) : []
}

/** Where nobody would be shown the details there are none. */
const routeProblem = ({ oidc }: KoaContextWithOIDC): string | null =>
  ['device_authorization', 'backchannel_authentication'].includes(oidc.route)
    ? 'can be asked for at the authorization endpoint only'
    : null

/** The library's feature. Which types a client may ask for is in its registration, and none where that names none. */
export const createRichAuthorization = (checks: DetailChecks) =>
  ({
    enabled: checks.size > 0,
    types: Object.fromEntries(
      [...checks].map(([type, check]) => [
        type,
        {
          validate: async (ctx, detail) => {
            const asked = detail as AuthorizationDetail
            const fault = routeProblem(ctx) ?? displayProblem(asked) ?? check(asked)
            if (fault !== null) throw new errors.InvalidAuthorizationDetails(`${type}: ${fault}`)
          }
        }
      ])
    ),
    authorizationDetailsForGrantSource: async ctx => {
      const details = requestedDetails(ctx)
      const held = (ctx.oidc.grant?.rar ?? []) as AuthorizationDetail[]
      if (detailsBeyond(held, details).length > 0) throw new errors.AccessDenied('the person did not agree')
      return details
    },
    authorizationDetailsForAccessToken: async (ctx, token, source, grantType) => {
      const requested = requestedDetails(ctx)
      // A client by itself has nobody to ask: that it is registered for the type is what allows it.
      const granted =
        grantType === 'client_credentials' ? requested : ((source?.rar ?? []) as AuthorizationDetail[])
      if (!requested.every(detail => granted.some(known => isWithin(known, detail))))
        throw new errors.InvalidAuthorizationDetails('more is asked for than was granted')
      return detailsFor(requested.length > 0 ? requested : granted, token.aud)
    },
    authorizationDetailsForIntrospection: async (_ctx, token) => token.rar
  }) satisfies NonNullable<Configuration['features']>['richAuthorizationRequests']
