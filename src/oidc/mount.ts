// oidc-provider inside Fastify: explicit routes hand the raw request over, with every header that could name another host replaced.
import { hash } from 'node:crypto'
import { IncomingMessage, ServerResponse } from 'node:http'
import { Socket } from 'node:net'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errors, type KoaContextWithOIDC, type Provider } from 'oidc-provider'
import { addressOf } from '../http/request-context.ts'
import { flushWithNotices } from './back-channel-logout.ts'
import { refuseEmptyScope } from './empty-scope.ts'
import { allowFormDestination } from './form-posts.ts'
import { graceSeconds } from './lifetimes.ts'
import { finishMetadata } from './metadata.ts'
import type { Oidc } from './oidc.ts'
import { slowDown } from './polling.ts'
import { finishUserinfo, protectedResourcePath } from './protected-resource.ts'
import { routes } from './provider.ts'
import { noteUse } from './registered-use.ts'
import { findLostSuccessor, LostRotation } from './rotation.ts'
import { settleSession } from './session-adapters.ts'
import { answerForStructuredToken } from './structured-tokens.ts'
import { createUnit, currentUnit, inUnit, type UnitOfWork } from './unit-of-work.ts'
import { toAnswerable } from './unstorable.ts'

/** What the library is asked for once, and is then answered from memory. */
export const metadataPaths = [
  '/.well-known/openid-configuration',
  '/.well-known/oauth-authorization-server',
  routes.jwks
]

const paths: [string[], string[]][] = [
  [
    ['GET'],
    [
      routes.authorization,
      `${routes.authorization}/:uid`,
      routes.end_session,
      `${routes.end_session}/success`,
      `${routes.code_verification}/:uid`
    ]
  ],
  [['GET', 'POST', 'OPTIONS'], [routes.userinfo]],
  [['POST'], [`${routes.end_session}/confirm`]],
  [
    ['POST', 'OPTIONS'],
    [
      routes.token,
      routes.introspection,
      routes.revocation,
      routes.pushed_authorization_request,
      routes.device_authorization
    ]
  ]
]

/** Registers the protocol's endpoints. */
export async function mountProvider(app: FastifyInstance, oidc: Oidc): Promise<void> {
  await app.register(async scope => {
    // The library reads the body itself.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('*', (_request, _payload, done) => done(null))
    if (oidc.ctx.config.conformance) (await import('./request-objects.ts')).readRequestObjects(scope, oidc)
    const all: typeof paths = oidc.ctx.config.ciba
      ? [...paths, [['POST'], [routes.backchannel_authentication]]]
      : paths
    for (const [method, urls] of all)
      for (const url of urls)
        scope.route({
          method,
          url,
          exposeHeadRoute: false,
          handler: (request, reply) => handOver(oidc, request, reply)
        })
  })
  await app.register(async scope => turnPostsToGets(scope))
  await app.register(async scope => serveMetadata(scope, oidc))
  if (oidc.ctx.config.registration.mode !== 'off') {
    const { mountRegistration } = await import('./registration-routes.ts')
    await mountRegistration(app, oidc)
  }
}

/**
 * Authorization and sign-out requests may come as POST (OpenID Connect Core 1.0 §3.1.2.1, RP-Initiated Logout 1.0 §2),
 * from another site and so without the session's SameSite cookie. The same request as GET brings it along.
 */
function turnPostsToGets(scope: FastifyInstance): void {
  scope.removeAllContentTypeParsers()
  scope.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string', bodyLimit: 8 * 1024 },
    (_request, body, done) => done(null, body)
  )
  for (const url of [routes.authorization, routes.end_session])
    scope.post<{ Body: string | null }>(url, (request, reply) =>
      // Read and written anew: what a header must not hold is percent-encoded, repeated parameters stay repeated.
      reply.redirect(`${url}?${new URLSearchParams(request.body ?? '')}`, 303)
    )
}

function handOver(oidc: Oidc, request: FastifyRequest, reply: FastifyReply): FastifyReply {
  const unit = createUnit(oidc.ctx.now())
  // First: the headers that tell the address behind a proxy are gone afterwards.
  const behindProxy = oidc.ctx.config.trustedProxies.length > 0 ? addressOf(request) : null
  unit.asker = () => ({
    id: request.id,
    ip: behindProxy ?? addressOf(request),
    userAgent: request.headers['user-agent'] ?? ''
  })
  pinHost(request.raw, isForCertificates(oidc, request) ? oidc.mtlsOrigin : oidc.issuer)
  return letAnswer(oidc, { raw: Object.assign(request.raw, { id: request.id }), reply, unit })
}

/** Has the library answer `raw`, whose host is pinned and which need not be the request that came, by way of `reply`. */
export function letAnswer(
  oidc: Oidc,
  { raw, reply, unit }: { raw: IncomingMessage; reply: FastifyReply; unit: UnitOfWork }
): FastifyReply {
  for (const name of Object.keys(oidc.headers)) reply.raw.setHeader(name, oidc.headers[name] ?? '')
  reply.hijack()
  inUnit(unit, () => oidc.current().callback(raw, reply.raw))
  return reply
}

/**
 * Whether an endpoint of applications is asked at its alias for clients with certificates: proofs and assertions are then
 * made for that address. What browsers ask has the issuer's only.
 *
 * @see RFC 8705 §5, RFC 9449 §4.3
 */
const isForCertificates = ({ issuer, mtlsOrigin }: Oidc, { raw, method, routeOptions }: FastifyRequest) =>
  raw.headers.host === mtlsOrigin.host &&
  mtlsOrigin !== issuer &&
  (method === 'POST' || routeOptions.url === routes.userinfo) &&
  !String(routeOptions.url).startsWith(routes.end_session)

/** URLs that the library emits are made from the request: it gets to see the issuer's host and scheme only. */
export function pinHost(raw: IncomingMessage, issuer: URL): void {
  raw.headers.host = issuer.host
  raw.headers['x-forwarded-proto'] = issuer.protocol.slice(0, -1)
  for (const name of ['x-forwarded-host', 'x-forwarded-for', 'forwarded', ':authority'])
    delete raw.headers[name]
  // An absolute-form target (RFC 9112 §3.2.2) would bring a host of its own.
  if (raw.url !== undefined && !raw.url.startsWith('/')) {
    const { pathname = '/', search = '' } = URL.parse(raw.url) ?? {}
    raw.url = `${pathname}${search}`
  }
}

/** Where the library's answer is not the whole truth, by the name of its route. */
const finishers: Record<string, (oidc: Oidc, koa: KoaContextWithOIDC) => void | Promise<void>> = {
  introspection: answerForStructuredToken,
  revocation: answerForStructuredToken,
  discovery: finishMetadata,
  userinfo: finishUserinfo,
  token: async (oidc, koa) => {
    await slowDown(oidc, koa)
    refuseEmptyScope(koa)
  }
}

/** Around everything that the library does: what it wanted written is written before its answer leaves. */
export function settleBeforeAnswer(oidc: Oidc, provider: Provider): void {
  provider.use(async (ctx, next) => {
    await next()
    await finishers[ctx.oidc?.route as string]?.(oidc, ctx as KoaContextWithOIDC)
    allowFormDestination(ctx as KoaContextWithOIDC)
    // Koa calls nothing text/plain, which libraries refuse as an answer to a revocation (RFC 7009 §2.2, RFC 9110 §8.3).
    if (ctx.body === '') ctx.remove('content-type')
    const unit = currentUnit()
    settleSession()
    noteUse(oidc, ctx as KoaContextWithOIDC)
    try {
      await flushWithNotices(oidc.ctx, unit, { failed: ctx.status >= 400 })
    } catch (error) {
      if (!(error instanceof LostRotation)) return answerFault(oidc, ctx as KoaContextWithOIDC, error)
      try {
        const seconds = graceSeconds(oidc.ctx.config, (ctx as KoaContextWithOIDC).oidc.client)
        const clock = { now: oidc.ctx.now, graceSeconds: seconds }
        unit.successor = await findLostSuccessor(oidc.ctx.sql, clock, error.value)
      } catch (gone) {
        return answerFault(oidc, ctx as KoaContextWithOIDC, gone)
      }
    }
    const body = ctx.body as { refresh_token?: string } | null
    if (unit.successor !== null && body?.refresh_token !== undefined) body.refresh_token = unit.successor
  })
}

/** The answer was made, but its writes failed: nothing of it may leave. */
async function answerFault(oidc: Oidc, ctx: KoaContextWithOIDC, fault: unknown): Promise<void> {
  for (const name of ['location', 'set-cookie']) ctx.remove(name)
  const error = toAnswerable(fault)
  if (error instanceof errors.OIDCProviderError) {
    ctx.status = error.status
    ctx.body = { error: error.error, error_description: error.error_description }
  } else {
    oidc.ctx.log.error(
      { err: error, requestId: (ctx.req as { id?: string }).id },
      'an answer could not be written down'
    )
    ctx.status = 503
    ctx.set('retry-after', '5')
    ctx.body = { error: 'temporarily_unavailable', error_description: 'try again in a moment' }
  }
  if (ctx.accepts('json', 'html') === 'html')
    await oidc.renderError(ctx, ctx.body as errors.OIDCProviderError, error as Error)
}

/** A document of the library's, as it would send it to anyone. */
export async function readDocument(
  provider: Provider,
  { ctx, issuer }: Pick<Oidc, 'ctx' | 'issuer'>,
  path: string
): Promise<string> {
  const request = new IncomingMessage(new Socket())
  request.method = 'GET'
  request.url = path
  pinHost(request, issuer)
  const response = new ServerResponse(request)
  return await new Promise<string>((resolve, reject) => {
    response.end = ((chunk: string | Buffer) => {
      if (response.statusCode === 200) resolve(chunk.toString())
      else reject(new Error(`${path} answered ${response.statusCode}`))
      return response
    }) as typeof response.end
    inUnit(createUnit(ctx.now()), () => provider.callback()(request, response))
  })
}

/** Discovery and the key set change only with the keys: they are answered from memory, with headers made in advance. */
function serveMetadata(scope: FastifyInstance, oidc: Oidc): void {
  for (const path of [...metadataPaths, protectedResourcePath]) {
    scope.get(path, (request, reply) => {
      const { etag, body, headers } = oidc.document(path)
      const known = request.headers['if-none-match'] === etag
      reply.hijack()
      reply.raw.writeHead(known ? 304 : 200, known ? headers.known : headers.whole)
      reply.raw.end(known ? undefined : body)
      return reply
    })
    scope.options(path, (_request, reply) =>
      reply
        .code(204)
        .headers({
          'access-control-allow-origin': '*',
          'access-control-allow-methods': 'GET',
          // Scripts of MCP clients send their protocol's version along.
          'access-control-allow-headers': '*',
          'access-control-max-age': '3600'
        })
        .send()
    )
  }
}

/** `headers` as Node writes them: names and values by turns. `known`: for a client that has this version. */
export type Document = { body: string; etag: string; headers: { whole: string[]; known: string[] } }

/** A document with its headers, `headers` among them. */
export function toDocument(path: string, body: string, headers: Record<string, string>): Document {
  const etag = `"${hash('sha256', body, 'base64url').slice(0, 22)}"`
  const known = Object.entries({
    ...headers,
    'access-control-allow-origin': '*',
    'cache-control': 'public, max-age=3600, stale-if-error=86400',
    etag
  }).flat()
  const type = path === routes.jwks ? 'application/jwk-set+json' : 'application/json'
  const length = String(Buffer.byteLength(body))
  const whole = [...known, 'content-type', `${type}; charset=utf-8`, 'content-length', length]
  return { body, etag, headers: { whole, known } }
}
