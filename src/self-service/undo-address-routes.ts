// The link that takes a change of the address back. It may be opened in any browser, signed in or not.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { readUndo } from '../accounts/undo-address-service.ts'
import type { Context } from '../context.ts'
import { ownForm } from '../http/csrf.ts'
import { requestContext } from '../http/request-context.ts'
import { sendPage } from '../http/view.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { askedByOf, keepAsker } from './asker-routes.ts'
import { takeBackAddress } from './undo-address-service.ts'
import { type UndoAddressData, undoAddressDonePage, undoAddressPage } from './undo-address-views.ts'

const UndoParams = Type.Object({ token: Type.String() })
const resetUrl = '/reset-password'

/** GET says what would happen, since mail scanners follow links; POST does it. */
export function mountUndoAddress(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const show = async (reply: FastifyReply, data: Omit<UndoAddressData, 'resetUrl'>) =>
    await sendPage(
      reply,
      undoAddressPage,
      { ...data, resetUrl },
      { status: data.state === 'ready' ? 200 : 410 }
    )

  typed.get('/undo-address/:token', { schema: { params: UndoParams } }, async (request, reply) => {
    const undo = await readUndo(service, request.params.token)
    const oldEmail = undo.ok ? undo.oldEmail : ''
    return await show(reply, { action: request.url, oldEmail, state: undo.ok ? 'ready' : undo.reason })
  })
  const options = { ...ownForm, schema: { params: UndoParams } }
  typed.post('/undo-address/:token', options, async (request, reply) => {
    const askedBy = askedByOf(oidc, request)
    const { token } = request.params
    const outcome = await takeBackAddress(requestContext(service, request), { token, askedBy })
    if (!outcome.ok) return await show(reply, { action: request.url, oldEmail: '', state: outcome.reason })
    const { recovery, email } = outcome
    if (recovery !== 'queued')
      return await sendPage(reply, undoAddressDonePage, { recovery, email, resetUrl })
    keepAsker(oidc, reply, { askedBy, email })
    return reply.redirect('/reset-password/sent?notice=restored', 303)
  })
}
