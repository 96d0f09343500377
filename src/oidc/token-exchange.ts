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
import type { ExchangePolicy } from '../clients/exchange-model.ts'
import { toSeconds } from '../sessions/model.ts'
import type { Actor } from './model.ts'
import type { Oidc } from './oidc.ts'
import { type Presented, presentableTypes, readPresented } from './presented-tokens.ts'
import type { RegisteredClient } from './registry.ts'
import { decideExchange, exchangeableScopes, type Refusal } from './token-exchange-model.ts'
import { currentUnit } from './unit-of-work.ts'

export const tokenExchange = 'urn:ietf:params:oauth:grant-type:token-exchange'
export const tokenExchangeParameters = [
  'subject_token',
  'subject_token_type',
  'actor_token',
  'actor_token_type',
  'requested_token_type',
  'audience',
  'resource',
  'scope'
]

type Koa = TokenEndpointGrantContext
type Asked = { token: string; type: string }
type Request = { subject: Asked; actor: Asked | null; asJwt: boolean; audience: string | null }
type Token = (AccessToken | ClientCredentials) & { expiresIn?: number }

const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const jwtType = 'urn:ietf:params:oauth:token-type:jwt'

/**
 * The grant's handler. Spends the DPoP proof, if one came. Records `token.exchanged`, or `token.exchange_refused` with the
 * reason, of which the answer tells no more than the client knows.
 */
export const createTokenExchange =
  (oidc: Oidc) =>
  async (ctx: Koa): Promise<void> => {
    const { provider } = ctx.oidc
    const client = ctx.oidc.client as RegisteredClient
    const request = readRequest(ctx.oidc.params)
    const dPoP = await validateDpop(provider, ctx)
    const certificate = checkMtlsCert(provider, ctx)
    checkDpopRequired(provider, ctx, dPoP)

    const { subject, actor } = await readTokens(oidc, ctx, request)
    const token = draft(provider, client, subject)
    if (certificate !== undefined) token.setThumbprint('x5t', certificate)
    if (dPoP !== undefined) token.setThumbprint('jkt', dPoP.thumbprint)

    const audience = request.audience ?? onlyOne(client.token_exchange?.audiences)
    const provenKeys = { jkt: token.jkt, x5t: token['x5t#S256'] }
    const exchanger = { ...pickPolicy(client), provenKeys }
    const about = { subject, actor }
    if (audience === null) throw refuse(oidc, ctx, 'audience_not_allowed', about)
    const decision = decideExchange({
      client: exchanger,
      subject,
      actor,
      audience,
      issuer: oidc.ctx.config.issuer
    })
    if (!decision.ok) throw refuse(oidc, ctx, decision.reason, about)

    await applyResource(oidc, ctx, { token, audience, asJwt: request.asJwt, about })
    applyScope(oidc, ctx, { token, audience, policy: decision.policy, about })
    limitLifetime(oidc, token, [decision.policy.max_lifetime_seconds, subject, actor])
    await checkDpopReplay(provider, ctx, dPoP, client.clientId)
    await issue(oidc, ctx, { token, audience, asJwt: request.asJwt, about, act: decision.act })
  }

type About = { subject: Presented | null; actor: Presented | null }

const onlyOne = (values: string[] | undefined) => (values?.length === 1 ? (values[0] ?? null) : null)

const pickPolicy = ({ clientId, introspection, resources, token_exchange }: RegisteredClient) => ({
  clientId,
  introspection,
  resources,
  ...(token_exchange === undefined ? {} : { token_exchange })
})

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
  return { subject, actor: readToken(params, 'actor_token'), asJwt: type === jwtType, audience }
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
  ctx: Koa,
  request: Request
): Promise<{ subject: Presented; actor: Presented | null }> {
  const { provider } = ctx.oidc
  const [subject, actor] = await Promise.all([
    readPresented(oidc, provider, request.subject),
    request.actor === null ? null : readPresented(oidc, provider, request.actor)
  ])
  if (subject === null) throw refuse(oidc, ctx, 'subject_token_invalid', { subject, actor })
  // A person is told to each such client by another name, and the chain would give away which is whose.
  const isPairwise = actor !== null && actor.accountId !== null && actor.subject !== actor.accountId
  if (request.actor !== null && (actor === null || isPairwise))
    throw refuse(oidc, ctx, 'actor_token_invalid', { subject, actor: null })
  return { subject, actor }
}

function draft(provider: Provider, client: RegisteredClient, { accountId }: Presented): Token {
  return accountId === null
    ? new provider.ClientCredentials({ client })
    : // Its grant is in the unit of work: the library would end it along with this token.
      new provider.AccessToken({ client, accountId, gty: tokenExchange } as never)
}

async function applyResource(
  oidc: Oidc,
  ctx: Koa,
  { token, audience, asJwt, about }: { token: Token; audience: string; asJwt: boolean; about: About }
): Promise<void> {
  ctx.oidc.params.resource = audience
  const [server] = await resolveRequestedResources(ctx.oidc.provider, ctx).catch(error => {
    throw error instanceof errors.InvalidTarget ? refuse(oidc, ctx, 'audience_not_allowed', about) : error
  })
  if (server === undefined) throw refuse(oidc, ctx, 'audience_not_allowed', about)
  if (asJwt && server.accessTokenFormat !== 'jwt')
    throw new errors.InvalidRequest('requested_token_type: tokens for this audience are opaque')
  token.resourceServer = server
}

function applyScope(
  oidc: Oidc,
  ctx: Koa,
  { token, audience, policy, about }: { token: Token; audience: string; policy: ExchangePolicy; about: About }
): void {
  const { subject } = about
  const scopes = token.resourceServer?.scopes ?? new Set<string>()
  const offered =
    subject === null ? [] : exchangeableScopes(policy, subject, { identifier: audience, scopes })
  const asked = [...ctx.oidc.requestParamScopes]
  if (asked.some(scope => !offered.includes(scope))) throw refuse(oidc, ctx, 'scope_not_allowed', about)
  const scope = (asked.length > 0 ? asked : offered).join(' ')
  if (scope !== '') token.scope = scope
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
  oidc: Oidc,
  ctx: Koa,
  made: { token: Token; audience: string; asJwt: boolean; about: About; act: Actor | null }
): Promise<void> {
  const { token, audience, about, act } = made
  const { subject } = about
  const unit = currentUnit()
  unit.exchange = {
    grantId: subject?.grantId ?? null,
    sessionUid: subject?.sessionUid ?? null,
    subjectClientId: subject?.accountId === null ? subject.subject : null,
    act
  }
  ctx.oidc.entity(token.kind as 'AccessToken', token as never)
  const accessToken = await token.save()
  const details = { ...detailsOf(about), audience, scope: token.scope ?? '' }
  unit.issuing.push({ write: event(oidc, ctx, { type: 'token.exchanged', details, about }) })
  ctx.body = buildTokenResponse(ctx.oidc.provider, {
    accessToken,
    issuedTokenType: made.asJwt ? jwtType : accessTokenType,
    tokenType: token.tokenType,
    expiresIn: token.expiration,
    scope: token.scope || undefined
  })
}

/** The error to throw, once it is recorded. @see RFC 8693 §2.2.2 */
function refuse(oidc: Oidc, ctx: Koa, reason: Refusal, about: About): errors.OIDCProviderError {
  const details = { ...detailsOf(about), reason }
  currentUnit().lasting.push({ write: event(oidc, ctx, { type: 'token.exchange_refused', details, about }) })
  switch (reason) {
    case 'no_policy':
      return new errors.UnauthorizedClient('this client may not exchange tokens')
    case 'audience_not_allowed':
      return new errors.InvalidTarget()
    case 'scope_not_allowed':
      return new errors.InvalidScope('requested scope is not allowed', ctx.oidc.params.scope ?? '')
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
