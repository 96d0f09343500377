// How many forms one network address may post. The count comes before any work: before the hashing queue, too.
import rateLimit from '@fastify/rate-limit'
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/schema.ts'
import { networkOf } from '../lib/networks.ts'
import { TooManyRequests, withFacts } from './errors.ts'
import { addressOf } from './request-context.ts'

const hidden = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false }

/** Makes `config: { rateLimit: {} }` of a route count; routes without it are free. Counts are this node's own. */
export async function registerRateLimit(app: FastifyInstance, config: Config): Promise<void> {
  await app.register(rateLimit, {
    global: false,
    max: config.requestsPerAddressPerMinute,
    timeWindow: 60_000,
    cache: 100_000,
    keyGenerator: request => networkOf(addressOf(request)),
    // How many tries are left is nobody's business but the limiter's.
    addHeadersOnExceeding: hidden,
    addHeaders: { ...hidden, 'retry-after': true },
    errorResponseBuilder: (_request, { ttl }) =>
      withFacts(new TooManyRequests(), { retryAfterSeconds: Math.ceil(ttl / 1000) })
  })
}
