// Signing in by a mail's code or link, where the installation has that on. It is one factor: who has a second is asked for it.
import type { TypeBoxTypeProvider } from '@fastify/type-provider-typebox'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Type } from 'typebox'
import { emailKeyOf } from '../accounts/model.ts'
import type { Context } from '../context.ts'
import { takeSignUp, tryGuess } from '../credentials/guess-service.ts'
import { readSignInLink, requestMailSignIn, signInByCode } from '../credentials/mail-sign-in-service.ts'
import { ownForm } from '../http/csrf.ts'
import { requestContext } from '../http/request-context.ts'
import { sendPage } from '../http/view.ts'
import { noWaiting } from '../http/waiting.ts'
import type { Oidc } from '../oidc/oidc.ts'
import {
  type MailCodeData,
  type MailCodeRequestData,
  mailCodePage,
  mailCodeRequestPage,
  type SignInLinkData,
  signInLinkPage
} from './mail-code-views.ts'
import { authenticate, proofNow, signInByMailLink, waitForMailCode } from './service.ts'
import {
  asText,
  Field,
  homeOf,
  redirect,
  remember,
  type Steps,
  show,
  showRefused,
  type Visit,
  WorkFields,
  waitingCookie,
  waitingOf,
  workIn
} from './visit-routes.ts'

export function mountMailCode({ page, form }: Steps, oidc: Oidc): void {
  page('mail-code', visit => show(visit, mailCodeRequestPage, requestData(visit, {})))
  form('mail-code', {
    step: 'mail-code',
    body: Type.Object({ email: Field, again: Field, ...WorkFields }),
    act: async (visit, typed) => await request(visit, oidc, typed)
  })
  page('mail-code/sent', async visit => {
    if (visit.interaction.progress.mailCodeEmail === undefined)
      return redirect(visit.reply, { url: `/interaction/${visit.interaction.uid}/mail-code` })
    remember(visit.reply, waitingCookie(oidc.issuer), visit.interaction.uid)
    const { notice } = visit.request.query as { notice?: unknown }
    const known = (['sent', 'capped'] as const).find(one => one === notice) ?? null
    return await show(visit, mailCodePage, codeData(visit, { notice: known }))
  })
  form('mail-code/sent', {
    step: 'mail-code/sent',
    body: Type.Object({ code: Field, ...WorkFields }),
    act: async (visit, typed) => await useCode(visit, oidc, typed)
  })
}

async function request(visit: Visit, oidc: Oidc, typed: Record<string, unknown>): Promise<FastifyReply> {
  const { ctx, interaction, reply } = visit
  const again = { email: asText(typed.email) }
  const taken = await takeSignUp(ctx, workIn(typed))
  if (!taken.ok) {
    const data = requestData(visit, { ...again, ...waitingOf(taken), problem: 'work_needed' })
    return await showRefused(visit, mailCodeRequestPage, data)
  }
  const outcome = await requestMailSignIn(ctx, { email: typed.email, interactionUid: interaction.uid })
  if (!outcome.ok)
    return await show(
      visit,
      mailCodeRequestPage,
      requestData(visit, { ...again, fault: outcome.reason }),
      422
    )
  const { url } = await waitForMailCode(oidc, interaction, outcome.email)
  const notice = outcome.mail === 'capped' ? 'capped' : 'sent'
  return redirect(reply, {
    url: typed.again === undefined && notice === 'sent' ? url : `${url}?notice=${notice}`
  })
}

/** A code is a guess at the account whose address was typed, as a password is. */
async function useCode(visit: Visit, oidc: Oidc, typed: Record<string, unknown>): Promise<FastifyReply> {
  const { ctx, interaction, reply } = visit
  const { uid, progress } = interaction
  const again = async (over: Partial<MailCodeData>) =>
    await showRefused(visit, mailCodePage, codeData(visit, over))
  if (typed.code === undefined || typed.code === '') return await again({ problem: 'missing' })
  const emailKey = emailKeyOf(progress.mailCodeEmail ?? '')
  const outcome = await tryGuess(ctx, { emailKey, proofOfWork: workIn(typed) }, () =>
    signInByCode(ctx, { interactionUid: uid, code: typed.code })
  )
  if (!outcome.ok) return await again({ ...waitingOf(outcome), problem: outcome.reason })
  const { account, guess } = outcome
  // It may have confirmed the address, which cuts off whatever was proven before.
  const since = ctx.now()
  const proven = { accountId: account.id, proofs: [proofNow(ctx, 'mail')], guess, since }
  return redirect(reply, await authenticate({ oidc, interaction, ...proven }))
}

/** The mail's link: GET shows a button, since mail scanners follow links; POST signs in, in the browser that asked. */
export function mountSignInLink(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const typed = app.withTypeProvider<TypeBoxTypeProvider>()
  const schema = { params: Type.Object({ token: Type.String() }) }
  const linkOf = (request: FastifyRequest) => {
    const { token } = request.params as { token: string }
    return { token, waitingUid: request.cookies[waitingCookie(oidc.issuer)] ?? null }
  }
  const answer = async (request: FastifyRequest, reply: FastifyReply, state: SignInLinkData['state']) => {
    const application = state === 'ready' ? null : await homeOf(oidc, request)
    const data = { action: request.url, state, application }
    return await sendPage(reply, signInLinkPage, data, { status: state === 'ready' ? 200 : 410 })
  }
  typed.get('/sign-in/:token', { schema }, async (request, reply) => {
    const { state } = await readSignInLink(service, linkOf(request))
    return await answer(request, reply, state)
  })
  const options = { ...ownForm, schema: { ...schema, body: Type.Object({}) } }
  typed.post('/sign-in/:token', options, async (request, reply) => {
    const outcome = await signInByMailLink(requestContext(service, request), linkOf(request))
    return outcome.ok ? redirect(reply, outcome) : await answer(request, reply, outcome.reason)
  })
}

const requestData = (
  { interaction: { uid, client, likelyEmail } }: Visit,
  over: Partial<MailCodeRequestData>
): MailCodeRequestData => ({
  action: `/interaction/${uid}/mail-code`,
  signInUrl: `/interaction/${uid}/sign-in`,
  clientName: client.name,
  email: likelyEmail,
  fault: null,
  problem: null,
  ...noWaiting,
  ...over
})

const codeData = (
  { interaction: { uid, client, progress } }: Visit,
  over: Partial<MailCodeData>
): MailCodeData => ({
  action: `/interaction/${uid}/mail-code/sent`,
  resendAction: `/interaction/${uid}/mail-code`,
  startOverUrl: `/interaction/${uid}/sign-in`,
  clientName: client.name,
  email: progress.mailCodeEmail ?? '',
  problem: null,
  notice: null,
  ...noWaiting,
  ...over
})
