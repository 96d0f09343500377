// Documents by which browsers and password managers find their way: where passkeys are managed, and who else may use them.
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/schema.ts'

const cacheControl = 'public, max-age=3600'

/**
 * - `/.well-known/passkey-endpoints`: W3C “A Well-Known URL for Relying Party Passkey Endpoints”.
 * - `/.well-known/webauthn`: Web Authentication Level 3 §5.11.1; absent unless other origins are set. Browsers read it at
 *   the RP ID's own host: where that is a parent domain of the issuer's, it must be served there with the same content.
 */
export function mountWellKnown(app: FastifyInstance, { issuer, webauthn }: Config): void {
  const documents: Record<string, object> = {
    'passkey-endpoints': { enroll: `${issuer}/account/security`, manage: `${issuer}/account/security` },
    ...(webauthn.relatedOrigins.length === 0
      ? {}
      : { webauthn: { origins: [issuer, ...webauthn.relatedOrigins] } })
  }
  for (const [name, document] of Object.entries(documents))
    app.get(`/.well-known/${name}`, async (_request, reply) =>
      reply.header('cache-control', cacheControl).send(document)
    )
}
