// The headers that tell a browser what an answer may do. Helmet names them; it is asked once at start, since running
// its middleware for each request costs as much as all of Fastify.
import helmet from '@fastify/helmet'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Config } from '../config/schema.ts'
import { schemaController } from './schemas.ts'

/** What one page may do beyond the policy: sources as `sourceOf` makes them. */
export type PagePermissions = { formAction?: string[]; imgSrc?: string[] }

const yearInSeconds = 31_536_000

const directives = {
  'default-src': ["'none'"],
  'script-src': ["'self'"],
  'connect-src': ["'self'"],
  'style-src': ["'self'"],
  'img-src': ["'self'", 'data:'],
  'font-src': ["'self'"],
  'form-action': ["'self'"],
  'frame-ancestors': ["'none'"],
  'base-uri': ["'none'"],
  'object-src': ["'none'"]
}

/** Passkeys in our own pages, never in a frame within them; of what else a page could ask for, nothing. */
const permissions = [
  'publickey-credentials-get=(self)',
  'publickey-credentials-create=(self)',
  ...['camera', 'geolocation', 'microphone', 'payment', 'usb'].map(feature => `${feature}=()`)
].join(', ')

/**
 * The headers of every answer, by lower-case name. Also for answers that do not pass through Fastify's reply, as
 * those of oidc-provider. Cache-Control is no-store; what may be kept says so itself.
 */
export async function securityHeaders(config: Config): Promise<Record<string, string>> {
  const probe = Fastify({ schemaController })
  await probe.register(helmet, {
    contentSecurityPolicy: { useDefaults: false, directives },
    strictTransportSecurity: config.issuer.startsWith('https:')
      ? { maxAge: yearInSeconds, includeSubDomains: false }
      : false,
    referrerPolicy: { policy: 'no-referrer' },
    crossOriginOpenerPolicy: { policy: 'same-origin' },
    xFrameOptions: { action: 'deny' },
    xDownloadOptions: false,
    xDnsPrefetchControl: false,
    xPermittedCrossDomainPolicies: false
  })
  probe.get('/', async (_request, reply) => reply.code(204).send())
  const { headers } = await probe.inject('/')
  await probe.close()
  const plain = new Set(['date', 'connection', 'content-length', 'keep-alive'])
  const entries = Object.entries(headers).filter(([name]) => !plain.has(name))
  return {
    ...Object.fromEntries(entries.map(([name, value]) => [name, String(value)])),
    'permissions-policy': permissions,
    'cache-control': 'no-store'
  }
}

declare module 'fastify' {
  interface FastifyInstance {
    securityHeaders: Record<string, string>
  }
}

/** Puts the headers on every answer of `app`, errors included, and keeps them as `app.securityHeaders`. */
export async function registerSecurityHeaders(app: FastifyInstance, config: Config): Promise<void> {
  const headers = await securityHeaders(config)
  app.decorate('securityHeaders', headers)
  // As it is sent, not before: answers that do not pass through Fastify's reply would pay for this one, too.
  app.addHook('onSend', (_request, reply, _payload, done) => {
    for (const name of Object.keys(headers)) if (!reply.hasHeader(name)) reply.header(name, headers[name])
    done()
  })
}

const policy = Object.entries(directives).map(([name, sources]) => [name, sources.join(' ')] as const)

/**
 * The policy of one page. `formAction` needs the application's origin on every page of a sign-in: Chrome holds the
 * redirects that follow a posted form to the same directive.
 */
export function pageContentSecurityPolicy({ formAction = [], imgSrc = [] }: PagePermissions = {}): string {
  const extra: Record<string, string[]> = { 'form-action': formAction, 'img-src': imgSrc }
  return policy.map(([name, sources]) => [name, sources, ...checked(extra[name] ?? [])].join(' ')).join(';')
}

/** A source that would end its directive could rewrite the policy; ours come out of `sourceOf` and never do. */
function checked(sources: string[]): string[] {
  for (const source of sources)
    if (!/^[a-z][a-z0-9+.-]*:(\/\/[^\s;,'"]+)?$/i.test(source))
      throw new Error(`not a source for a content security policy: ${JSON.stringify(source)}`)
  return sources
}

/**
 * The policy's name for where a URL leads: its origin, or its scheme alone for an app's own scheme (`com.app:`)
 * and for an IPv6 address, which the policy's grammar cannot say. Null for what is not a URL.
 *
 * @see Content Security Policy Level 3 §2.3.1
 */
export function sourceOf(url: string): string | null {
  const parsed = URL.parse(url)
  if (parsed === null) return null
  const web = parsed.protocol === 'https:' || parsed.protocol === 'http:'
  return web && !parsed.hostname.startsWith('[') ? parsed.origin : parsed.protocol
}
