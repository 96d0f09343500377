// Reads the registration of a resource (an API that tokens are asked for).
import { longestTokenSeconds, type SigningAlg, signingAlgs } from '../keys/model.ts'
import { scopeToken } from './member-model.ts'
import { type Fault, openidScopes, type Resource } from './model.ts'
import { resourceIndicatorProblem } from './uri-model.ts'

export type ResourceMetadata = Omit<Resource, 'createdAt' | 'updatedAt'>
export type ResourceInput = {
  identifier: string
  name?: string
  scopes?: string[]
  accessTokenFormat?: string
  accessTokenSigningAlg?: string
  accessTokenLifetimeSeconds?: number
}

/** Checks a resource; `faults` names everything that is wrong. Without a name it goes by its identifier; tokens are JWTs by default. */
export function parseResource(
  input: ResourceInput
): { ok: true; resource: ResourceMetadata } | { ok: false; faults: Fault[] } {
  const faults: Fault[] = []
  const check = (field: string, message: string | null) =>
    void (message !== null && faults.push({ field, message }))
  const { identifier, name = identifier, scopes = [], accessTokenFormat = 'jwt' } = input
  const { accessTokenSigningAlg: alg, accessTokenLifetimeSeconds: lifetime } = input

  check('identifier', resourceIndicatorProblem(identifier))
  check('name', name.trim() === '' || name.length > 500 ? 'must be a name of at most 500 characters' : null)
  for (const scope of scopes) check('scopes', resourceScopeProblem(scope))
  check('access_token_format', ['jwt', 'opaque'].includes(accessTokenFormat) ? null : 'must be jwt or opaque')
  check(
    'access_token_signing_alg',
    alg === undefined || signingAlgs.includes(alg as SigningAlg)
      ? null
      : `must be one of ${signingAlgs.join(', ')}`
  )
  // A key stays published for as long as the longest token (keys/model.ts), so none may last longer.
  check(
    'access_token_lifetime_seconds',
    lifetime === undefined ||
      (Number.isInteger(lifetime) && lifetime >= 30 && lifetime <= longestTokenSeconds)
      ? null
      : `must be a whole number from 30 to ${longestTokenSeconds}`
  )
  if (faults.length > 0) return { ok: false, faults }
  return {
    ok: true,
    resource: {
      identifier,
      name,
      scopes: [...new Set(scopes)],
      accessTokenFormat: accessTokenFormat as Resource['accessTokenFormat'],
      accessTokenSigningAlg: (alg as SigningAlg | undefined) ?? null,
      accessTokenLifetimeSeconds: lifetime ?? null
    }
  }
}

function resourceScopeProblem(scope: string): string | null {
  if (!scopeToken.test(scope) || scope.length > 100) return `${JSON.stringify(scope)} is not a scope`
  return (openidScopes as readonly string[]).includes(scope)
    ? `${scope} is a scope of OpenID Connect and cannot be a resource's`
    : null
}
