// What a use case is told of the request that it answers.
import { isIP } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { deviceCookie } from '../lib/cookies.ts'

/** The service's context with this request's facts and log. */
export function requestContext(service: Context, request: FastifyRequest): Context {
  const { 'user-agent': userAgent = '' } = request.headers
  const deviceToken = request.cookies?.[deviceCookie(service.config.issuer)]
  const known = deviceToken !== undefined && /^[\w-]{43}$/.test(deviceToken)
  const facts = { id: request.id, ip: addressOf(request), userAgent, ...(known ? { deviceToken } : {}) }
  return { ...service, log: request.log, request: facts }
}

/**
 * The address that a request comes from. Where what a trusted proxy passed on is none (`unknown`, or one with a port,
 * RFC 7239 §6), the proxy's own.
 */
export function addressOf(request: FastifyRequest): string {
  const address = isIP(request.ip) > 0 ? request.ip : (request.socket.remoteAddress ?? '')
  return isIP(address) > 0 ? address.replace(/%.*$/, '') : '::'
}
