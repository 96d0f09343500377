// The link of a mail that confirms an address. It may be opened in any browser.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { Context } from '../context.ts'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { requireCsrf } from '../http/csrf.ts'
import { ServiceBusy, withFacts } from '../http/errors.ts'
import { requestContext } from '../http/request-context.ts'
import { sendPage } from '../http/view.ts'
import { addressConfirmedPage, type ConfirmAddressData, confirmAddressPage } from './email-link-views.ts'
import { readLink, verifyByLink } from './service.ts'

type Params = { token: string }
type Query = { interaction?: string }

const waitingCookie = (secure: boolean) => (secure ? '__Host-waiting' : 'waiting')

/** Notes in this browser which sign-in waits for a mail here: its link needs no other proof in it. */
export function rememberWaiting(reply: FastifyReply, interactionUid: string): void {
  const { secure } = reply.server.csrf
  reply.setCookie(waitingCookie(secure), interactionUid, {
    path: '/',
    httpOnly: true,
    sameSite: 'lax',
    secure,
    maxAge: 86_400
  })
}

/** GET shows a button, since mail scanners follow links; POST spends the token. */
export function mountEmailLink(app: FastifyInstance, service: Context): void {
  const linkOf = (request: FastifyRequest) => ({
    token: (request.params as Params).token,
    waitingUid: request.cookies[waitingCookie(app.csrf.secure)] ?? null
  })
  const show = async (
    request: FastifyRequest,
    reply: FastifyReply,
    data: Omit<ConfirmAddressData, 'action'>
  ) => {
    const status = data.state !== 'ready' ? 410 : data.fault === null ? 200 : 422
    return await sendPage(reply, confirmAddressPage, { action: request.url, ...data }, { status })
  }

  app.get('/verify-email/:token', async (request, reply) => {
    const { state, email, passwordNeeded } = await readLink(service, linkOf(request))
    return await show(request, reply, { state, email, passwordNeeded, fault: null })
  })
  app.post<{ Params: Params; Querystring: Query; Body: { password?: unknown } | null }>(
    '/verify-email/:token',
    { preHandler: requireCsrf, config: { rateLimit: {} } },
    async (request, reply) => {
      const { interaction } = request.query
      const interactionUid = typeof interaction === 'string' ? interaction : null
      const password = request.body?.password
      const ctx = requestContext(service, request)
      const use = { ...linkOf(request), interactionUid, password }
      const outcome = await verifyByLink(ctx, use).catch(unlessBusy)
      if (outcome.ok && outcome.continueUid === null)
        return await sendPage(reply, addressConfirmedPage, { continueUrl: null })
      if (outcome.ok)
        return reply.redirect(`/interaction/${encodeURIComponent(outcome.continueUid ?? '')}?confirmed`, 303)
      if (outcome.reason !== 'wrong_password') {
        const data = { state: outcome.reason, email: '', passwordNeeded: false, fault: null }
        return await show(request, reply, data)
      }
      const { email } = await readLink(service, linkOf(request))
      const fault = password === undefined || password === '' ? 'missing' : 'wrong'
      return await show(request, reply, { state: 'ready', email, passwordNeeded: true, fault })
    }
  )
}

function unlessBusy(error: unknown): never {
  if (!(error instanceof HashingBusy)) throw error
  throw withFacts(new ServiceBusy(), { retryAfterSeconds: error.retryAfterSeconds })
}
