// The way in and out of the account pages.
import type { FastifyInstance } from 'fastify'
import { sendPage } from '../http/view.ts'
import { accountReturnPath } from '../oidc/account-client.ts'
import { notSignedInPage } from './account-views.ts'
import { accountPathOf } from './model.ts'

export function mountAccount(app: FastifyInstance): void {
  app.get('/account', (_request, reply) => reply.redirect('/account/security', 303))
  // The session says whether somebody is signed in; all that the answer tells is where the person wanted to go.
  app.get(accountReturnPath, async (request, reply) => {
    const { state, error } = request.query as { state?: unknown; error?: unknown }
    const path = accountPathOf(state)
    if (error === undefined) return reply.redirect(path, 303)
    return await sendPage(reply, notSignedInPage, { retryUrl: path }, { status: 403 })
  })
}
