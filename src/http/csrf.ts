// Only our own pages may post our forms: a signed double-submit token, and what the browser says of the request's
// origin. It also covers forms before sign-in, so that nobody is signed in to somebody else's account unawares.
import { createHmac } from 'node:crypto'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import { hostCookieName } from '../lib/cookies.ts'
import { deriveKey } from '../lib/sealed-box.ts'
import { createToken, equalBytes } from '../lib/tokens.ts'
import { CsrfRefused } from './errors.ts'

type Csrf = { key: Buffer; origin: string; cookieName: string; secure: boolean }

declare module 'fastify' {
  interface FastifyInstance {
    csrf: Csrf
  }
  interface FastifyReply {
    csrfSecret: string | null
  }
}

const secretPattern = /^[A-Za-z0-9_-]{43}$/

/** Makes `csrfToken` and `requireCsrf` work on `app`. @fastify/cookie must be registered. */
export function registerCsrf(app: FastifyInstance, config: Config): void {
  const secure = config.issuer.startsWith('https:')
  app.decorate('csrf', {
    key: deriveKey(config.encryptionKey, 'csrf'),
    origin: new URL(config.issuer).origin,
    cookieName: hostCookieName(config.issuer, 'csrf'),
    secure
  })
  app.decorateReply('csrfSecret', null)
}

/**
 * The value of a form's `_csrf` field. Sets the cookie that it goes with when the browser has none; a browser's
 * tabs share one, so a page stays good while others are opened.
 */
export function csrfToken(reply: FastifyReply): string {
  const { csrf } = reply.server
  reply.csrfSecret ??= readSecret(reply.request)
  if (reply.csrfSecret === null) {
    reply.csrfSecret = createToken()
    reply.setCookie(csrf.cookieName, reply.csrfSecret, {
      path: '/',
      httpOnly: true,
      sameSite: 'lax',
      secure: csrf.secure
    })
  }
  return tokenFor(csrf.key, reply.csrfSecret).toString('base64url')
}

/** preHandler of every form: throws `CsrfRefused` unless the form came from our own page in the same browser. */
export async function requireCsrf(request: FastifyRequest): Promise<void> {
  const { csrf } = request.server
  const secret = readSecret(request)
  const field = (request.body as { _csrf?: unknown } | null | undefined)?._csrf
  if (secret === null || typeof field !== 'string' || !fromOwnPage(request, csrf.origin))
    throw new CsrfRefused()
  if (!equalBytes(Buffer.from(field, 'base64url'), tokenFor(csrf.key, secret))) throw new CsrfRefused()
}

/** Options of a route that takes a form: one of our own pages posted it, and the network is counted before any work. */
export const ownForm = { preValidation: requireCsrf, config: { rateLimit: {} } }

function readSecret(request: FastifyRequest): string | null {
  const secret = request.cookies?.[request.server.csrf.cookieName]
  return secret !== undefined && secretPattern.test(secret) ? secret : null
}

function tokenFor(key: Buffer, secret: string): Buffer {
  return createHmac('sha256', key).update(secret).digest()
}

/**
 * What the browser says is believed when it speaks against the request. Our pages send no referrer, which makes a
 * browser write `Origin: null` on their own forms too: `null` counts as ours only where Sec-Fetch-Site agrees.
 *
 * @see Fetch §3.2 “append a request Origin header”, Fetch Metadata Request Headers §2.3
 */
function fromOwnPage(request: FastifyRequest, ownOrigin: string): boolean {
  const site = request.headers['sec-fetch-site']
  const { origin } = request.headers
  if (site !== undefined && site !== 'same-origin' && site !== 'none') return false
  return origin === undefined || origin === ownOrigin || (origin === 'null' && site === 'same-origin')
}
