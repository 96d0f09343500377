// What a use case is told of the request that it answers.
import { BlockList, isIP, isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'

/** The service's context with this request's facts and log. */
export function requestContext(service: Context, request: FastifyRequest): Context {
  const { 'user-agent': userAgent = '' } = request.headers
  return { ...service, log: request.log, request: { id: request.id, ip: addressOf(request), userAgent } }
}

/**
 * The address that a request comes from. Where what a trusted proxy passed on is none (`unknown`, or one with a port,
 * RFC 7239 §6), the proxy's own.
 */
export function addressOf(request: FastifyRequest): string {
  const address = isIP(request.ip) > 0 ? request.ip : (request.socket.remoteAddress ?? '')
  return isIP(address) > 0 ? address.replace(/%.*$/, '') : '::'
}

const mapped = new BlockList()
mapped.addSubnet('::ffff:0:0', 96, 'ipv6')

/**
 * The network that an address stands for where requests are counted: an IPv4 address itself, of IPv6 the /64,
 * since one household or machine has all of it.
 */
export function networkOf(ip: string): string {
  if (!isIPv6(ip)) return ip
  if (mapped.check(ip, 'ipv6')) return ip.slice(ip.lastIndexOf(':') + 1)
  const [head = '', tail] = (ip.split('%')[0] ?? '').split('::')
  const before = head === '' ? [] : head.split(':')
  const after = tail === undefined || tail === '' ? [] : tail.split(':')
  const groups =
    tail === undefined ? before : [...before, ...Array(8 - before.length - after.length).fill('0'), ...after]
  return `${groups
    .slice(0, 4)
    .map(group => Number.parseInt(group, 16).toString(16))
    .join(':')}::/64`
}
