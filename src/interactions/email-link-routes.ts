// The link of a mail that confirms an address. It may be opened in any browser.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Context } from '../context.ts'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { ownForm } from '../http/csrf.ts'
import { ServiceBusy, withFacts } from '../http/errors.ts'
import { requestContext } from '../http/request-context.ts'
import { sendPage } from '../http/view.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { readLink, verifyByLink } from './email-link-service.ts'
import { addressConfirmedPage, type ConfirmAddressData, confirmAddressPage } from './email-link-views.ts'
import { Field, homeOf, waitingCookie } from './visit-routes.ts'

const EmailLinkParams = Type.Object({ token: Type.String() })
const EmailLinkQuery = Type.Object({ interaction: Field })
const EmailLinkBody = Type.Object({ password: Field })

/** GET shows a button, since mail scanners follow links; POST spends the token. */
export function mountEmailLink(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const link = { params: EmailLinkParams, querystring: EmailLinkQuery }
  const linkOf = (request: FastifyRequest) => ({
    token: (request.params as { token: string }).token,
    waitingUid: request.cookies[waitingCookie(oidc.issuer)] ?? null
  })
  type Shown = Omit<ConfirmAddressData, 'action' | 'application'>
  const show = async (request: FastifyRequest, reply: FastifyReply, data: Shown) => {
    const application = data.state === 'ready' ? null : await homeOf(oidc, request)
    const status = data.state !== 'ready' ? 410 : data.fault === null ? 200 : 422
    return await sendPage(
      reply,
      confirmAddressPage,
      { action: request.url, application, ...data },
      { status }
    )
  }

  typed.get('/verify-email/:token', { schema: link }, async (request, reply) => {
    const { state, email, passwordNeeded } = await readLink(service, linkOf(request))
    return await show(request, reply, { state, email, passwordNeeded, fault: null })
  })
  const options = { ...ownForm, schema: { ...link, body: EmailLinkBody } }
  typed.post('/verify-email/:token', options, async (request, reply) => {
    const { interaction } = request.query
    const { password } = request.body
    const interactionUid = typeof interaction === 'string' ? interaction : null
    const use = { ...linkOf(request), interactionUid, password }
    const outcome = await verifyByLink(requestContext(service, request), use).catch(toBusyPage)
    if (outcome.ok && outcome.continueUid === null)
      return await sendPage(reply, addressConfirmedPage, { application: await homeOf(oidc, request) })
    if (outcome.ok)
      return reply.redirect(`/interaction/${encodeURIComponent(outcome.continueUid ?? '')}?confirmed`, 303)
    if (outcome.reason !== 'wrong_password')
      return await show(request, reply, {
        state: outcome.reason,
        email: '',
        passwordNeeded: false,
        fault: null
      })
    const { email } = await readLink(service, linkOf(request))
    const fault = password === undefined || password === '' ? 'missing' : 'wrong'
    return await show(request, reply, { state: 'ready', email, passwordNeeded: true, fault })
  })
}

function toBusyPage(error: unknown): never {
  if (!(error instanceof HashingBusy)) throw error
  throw withFacts(new ServiceBusy(), { retryAfterSeconds: error.retryAfterSeconds })
}
