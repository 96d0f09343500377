// What our own pages' scripts are answered.
import type { FastifyReply } from 'fastify'
import { PageOutOfDate } from './errors.ts'

/**
 * Answers a page's script with `data` as JSON; null: what the page is for is over. Its request is a form's: a POST with
 * `_csrf`, on a route with the options `ownForm`, counted as other forms are. Errors reach the
 * script as JSON too, for it asks for that.
 */
export function answerScript(reply: FastifyReply, data: object | null): FastifyReply {
  if (data === null) throw new PageOutOfDate()
  return reply.header('cache-control', 'no-store').type('application/json; charset=utf-8').send(data)
}
