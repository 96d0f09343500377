// A forgotten password: asking for the mail, and setting a new one by its code. Its link has routes of its own.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import type { Context } from '../context.ts'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { requestReset } from '../credentials/reset-service.ts'
import { ownForm } from '../http/csrf.ts'
import { asText, Field, remember } from '../http/form-fields.ts'
import { requestContext } from '../http/request-context.ts'
import { sendPage } from '../http/view.ts'
import { noWaiting } from '../http/waiting.ts'
import { hostCookieName } from '../lib/cookies.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { homeOf, isInteractionOpen } from '../oidc/service.ts'
import { askedByOf, forgetAsker, keepAsker, readAsker } from './asker-routes.ts'
import { resetByCode } from './reset-service.ts'
import {
  type ResetSentData,
  resetDonePage,
  resetRequestPage,
  resetSentPage,
  type WayBack
} from './reset-views.ts'

const RequestQuery = Type.Object({ interaction: Field })
const RequestBody = Type.Object({ email: Field, again: Field })
const SentQuery = Type.Object({ notice: Field })
const SentBody = Type.Object({ code: Field, password: Field, challenge: Field, solution: Field })
const notices = ['resent', 'ended', 'restored'] as const

/** Mounts the pages of a forgotten password, and the address at which password managers look for a change of one. */
export function mountReset(app: FastifyInstance, service: Context, oidc: Oidc): void {
  app.get('/.well-known/change-password', async (_request, reply) => reply.redirect('/account/security', 303))
  app.get('/reset-password/done', async (request, reply) =>
    sendPage(reply, resetDonePage, {
      back: await wayBack({ service, oidc }, request, 'Go on with the sign-in')
    })
  )
  mountRequest(app, service, oidc)
  mountSent(app, service, oidc)
}

function mountRequest(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const action = '/reset-password'
  typed.get('/reset-password', { schema: { querystring: RequestQuery } }, async (request, reply) => {
    const { interaction } = request.query
    if (typeof interaction === 'string' && /^[\w-]{1,100}$/.test(interaction)) {
      remember(reply, originCookie(oidc), interaction)
      return reply.redirect(action, 303)
    }
    const back = await wayBack({ service, oidc }, request, 'Back to the sign-in')
    return await sendPage(reply, resetRequestPage, { action, email: '', faults: {}, back })
  })
  typed.post('/reset-password', { ...ownForm, schema: { body: RequestBody } }, async (request, reply) => {
    const { email, again } = request.body
    const askedBy = askedByOf(oidc, request)
    const outcome = await requestReset(requestContext(service, request), { email, askedBy })
    if (!outcome.ok) {
      const back = await wayBack({ service, oidc }, request, 'Back to the sign-in')
      const data = { action, email: asText(email), faults: { email: outcome.reason }, back }
      return await sendPage(reply, resetRequestPage, data, { status: 422 })
    }
    keepAsker(oidc, reply, { askedBy, email: outcome.email })
    return reply.redirect(`/reset-password/sent${again === undefined ? '' : '?notice=resent'}`, 303)
  })
}

function mountSent(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const show = async (reply: FastifyReply, over: Pick<ResetSentData, 'email'> & Partial<ResetSentData>) => {
    const { passwordMinLength } = service.config
    const data: ResetSentData = {
      action: '/reset-password/sent',
      resendAction: '/reset-password',
      notice: null,
      faults: {},
      passwordMinLength,
      problem: null,
      ...noWaiting,
      ...over
    }
    const failed = Object.keys(data.faults).length > 0
    const status = data.problem === 'busy' ? 503 : data.problem ? 429 : failed ? 422 : 200
    if (data.retryAfterSeconds > 0) reply.header('retry-after', data.retryAfterSeconds)
    return await sendPage(reply, resetSentPage, data, { status })
  }

  typed.get('/reset-password/sent', { schema: { querystring: SentQuery } }, async (request, reply) => {
    const asker = readAsker(oidc, request)
    if (asker === null) return reply.redirect('/reset-password', 303)
    const notice = notices.find(one => one === request.query.notice) ?? null
    return await show(reply, { email: asker.email, notice })
  })
  typed.post('/reset-password/sent', { ...ownForm, schema: { body: SentBody } }, async (request, reply) => {
    const asker = readAsker(oidc, request)
    if (asker === null) return reply.redirect('/reset-password', 303)
    try {
      const { code, password, challenge, solution } = request.body
      const outcome = await resetByCode(requestContext(service, request), {
        ...asker,
        code,
        password,
        proofOfWork: { challenge, solution }
      })
      if (!outcome.ok) return await show(reply, { email: asker.email, ...shownOf(outcome) })
    } catch (error) {
      if (!(error instanceof HashingBusy)) throw error
      const { retryAfterSeconds } = error
      return await show(reply, { email: asker.email, problem: 'busy', retryAfterSeconds })
    }
    forgetAsker(oidc, reply)
    return reply.redirect('/reset-password/done', 303)
  })
}

type Refused = Exclude<Awaited<ReturnType<typeof resetByCode>>, { ok: true }>

const shownOf = (refused: Refused): Partial<ResetSentData> => {
  const { ok: _, reason, ...rest } = refused
  return reason === 'faulty' ? rest : { ...rest, problem: reason }
}

/** The cookie that tells which sign-in of this browser a forgotten password held up. */
const originCookie = ({ issuer }: Oidc) => hostCookieName(issuer, 'reset_origin')

async function wayBack(
  { service, oidc }: { service: Context; oidc: Oidc },
  request: FastifyRequest,
  label: string
): Promise<WayBack> {
  const uid = request.cookies[originCookie(oidc)]
  if (uid !== undefined && (await isInteractionOpen(service, uid)))
    return { label, url: `/interaction/${encodeURIComponent(uid)}` }
  const home = await homeOf(oidc, request)
  return home === null ? null : { label: `Go to ${home.name}`, url: home.url }
}
