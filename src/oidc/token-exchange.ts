// Token exchange (RFC 8693): a client gets a token for a resource in place of one that it was shown, in the name of the same
// person or client. What may be had for what is the model's; this reads the request, and makes and records what comes of it.
import {
  type AccessToken,
  type ClientCredentials,
  errors,
  type Provider,
  type TokenEndpointGrantContext
} from 'oidc-provider'
import {
  buildTokenResponse,
  checkDpopReplay,
  checkDpopRequired,
  checkMtlsCert,
  resolveRequestedResources,
  validateDpop
} from 'oidc-provider/lib/helpers/grants.js'
import { eventWrite } from '../audit/service.ts'
import { tokenExchange } from '../clients/model.ts'
import { toSeconds } from '../sessions/model.ts'
import type { Actor } from './model.ts'
import type { Oidc } from './oidc.ts'
import { type Presented, presentableTypes, readPresented } from './presented-tokens.ts'
import type { RegisteredClient } from './registry.ts'
import { decideExchange, exchangeableScopes, type Refusal } from './token-exchange-model.ts'
import { currentUnit } from './unit-of-work.ts'

type Koa = TokenEndpointGrantContext
type Asked = { token: string; type: string }
type Request = { subject: Asked; actor: Asked | null; type: string; audience: string | null }
type Token = (AccessToken | ClientCredentials) & { expiresIn?: number }

const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const jwtType = 'urn:ietf:params:oauth:token-type:jwt'

/** Whom and whose tokens an exchange is about, as far as that is known. */
type About = { subject: Presented | null; actor: Presented | null }

/** An exchange that must not be. The answer tells no more of it than the client knows. */
class Refused extends Error {
  readonly reason: Refusal
  constructor(reason: Refusal) {
    super(reason)
    this.reason = reason
  }
}

/**
 * The grant's handler. Spends the DPoP proof, if one came. Records `token.exchanged`, or `token.exchange_refused` with the
 * reason.
 */
export async function exchangeToken(oidc: Oidc, ctx: Koa): Promise<void> {
  const about: About = { subject: null, actor: null }
  try {
    await exchange(oidc, ctx, about)
  } catch (error) {
    if (!(error instanceof Refused)) throw error
    const details = { ...detailsOf(about), reason: error.reason }
    const write = event(oidc, ctx, { type: 'token.exchange_refused', details, about })
    currentUnit().lasting.push({ write })
    throw answerTo(error.reason, ctx)
  }
}

async function exchange(oidc: Oidc, ctx: Koa, about: About): Promise<void> {
  const { provider } = ctx.oidc
  const client = ctx.oidc.client as RegisteredClient
  const request = readRequest(ctx.oidc.params)
  const dPoP = await validateDpop(provider, ctx)
  const certificate = checkMtlsCert(provider, ctx)
  checkDpopRequired(provider, ctx, dPoP)

  const { subject, actor } = await readTokens(oidc, ctx, { request, about })
  const token = draft(provider, client, subject)
  if (certificate !== undefined) token.setThumbprint('x5t', certificate)
  if (dPoP !== undefined) token.setThumbprint('jkt', dPoP.thumbprint)

  const { clientId, introspection, resources, token_exchange: policy } = client
  const provenKeys = { jkt: token.jkt, x5t: token['x5t#S256'] }
  const decision = decideExchange(policy, {
    client: { clientId, introspection, resources, provenKeys },
    subject,
    actor,
    audience: request.audience,
    issuer: oidc.ctx.config.issuer
  })
  if (!decision.ok) throw new Refused(decision.reason)
  const { audience, act } = decision

  token.resourceServer = await findResourceServer(ctx, audience, request)
  const { scopes } = token.resourceServer
  const offered = exchangeableScopes(decision.policy, subject, { identifier: audience, scopes })
  token.scope = chooseScope(offered, [...ctx.oidc.requestParamScopes])
  limitLifetime(oidc, token, [decision.policy.max_lifetime_seconds, subject, actor])
  await checkDpopReplay(provider, ctx, dPoP, clientId)
  ctx.body = await issue(ctx, { token, subject, act, issuedTokenType: request.type })
  const details = { ...detailsOf(about), audience, scope: token.scope ?? '' }
  currentUnit().issuing.push({ write: event(oidc, ctx, { type: 'token.exchanged', details, about }) })
}

/** Throws what RFC 8693 §2.2.2 asks for where the request is not one. */
function readRequest(params: Record<string, unknown>): Request {
  const subject = readToken(params, 'subject_token')
  if (subject === null) throw new errors.InvalidRequest('missing required parameter(s) subject_token')
  const type = params.requested_token_type ?? accessTokenType
  if (type !== accessTokenType && type !== jwtType)
    throw new errors.InvalidRequest('requested_token_type must be that of an access token, or jwt')
  // A resource indicator and a logical name are the same thing here (RFC 8693 §2.1, RFC 8707 §2).
  const targets = new Set([params.audience, params.resource].flat().filter(target => target !== undefined))
  if (targets.size > 1) throw new errors.InvalidTarget('one audience at a time: ask once for each')
  const [audience = null] = targets as Set<string>
  return { subject, actor: readToken(params, 'actor_token'), type, audience }
}

function readToken(params: Record<string, unknown>, name: string): Asked | null {
  const [token, type] = [params[name], params[`${name}_type`]]
  if (token === undefined && type === undefined) return null
  if (typeof token !== 'string' || typeof type !== 'string')
    throw new errors.InvalidRequest(`${name} and ${name}_type must come together`)
  if (!presentableTypes.includes(type) || (name === 'actor_token' && type.endsWith(':id_token')))
    throw new errors.InvalidRequest(`${name}_type is not supported`)
  return { token, type }
}

async function readTokens(
  oidc: Oidc,
  { oidc: { provider } }: Koa,
  { request, about }: { request: Request; about: About }
): Promise<{ subject: Presented; actor: Presented | null }> {
  const [subject, actor] = await Promise.all([
    readPresented(oidc, provider, request.subject),
    request.actor === null ? null : readPresented(oidc, provider, request.actor)
  ])
  Object.assign(about, { subject, actor })
  if (subject === null) throw new Refused('subject_token_invalid')
  if (request.actor !== null && actor === null) throw new Refused('actor_token_invalid')
  return { subject, actor }
}

function draft(provider: Provider, client: RegisteredClient, { accountId }: Presented): Token {
  return accountId === null
    ? new provider.ClientCredentials({ client })
    : // Its grant is in the unit of work: the library would end it along with this token.
      new provider.AccessToken({ client, accountId, gty: tokenExchange } as never)
}

async function findResourceServer(ctx: Koa, audience: string, { type }: Request) {
  ctx.oidc.params.resource = audience
  const [server] = await resolveRequestedResources(ctx.oidc.provider, ctx).catch(error => {
    throw error instanceof errors.InvalidTarget ? new Refused('audience_not_allowed') : error
  })
  if (server === undefined) throw new Refused('audience_not_allowed')
  if (type === jwtType && server.accessTokenFormat !== 'jwt')
    throw new errors.InvalidRequest('requested_token_type: tokens for this audience are opaque')
  return server
}

function chooseScope(offered: string[], asked: string[]): string | undefined {
  if (asked.some(scope => !offered.includes(scope))) throw new Refused('scope_not_allowed')
  return (asked.length > 0 ? asked : offered).join(' ') || undefined
}

/** The result ends with the resource's lifetime, the policy's, or the tokens that it is made from: whichever is first. */
function limitLifetime(
  { ctx }: Oidc,
  token: Token,
  [most = Infinity, ...sources]: [number | undefined, Presented, Presented | null]
): void {
  const now = toSeconds(ctx.now())
  const ends = sources.map(source => source?.expiresAt ?? Infinity)
  token.exp = Math.min(now + Math.min(token.expiration, most), ...ends)
  token.expiresIn = token.exp - now
}

async function issue(
  ctx: Koa,
  {
    token,
    subject,
    act,
    issuedTokenType
  }: { token: Token; subject: Presented; act: Actor | null; issuedTokenType: string }
): Promise<object> {
  const { grantId, sessionUid, accountId, signIn } = subject
  const subjectClientId = accountId === null ? subject.subject : null
  currentUnit().exchange = { grantId, sessionUid, subjectClientId, act, signIn }
  ctx.oidc.entity(token.kind as 'AccessToken', token as never)
  return buildTokenResponse(ctx.oidc.provider, {
    accessToken: await token.save(),
    issuedTokenType,
    tokenType: token.tokenType,
    expiresIn: token.expiration,
    scope: token.scope || undefined
  })
}

/** @see RFC 8693 §2.2.2 */
function answerTo(reason: Refusal, { oidc }: Koa): errors.OIDCProviderError {
  switch (reason) {
    case 'no_policy':
      return new errors.UnauthorizedClient('this client may not exchange tokens')
    case 'audience_not_allowed':
      return new errors.InvalidTarget()
    case 'scope_not_allowed':
      return new errors.InvalidScope('requested scope is not allowed', oidc.params.scope ?? '')
    case 'impersonation_not_allowed':
      return new errors.InvalidRequest('an actor_token is needed')
    case 'delegation_not_allowed':
      return new errors.InvalidRequest('an actor_token is not allowed')
    case 'actor_token_invalid':
    case 'actor_token_not_allowed':
      return new errors.InvalidRequest('actor_token is not acceptable')
    default:
      return new errors.InvalidRequest('subject_token is not acceptable')
  }
}

/** Of clients and actors alone: tokens are in no event. */
const detailsOf = ({ subject, actor }: About) => ({
  ...(subject === null ? {} : { subject: subject.subject, subject_client: subject.clientId }),
  ...(actor === null ? {} : { actor: actor.subject, actor_client: actor.clientId })
})

type NewEvent = { type: string; details: Record<string, string>; about: About }

function event({ ctx: { now } }: Oidc, ctx: Koa, { type, details, about }: NewEvent) {
  const request = currentUnit().asker?.()
  const accountId = about.subject?.accountId
  return eventWrite(
    { now, ...(request === undefined ? {} : { request }) },
    { type, clientId: ctx.oidc.client.clientId, details, ...(accountId == null ? {} : { accountId }) }
  )
}
