// Asks the operator's own service for further claims, before tokens are made. Where none is set up, nothing here runs.
import { createHmac } from 'node:crypto'
import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import { eventWrite } from '../audit/service.ts'
import { type Json, mayBeAdded } from '../clients/claim-model.ts'
import type { ProtocolConfig } from '../config/protocol-schema.ts'
import type { Context } from '../context.ts'
import { fetchOutbound } from '../http/outbound.ts'
import { createCircuitBreaker } from '../lib/circuit-breaker.ts'
import { createId } from '../lib/ids.ts'
import { toSeconds } from '../sessions/model.ts'
import { currentUnit } from './unit-of-work.ts'

/** For the whole exchange: a person waits for it. */
const timeoutMs = 500
const maxAnswerBytes = 16 * 1024
/** Short, since with a hook that must answer no token is made until it is over. */
const patience = { failuresInARow: 3, pauseMs: 10_000 }

export type AddedClaims = { access_token: Record<string, Json>; id_token: Record<string, Json> }
const nothing: AddedClaims = { access_token: {}, id_token: {} }

/** What the hook is told of a token that is about to be made. */
export type TokenFacts = {
  client_id: string
  /** The account's id, whatever the application calls the person; null: the client speaks for itself. */
  account_id: string | null
  /** The subject as the token says it. */
  sub: string
  scopes: string[]
  audience: string | null
  /** What the token says already beside what every token says. */
  claims: object
}

export type TokenHook = (koa: KoaContextWithOIDC, facts: () => Promise<TokenFacts>) => Promise<AddedClaims>

/**
 * The hook of this installation; null without one. It is asked once a request, and its answer is for all tokens of it.
 *
 * What it may not say is left out and logged. Where it fails, by TOKEN_HOOK_FAILURE either none of its claims are told, or
 * nothing is issued and temporarily_unavailable is thrown; a code or refresh token is not used up by that. Either is
 * recorded as `token_hook.failed`. After three failures in a row it is left alone for ten seconds.
 */
export function createTokenHook(ctx: Context): TokenHook | null {
  const { tokenHook } = ctx.config
  if (tokenHook === null) return null
  const breaker = createCircuitBreaker(patience)
  const ask = async (koa: KoaContextWithOIDC, facts: () => Promise<TokenFacts>): Promise<AddedClaims> => {
    const now = ctx.now().getTime()
    if (!breaker.mayTry(now)) return giveUp(koa, tokenHook)
    const told = await facts()
    try {
      const added = await send(ctx, tokenHook, {
        grant_type: koa.oidc.params?.grant_type ?? 'implicit',
        ...told
      })
      breaker.succeeded()
      return added
    } catch (error) {
      breaker.failed(now)
      noteFailure(ctx, told, error)
      return giveUp(koa, tokenHook)
    }
  }
  return async (koa, facts) => {
    const unit = currentUnit()
    unit.addedClaims ??= ask(koa, facts)
    return await unit.addedClaims
  }
}

function giveUp(
  koa: KoaContextWithOIDC,
  { failOpen }: NonNullable<ProtocolConfig['tokenHook']>
): AddedClaims {
  if (failOpen) return nothing
  koa.set('retry-after', String(patience.pauseMs / 1000))
  const error = new errors.TemporarilyUnavailable('claims are not to be had just now')
  throw Object.assign(error, { status: 503, statusCode: 503 })
}

/** Written whatever becomes of the request. */
function noteFailure(
  ctx: Context,
  { client_id: clientId, account_id: accountId }: TokenFacts,
  error: unknown
): void {
  const reason = reasonOf(error)
  ctx.log.warn({ reason, clientId }, 'the token hook failed')
  const { asker, lasting } = currentUnit()
  const about = { clientId, ...(accountId === null ? {} : { accountId }) }
  const asked = asker === null ? {} : { request: asker() }
  const event = { type: 'token_hook.failed', ...about, details: { reason } }
  lasting.push({ write: eventWrite({ now: ctx.now, ...asked }, event) })
}

/** Thrown with a message of ours, which is fit for the log. */
class UselessAnswer extends Error {}

/** What went wrong, in words that tell nothing of what was sent. */
function reasonOf(error: unknown): string {
  if (error instanceof UselessAnswer) return error.message
  const { name, code = '' } = error as NodeJS.ErrnoException
  return `${name} ${typeof code === 'string' ? code : ''}`.trim()
}

/**
 * The signature is HMAC-SHA-256 under TOKEN_HOOK_SECRET over the moment and the body with a dot between: whoever checks the
 * moment too cannot be made to believe an old request.
 */
async function send(
  ctx: Context,
  { url, secret }: NonNullable<ProtocolConfig['tokenHook']>,
  facts: object
): Promise<AddedClaims> {
  const at = toSeconds(ctx.now())
  const { issuer } = ctx.config
  const body = JSON.stringify({ id: createId(ctx.now()), type: 'token.issue', issuer, ...facts })
  const signature = createHmac('sha256', secret).update(`${at}.${body}`).digest('hex')
  const answer = await fetchOutbound(ctx.config, url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      'gatehouse-signature': `t=${at},v1=${signature}`
    },
    body,
    timeoutMs,
    maxBytes: maxAnswerBytes
  })
  if (answer.status === 204) return nothing
  if (answer.status !== 200) throw new UselessAnswer(`status ${answer.status}`)
  return readAnswer(ctx, await answer.text())
}

function readAnswer({ log }: Context, text: string): AddedClaims {
  const answer = parse(text)
  if (!isObject(answer) || text.includes('\\u0000')) throw new UselessAnswer('no JSON object')
  const { access_token = {}, id_token = {} } = answer
  if (!isObject(access_token) || !isObject(id_token))
    throw new UselessAnswer('claims that are no JSON object')
  const refused: string[] = []
  const allowed = (claims: Record<string, Json>) =>
    Object.fromEntries(
      Object.entries(claims).filter(([name]) => mayBeAdded(name) || void refused.push(name.slice(0, 100)))
    )
  const added = { access_token: allowed(access_token), id_token: allowed(id_token) }
  if (refused.length > 0) log.warn({ refused }, 'the token hook named claims that it may not set')
  return added
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}

const isObject = (value: unknown): value is Record<string, Json> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

type IdTokenModel = {
  prototype: {
    ctx?: KoaContextWithOIDC
    set: (claim: string, value: Json) => void
    issue: (options: { use: string }) => Promise<string>
  }
}

/** Puts the hook's claims into ID tokens: the library picks from an account's claims what it knows, and these it does not. */
export function addToIdTokens(
  provider: Provider,
  hook: TokenHook,
  factsOf: (koa: KoaContextWithOIDC) => Promise<TokenFacts>
): void {
  const { prototype } = provider.IdToken as unknown as IdTokenModel
  const { issue } = prototype
  prototype.issue = async function (options) {
    const { ctx: koa } = this
    if (options.use === 'idtoken' && koa !== undefined) {
      const { id_token } = await hook(koa, () => factsOf(koa))
      for (const [claim, value] of Object.entries(id_token)) this.set(claim, value)
    }
    return await issue.call(this, options)
  }
}
