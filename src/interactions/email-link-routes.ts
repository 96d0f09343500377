// The link of a mail that confirms an address. It may be opened in any browser.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import { findEmailToken } from '../accounts/email-token-repository.ts'
import type { Context } from '../context.ts'
import { requireCsrf } from '../http/csrf.ts'
import { requestContext } from '../http/request-context.ts'
import { sendPage } from '../http/view.ts'
import { hashToken } from '../lib/tokens.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { addressConfirmedPage, confirmAddressPage } from './email-link-views.ts'
import { verifyByLink } from './service.ts'
import { homeOf } from './visit-routes.ts'

const EmailLinkParams = Type.Object({ token: Type.String() })
const EmailLinkQuery = Type.Object({ interaction: Type.Optional(Type.Unknown()) })

/** GET shows a button, since mail scanners follow links; POST spends the token. */
export function mountEmailLink(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const schema = { params: EmailLinkParams, querystring: EmailLinkQuery }
  typed.get('/verify-email/:token', { schema }, async (request, reply) => {
    const found = await findEmailToken(service.sql, hashToken(request.params.token))
    const state = found === null ? 'invalid' : found.expiresAt <= service.now() ? 'expired' : 'ready'
    const email = found?.emailKey ?? ''
    return await sendPage(
      reply,
      confirmAddressPage,
      {
        action: request.url,
        email,
        state,
        application: state === 'ready' ? null : await homeOf(oidc, request)
      },
      { status: state === 'ready' ? 200 : 410 }
    )
  })
  typed.post(
    '/verify-email/:token',
    { schema, preValidation: requireCsrf, config: { rateLimit: {} } },
    async (request, reply) => {
      const { interaction } = request.query
      const uid = typeof interaction === 'string' ? interaction : null
      const outcome = await verifyByLink(requestContext(service, request), {
        token: request.params.token,
        interactionUid: uid
      })
      if (!outcome.ok)
        return await sendPage(
          reply,
          confirmAddressPage,
          { action: request.url, email: '', state: outcome.reason, application: await homeOf(oidc, request) },
          { status: 410 }
        )
      if (outcome.continueUid === null)
        return await sendPage(reply, addressConfirmedPage, { application: await homeOf(oidc, request) })
      return reply.redirect(`/interaction/${encodeURIComponent(outcome.continueUid)}?confirmed`, 303)
    }
  )
}
