// The JWT bearer grant (RFC 7523 §2.1): a workload shows a token of its own issuer, and gets one of the client that it is.
import { errors, type TokenEndpointGrantContext } from 'oidc-provider'
import {
  buildTokenResponse,
  checkDpopReplay,
  checkDpopRequired,
  checkMtlsCert,
  resolveRequestedResources,
  validateClientScope,
  validateDpop
} from 'oidc-provider/lib/helpers/grants.js'
import { eventWrite } from '../audit/service.ts'
import type { Oidc } from './oidc.ts'
import { routes } from './provider.ts'
import { currentUnit } from './unit-of-work.ts'
import { recogniseWorkload, takeAssertion } from './workload-assertions.ts'

type Koa = TokenEndpointGrantContext<{ assertion?: string }>

/**
 * The grant's handler: a token of the client by itself, as by client_credentials. Spends the assertion and the DPoP
 * proof; records `workload.token_issued`. Whatever is wrong with an assertion, the answer is the same; the log tells.
 */
export async function grantToWorkload(oidc: Oidc, ctx: Koa): Promise<void> {
  const { issuer } = oidc.ctx.config
  const { provider, client } = ctx.oidc
  const { assertion } = ctx.oidc.params
  if (assertion === undefined) throw new errors.InvalidRequest('missing required parameter(s) assertion')
  const dPoP = await validateDpop(provider, ctx)
  checkDpopRequired(provider, ctx, dPoP)
  const outcome = await recogniseWorkload(oidc.ctx, {
    clientId: client.clientId,
    assertion,
    audiences: [issuer, new URL(routes.token, issuer).href]
  })
  if (!outcome.ok) throw refuse(oidc, ctx, outcome.reason)

  const token = await createToken(ctx)
  const certificate = checkMtlsCert(provider, ctx)
  if (certificate !== undefined) token.setThumbprint('x5t', certificate)
  if (dPoP !== undefined) token.setThumbprint('jkt', dPoP.thumbprint)
  // Spent last: a request that is refused for another reason may be mended and sent again.
  if (!(await takeAssertion(oidc.ctx, outcome.assertion))) throw refuse(oidc, ctx, 'replayed')
  await checkDpopReplay(provider, ctx, dPoP, client.clientId)

  ctx.oidc.entity('ClientCredentials', token)
  const accessToken = await token.save()
  const { workload, subject } = outcome.assertion
  const details = { workload: workload.id, issuer: workload.issuer, subject, audience: token.aud ?? null }
  const request = currentUnit().asker?.()
  const write = eventWrite(
    { now: oidc.ctx.now, ...(request === undefined ? {} : { request }) },
    { type: 'workload.token_issued', clientId: client.clientId, details }
  )
  currentUnit().issuing.push({ write })
  ctx.body = buildTokenResponse(provider, {
    accessToken,
    expiresIn: token.expiration,
    scope: token.scope || undefined,
    tokenType: token.tokenType
  })
}

/** As the library's client_credentials: for one resource, with such of the scopes asked for as the client has there. */
async function createToken(ctx: Koa) {
  const { provider, client } = ctx.oidc
  const [server, ...more] = await resolveRequestedResources(provider, ctx)
  if (more.length > 0) throw new errors.InvalidTarget('one resource at a time: ask once for each')
  const scopes = [...validateClientScope(provider, ctx)]
  const held = server === undefined ? scopes : scopes.filter(scope => server.scopes.has(scope))
  const token = new provider.ClientCredentials({
    client,
    ...(held.length > 0 ? { scope: held.join(' ') } : {})
  })
  if (server !== undefined) token.resourceServer = server
  return token
}

function refuse({ ctx: { log } }: Oidc, ctx: Koa, reason: string): errors.InvalidGrant {
  const requestId = currentUnit().asker?.()?.id
  log.info(
    { reason, clientId: ctx.oidc.client.clientId, requestId },
    'an assertion of a workload was refused'
  )
  return new errors.InvalidGrant('assertion is not acceptable')
}
