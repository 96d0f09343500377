// What the routes of every account page share: who is signed in, and whether that was proven lately enough to change
// how they sign in. The person comes from the session alone, never from the request.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { type TObject, Type } from 'typebox'
import type { Context } from '../context.ts'
import type { FactorFacts } from '../credentials/factor-model.ts'
import { findFactors } from '../credentials/factor-repository.ts'
import { requireCsrf } from '../http/csrf.ts'
import { withFacts } from '../http/errors.ts'
import { requestContext } from '../http/request-context.ts'
import { accountSignInUrl } from '../oidc/account-client.ts'
import { type AccountSession, readAccountSession } from '../oidc/account-session.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { acrForChanges, mayChangeFactors } from './model.ts'

/** A field of a form, whatever was posted in it. */
export const Field = Type.Optional(Type.Unknown())

export type AccountVisit = {
  request: FastifyRequest
  reply: FastifyReply
  ctx: Context
  session: AccountSession
  factors: FactorFacts
}

export type AccountPages = {
  /** GET of a page that any signed-in person may see; `from`: where a sign-in leads back to, if not there. */
  page: (path: string, show: (visit: AccountVisit) => Promise<FastifyReply>, from?: string) => void
  /** GET of a page that begins a change: a recent and sure enough sign-in is asked for first. */
  changePage: (path: string, show: (visit: AccountVisit) => Promise<FastifyReply>) => void
  /** POST of a form that changes something. A sign-in that is too old is renewed, and leads back to `from`. */
  form: (
    path: string,
    form: {
      body: TObject
      /** The page that the form is on. */
      from: string
      act: (visit: AccountVisit, typed: Record<string, unknown>) => Promise<FastifyReply>
    }
  ) => void
}

export function createAccountPages(app: FastifyInstance, service: Context, oidc: Oidc): AccountPages {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const { config } = service
  const signIn = (reply: FastifyReply, path: string, factors: FactorFacts | null) =>
    reply.redirect(
      accountSignInUrl(config, {
        path,
        ...(factors === null
          ? {}
          : { maxAgeSeconds: config.recentSignInSeconds, acr: acrForChanges(factors) })
      }),
      303
    )
  const show =
    (
      path: string,
      { change, act }: { change: boolean; act: (visit: AccountVisit) => Promise<FastifyReply> }
    ) =>
    async (request: FastifyRequest, reply: FastifyReply) => {
      const ctx = requestContext(service, request)
      const session = await readAccountSession(oidc, request.raw, reply.raw)
      const factors = session === null ? null : await findFactors(ctx.sql, session.account.id)
      if (session === null || factors === null) return signIn(reply, path, null)
      const at = { now: ctx.now(), recentSignInSeconds: config.recentSignInSeconds }
      if (change && !mayChangeFactors(session, factors, at)) return signIn(reply, path, factors)
      return await act({ request, reply, ctx, session, factors })
    }
  return {
    page: (path, act, from = path) => void typed.get(path, show(from, { change: false, act })),
    changePage: (path, act) => void typed.get(path, show(path, { change: true, act })),
    form: (path, { body, from, act }) => {
      const options = {
        schema: { body },
        preValidation: async (request: FastifyRequest) =>
          await requireCsrf(request).catch(error => {
            throw withFacts(error, { link: { href: from, label: 'Open the page again' } })
          }),
        config: { rateLimit: {} }
      }
      typed.post(path, options, (request, reply) =>
        show(from, { change: true, act: visit => act(visit, request.body as Record<string, unknown>) })(
          request,
          reply
        )
      )
    }
  }
}
