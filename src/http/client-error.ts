// Answers what cannot be read as HTTP: a head that is garbled, too large or too slow. There is no request yet, so the
// answer is written by hand, and the connection ends: where a next request would begin is anybody's guess.
import type { ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import { createId } from '../lib/ids.ts'
import { describeError } from './errors.ts'

const statusByCode: Record<string, [number, string]> = {
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Content Too Large']
}

/** Makes Fastify's option `clientErrorHandler`. @see RFC 9112 §9.6, §11.2 */
export function createClientErrorHandler(now: () => Date) {
  return function answerClientError(this: FastifyInstance, error: Error & { code?: string }, socket: Socket) {
    // Where an answer is on its way already, another one would be read as a part of it.
    const answer = (socket as Socket & { _httpMessage?: ServerResponse })._httpMessage
    if (error.code === 'ECONNRESET' || !socket.writable || answer?.headersSent) return void socket.destroy()
    const [status, reason] = statusByCode[error.code ?? ''] ?? [400, 'Bad Request']
    const { code, words } = describeError({ statusCode: status })
    const body = JSON.stringify({
      error: { code, message: `${words.title}. ${words.explanation}`, requestId: createId(now()) }
    })
    const headers = {
      ...this.securityHeaders,
      'content-type': 'application/json; charset=utf-8',
      'content-length': String(Buffer.byteLength(body)),
      connection: 'close'
    }
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
    socket.end([`HTTP/1.1 ${status} ${reason}`, ...lines, '', body].join('\r\n'))
  }
}
