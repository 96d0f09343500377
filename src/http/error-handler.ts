// The one place that answers errors: a page for people, JSON for programs, the request id for both. The detail of a
// fault of ours goes to the log and nowhere else.
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { errorPage } from './error-page.ts'
import { describeError, type ErrorAnswer, PageNotFound } from './errors.ts'
import { sendPage } from './view.ts'

/** Sets the error handler and the answer to unknown addresses. `registerViews` must have run. */
export function registerErrorHandler(app: FastifyInstance): void {
  app.setErrorHandler(answerError)
  app.setNotFoundHandler(async (request, reply) => await answerError(new PageNotFound(), request, reply))
}

/**
 * For Fastify's option `frameworkErrors`: a URL that it could not even read. No hook runs before this one, so the
 * headers are put on here.
 */
export async function answerFrameworkError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply
): Promise<FastifyReply> {
  reply.headers(reply.server.securityHeaders)
  return await answerError(error, request, reply)
}

/** Answers `error` as HTML or JSON, whichever the request prefers. */
export async function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply
): Promise<FastifyReply> {
  const answer = describeError(isObject(error) ? error : {})
  if (answer.status >= 500) request.log.error({ err: error }, 'request failed')
  if (answer.retryAfterSeconds !== undefined) reply.header('retry-after', Math.ceil(answer.retryAfterSeconds))
  if (prefersHtml(request.headers.accept)) return await sendErrorPage(answer, request, reply)
  return reply
    .code(answer.status)
    .header('cache-control', 'no-store')
    .send({
      error: {
        code: answer.code,
        message: `${answer.words.title}. ${answer.words.explanation}`,
        ...(answer.details === undefined ? {} : { details: answer.details }),
        requestId: request.id
      }
    })
}

async function sendErrorPage(
  { status, words, link }: ErrorAnswer,
  request: FastifyRequest,
  reply: FastifyReply
): Promise<FastifyReply> {
  return await sendPage(
    reply,
    errorPage,
    { status, ...words, link: link ?? null, requestId: request.id },
    { status }
  )
}

function isObject(error: unknown): error is Partial<FastifyError> {
  return typeof error === 'object' && error !== null
}

/** Browsers ask for text/html by name; what takes anything, as most tools do, is served JSON. @see RFC 9110 §12.5.1 */
export function prefersHtml(accept: string | undefined): boolean {
  const ranges = (accept ?? '').toLowerCase().split(',')
  const quality = (type: string) => {
    const parameters = ranges
      .map(range => range.split(';').map(part => part.trim()))
      .find(([name]) => name === type)
    if (parameters === undefined) return 0
    const q = Number(parameters.find(part => part.startsWith('q='))?.slice(2) ?? 1)
    return Number.isNaN(q) ? 0 : q
  }
  return quality('text/html') > 0 && quality('text/html') >= quality('application/json')
}
