// Where applications register themselves and manage that: JSON in, JSON out, and the errors of RFC 7591 §3.2.2.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Json } from '../clients/registration-model.ts'
import {
  type Credentials,
  type Refusal,
  readRegistration,
  registerItself,
  removeRegistration,
  replaceRegistration
} from '../clients/registration-service.ts'
import type { Config } from '../config/schema.ts'
import { takeRegistration } from '../credentials/guess-service.ts'
import { answerError } from '../http/error-handler.ts'
import { requestContext } from '../http/request-context.ts'
import type { Oidc } from './oidc.ts'
import { registrationPath } from './provider.ts'

const bodyLimit = 64 * 1024

type ManagementRequest = FastifyRequest<{ Params: { client_id: string } }>

/** Registers /register and /register/:client_id, in a scope of their own: nowhere else is JSON read. */
export async function mountRegistration(app: FastifyInstance, oidc: Oidc): Promise<void> {
  await app.register(async scope => {
    scope.removeAllContentTypeParsers()
    // A prototype in the body is refused, not dropped: what sent it meant harm.
    const parse = scope.getDefaultJsonParser('error', 'error')
    scope.addContentTypeParser('application/json', { parseAs: 'string', bodyLimit }, parse)
    scope.setErrorHandler(answerFault)
    allowScripts(scope)
    mountCreation(scope, oidc)
    mountManagement(scope, oidc)
  })
}

/** Where we may be made to fetch what a registration names. */
const limitsUnder = ({ conformance }: Config) => (conformance ? {} : { config: { rateLimit: {} } })

function mountCreation(scope: FastifyInstance, oidc: Oidc): void {
  const { config } = oidc.ctx
  const { conformance } = config
  scope.post(registrationPath, limitsUnder(config), async (request, reply) => {
    const ctx = requestContext(oidc.ctx, request)
    const initialAccessToken = bearerToken(request)
    // Whoever was given a token is counted by that.
    const taken =
      conformance || initialAccessToken !== null ? { ok: true as const } : await takeRegistration(ctx)
    if (!taken.ok) return tooMany(reply, taken.retryAfterSeconds)
    const { accepts } = oidc.current().registry.registered
    const outcome = await registerItself(ctx, request.body, { initialAccessToken, accepts })
    return outcome.ok ? reply.code(201).send(outcome.information) : refuse(reply, request, outcome)
  })
}

function mountManagement(scope: FastifyInstance, oidc: Oidc): void {
  const url = `${registrationPath}/:client_id`
  const answer = (
    request: FastifyRequest,
    reply: FastifyReply,
    outcome: { ok: true; information: Json } | Refusal
  ) => (outcome.ok ? reply.send(outcome.information) : refuse(reply, request, outcome))
  scope.get(url, { exposeHeadRoute: false }, async (request: ManagementRequest, reply) =>
    answer(request, reply, await readRegistration(requestContext(oidc.ctx, request), credentialsOf(request)))
  )
  scope.put(url, limitsUnder(oidc.ctx.config), async (request: ManagementRequest, reply) => {
    const change = { said: request.body, accepts: oidc.current().registry.registered.accepts }
    const ctx = requestContext(oidc.ctx, request)
    return answer(request, reply, await replaceRegistration(ctx, credentialsOf(request), change))
  })
  scope.delete(url, async (request: ManagementRequest, reply) => {
    const outcome = await removeRegistration(requestContext(oidc.ctx, request), credentialsOf(request))
    return outcome.ok ? reply.code(204).send() : refuse(reply, request, outcome)
  })
}

const credentialsOf = (request: ManagementRequest): Credentials => ({
  clientId: request.params.client_id,
  token: bearerToken(request) ?? ''
})

/** Null where none was sent; the empty text, which is no token, where the header holds something else. */
function bearerToken({ headers: { authorization } }: FastifyRequest): string | null {
  if (authorization === undefined) return null
  return /^Bearer +([\w.~+/-]+=*)$/i.exec(authorization)?.[1] ?? ''
}

function refuse(reply: FastifyReply, request: FastifyRequest, refusal: Refusal): FastifyReply {
  switch (refusal.reason) {
    case 'unauthorized': {
      const sent = request.headers.authorization !== undefined
      return reply
        .code(401)
        .header('www-authenticate', sent ? 'Bearer error="invalid_token"' : 'Bearer')
        .send({ error: 'invalid_token', error_description: 'a token that is good for this is needed' })
    }
    case 'full':
      return tooMany(reply, 3600)
    case 'refused':
      return reply.code(400).send({ error: refusal.error, error_description: refusal.error_description })
  }
}

const tooMany = (reply: FastifyReply, seconds: number): FastifyReply =>
  reply
    .code(429)
    .header('retry-after', seconds)
    .send({ error: 'temporarily_unavailable', error_description: 'too many registrations: try again later' })

/** Scripts of any page may register their application (Fetch §3.3); no cookie is read here, so none is let along. */
function allowScripts(scope: FastifyInstance): void {
  scope.addHook('onRequest', (_request, reply, done) => {
    reply.header('access-control-allow-origin', '*')
    reply.header('access-control-expose-headers', 'www-authenticate, retry-after')
    done()
  })
  for (const url of [registrationPath, `${registrationPath}/:client_id`])
    scope.options(url, (_request, reply) =>
      reply
        .code(204)
        .headers({
          'access-control-allow-methods': 'GET, POST, PUT, DELETE',
          'access-control-allow-headers': 'authorization, content-type, mcp-protocol-version',
          'access-control-max-age': '3600'
        })
        .send()
    )
}

const faultTexts: Record<number, string> = {
  400: 'the request must be a JSON object',
  413: 'the request must not be larger than 64 KiB',
  415: 'the request must be application/json'
}

/** What Fastify itself refuses, in the words of the protocol; a fault of ours is answered as everywhere. */
async function answerFault(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply
): Promise<FastifyReply> {
  const { statusCode = 500, retryAfterSeconds = 60 } = error as {
    statusCode?: number
    retryAfterSeconds?: number
  }
  if (statusCode === 429) return tooMany(reply, retryAfterSeconds)
  const error_description = faultTexts[statusCode]
  if (error_description === undefined) return await answerError(error, request, reply)
  return reply.code(statusCode).send({ error: 'invalid_client_metadata', error_description })
}
