// The dispatcher of a sign-in, at /interaction/:uid, and the routes of its steps below it.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Context } from '../context.ts'
import { InteractionExpired } from '../http/errors.ts'
import { sendPage } from '../http/view.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { mountConsent } from './consent-routes.ts'
import { mountMailCode } from './mail-code-routes.ts'
import { mountSecondFactor } from './second-factor-routes.ts'
import { mountSetUp } from './set-up-routes.ts'
import { mountSignIn } from './sign-in-routes.ts'
import { mountSignUp } from './sign-up-routes.ts'
import { mountVerifyEmail } from './verify-email-routes.ts'
import { resumedElsewherePage } from './views.ts'
import { createSteps, homeOf, InteractionParams, visitOf } from './visit-routes.ts'

const InteractionQuery = Type.Object({
  start: Type.Optional(Type.Unknown()),
  confirmed: Type.Optional(Type.Unknown())
})

export function mountInteractions(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const steps = createSteps(app, service, oidc)
  app
    .withTypeProvider<TypeBoxTypeProvider>()
    .get(
      '/interaction/:uid',
      { schema: { params: InteractionParams, querystring: InteractionQuery } },
      async (request, reply) => {
        const { start, confirmed } = request.query
        // The protocol says so of a new sign-in: there is nothing to look up yet.
        if (start !== undefined)
          return reply.redirect(`/interaction/${encodeURIComponent(request.params.uid)}/sign-in`, 303)
        try {
          return await steps.goOn(await visitOf({ service, oidc }, request, reply))
        } catch (error) {
          // Confirmed by the mail's link, but the sign-in is another browser's.
          if (confirmed === undefined || !(error instanceof InteractionExpired)) throw error
          return await sendPage(reply, resumedElsewherePage, { application: await homeOf(oidc, request) })
        }
      }
    )
  mountSignIn(steps, oidc)
  mountSignUp(steps, oidc)
  if (service.config.mailSignIn) mountMailCode(steps, oidc)
  mountVerifyEmail(steps, oidc)
  mountSecondFactor(steps, oidc)
  mountSetUp(steps, oidc)
  mountConsent(steps, oidc)
}
