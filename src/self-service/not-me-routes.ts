// “This wasn't me” in a notice. It may be opened in any browser.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { readSecurityToken } from '../accounts/security-token-service.ts'
import type { Context } from '../context.ts'
import { ownForm } from '../http/csrf.ts'
import { requestContext } from '../http/request-context.ts'
import { sendPage } from '../http/view.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { askedByOf, keepAsker } from './asker-routes.ts'
import { reportTakeover } from './not-me-service.ts'
import { type NotMeData, notMeDonePage, notMePage } from './not-me-views.ts'

const NotMeParams = Type.Object({ token: Type.String() })
const resetUrl = '/reset-password'

/** GET says what would happen, since mail scanners follow links; POST does it. */
export function mountNotMe(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const show = async (reply: FastifyReply, data: Omit<NotMeData, 'resetUrl'>) =>
    await sendPage(reply, notMePage, { ...data, resetUrl }, { status: data.state === 'ready' ? 200 : 410 })

  typed.get('/not-me/:token', { schema: { params: NotMeParams } }, async (request, reply) => {
    const link = await readSecurityToken(service, 'not_me', request.params.token)
    return await show(reply, { action: request.url, state: link.ok ? 'ready' : link.reason })
  })
  const options = { ...ownForm, schema: { params: NotMeParams } }
  typed.post('/not-me/:token', options, async (request, reply) => {
    const askedBy = askedByOf(oidc, request)
    const { token } = request.params
    const outcome = await reportTakeover(requestContext(service, request), { token, askedBy })
    if (!outcome.ok) return await show(reply, { action: request.url, state: outcome.reason })
    if (outcome.recovery !== 'queued')
      return await sendPage(reply, notMeDonePage, { recovery: outcome.recovery, resetUrl })
    keepAsker(oidc, reply, { askedBy, email: outcome.email })
    return reply.redirect('/reset-password/sent?notice=ended', 303)
  })
}
