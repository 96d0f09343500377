// Waiting for the proof of an address, and typing its code. The mail's link has routes of its own.
import { Type } from 'typebox'
import { noWaiting } from '../http/waiting.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { resend, verifyByCode } from './service.ts'
import { type VerifyEmailData, verifyEmailPage } from './views.ts'
import {
  Field,
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

const VerifyEmailBody = Type.Object({ code: Field, ...WorkFields })
const notices = ['sent', 'capped', 'waiting'] as const

export function mountVerifyEmail({ page, form }: Steps, oidc: Oidc): void {
  page('verify-email', visit => {
    remember(visit.reply, waitingCookie(oidc.issuer), visit.interaction.uid)
    const { notice } = visit.request.query as { notice?: unknown }
    const known = notices.find(one => one === notice) ?? null
    return show(visit, verifyEmailPage, verifyData(visit, { notice: known }))
  })
  form('verify-email', {
    step: 'verify-email',
    body: VerifyEmailBody,
    act: async (visit, { code, ...work }) => {
      if (code === undefined || code === '')
        return await show(visit, verifyEmailPage, verifyData(visit, { problem: 'missing' }), 422)
      const outcome = await verifyByCode(visit.ctx, {
        oidc,
        interaction: visit.interaction,
        typed: { code, proofOfWork: workIn(work) }
      })
      if (outcome.ok) return redirect(visit.reply, outcome)
      const data = verifyData(visit, { ...waitingOf(outcome), problem: outcome.reason })
      return await showRefused(visit, verifyEmailPage, data)
    }
  })
  form('verify-email/resend', {
    step: 'verify-email',
    body: Type.Object({}),
    act: async ({ reply, ctx, interaction }) => {
      const outcome = await resend(ctx, interaction)
      return redirect(reply, { url: `/interaction/${interaction.uid}/verify-email?notice=${outcome}` })
    }
  })
}

const verifyData = (
  { interaction: { uid, client, progress, account, authenticated } }: Visit,
  over: Partial<VerifyEmailData>
): VerifyEmailData => ({
  action: `/interaction/${uid}/verify-email`,
  resendAction: `/interaction/${uid}/verify-email/resend`,
  startOverUrl: `/interaction/${uid}/sign-up`,
  goOnUrl: `/interaction/${uid}/verify-email?notice=waiting`,
  clientName: client.name,
  // The account may be somebody else's while nobody is proven: only what was typed here is shown.
  email: progress.pendingEmail ?? (authenticated ? (account?.email ?? '') : ''),
  problem: null,
  notice: null,
  ...noWaiting,
  ...over
})
