// The link of a mail that sets a new password. It may be opened in any browser.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Context } from '../context.ts'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { readResetLink } from '../credentials/reset-service.ts'
import { ownForm } from '../http/csrf.ts'
import { Field } from '../http/form-fields.ts'
import { requestContext } from '../http/request-context.ts'
import { sendPage } from '../http/view.ts'
import { resetByLink } from './reset-service.ts'
import { type ResetLinkData, resetLinkPage } from './reset-views.ts'

const LinkParams = Type.Object({ token: Type.String() })
const LinkBody = Type.Object({ password: Field })

/** GET shows a form, since mail scanners follow links; POST spends the token. */
export function mountResetLink(app: FastifyInstance, service: Context): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const show = async (request: FastifyRequest, reply: FastifyReply, over: Partial<ResetLinkData> = {}) => {
    const link = await readResetLink(service, (request.params as { token: string }).token)
    const data: ResetLinkData = {
      action: request.url,
      requestUrl: '/reset-password',
      email: link.ok ? link.claim.account.email : '',
      state: link.ok ? 'ready' : link.reason,
      faults: {},
      passwordMinLength: service.config.passwordMinLength,
      problem: null,
      ...over
    }
    const failed = Object.keys(data.faults).length > 0
    const status = data.state !== 'ready' ? 410 : data.problem ? 503 : failed ? 422 : 200
    return await sendPage(reply, resetLinkPage, data, { status })
  }

  typed.get('/reset-password/:token', { schema: { params: LinkParams } }, async (request, reply) =>
    show(request, reply)
  )
  const options = { ...ownForm, schema: { params: LinkParams, body: LinkBody } }
  typed.post('/reset-password/:token', options, async (request, reply) => {
    const { token } = request.params
    try {
      const { password } = request.body
      const outcome = await resetByLink(requestContext(service, request), { token, password })
      if (outcome.ok) return reply.redirect('/reset-password/done', 303)
      if (outcome.reason === 'faulty')
        return await show(request, reply, { faults: { password: outcome.fault } })
      return await show(request, reply, { state: outcome.reason, email: '' })
    } catch (error) {
      if (!(error instanceof HashingBusy)) throw error
      reply.header('retry-after', error.retryAfterSeconds)
      return await show(request, reply, { problem: 'busy' })
    }
  })
}
