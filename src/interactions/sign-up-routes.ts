// Making an account in the course of a sign-in.
import { Type } from 'typebox'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { noWaiting } from '../http/waiting.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { signUpAndWait } from './service.ts'
import { type SignUpData, signUpPage } from './views.ts'
import {
  applicationOf,
  asText,
  Field,
  redirect,
  type Steps,
  show,
  showBusy,
  showRefused,
  unlessBusy,
  type Visit,
  WorkFields,
  waitingOf,
  workIn
} from './visit-routes.ts'

const SignUpBody = Type.Object({ email: Field, name: Field, password: Field, way: Field, ...WorkFields })

export function mountSignUp({ page, form }: Steps, oidc: Oidc): void {
  page('sign-up', visit => show(visit, signUpPage, signUpData(visit, {})))
  form('sign-up', {
    step: 'sign-up',
    body: SignUpBody,
    act: async (visit, { email, name, password, way, ...work }) => {
      const again = { email: asText(email), name: asText(name) }
      const outcome = await unlessBusy(
        signUpAndWait(visit.ctx, {
          oidc,
          interaction: visit.interaction,
          typed: { email, name, password, withPasskey: way === 'passkey', proofOfWork: workIn(work) }
        })
      )
      if (outcome instanceof HashingBusy)
        return await showBusy(visit, outcome, signUpPage, signUpData(visit, { ...again, problem: 'busy' }))
      if (outcome.ok) return redirect(visit.reply, outcome)
      if ('faults' in outcome)
        return await show(visit, signUpPage, signUpData(visit, { ...again, faults: outcome.faults }), 422)
      const data = signUpData(visit, { ...again, ...waitingOf(outcome), problem: outcome.reason })
      return await showRefused(visit, signUpPage, data)
    }
  })
}

const signUpData = ({ interaction, ctx }: Visit, over: Partial<SignUpData>): SignUpData => ({
  action: `/interaction/${interaction.uid}/sign-up`,
  signInUrl: `/interaction/${interaction.uid}/sign-in`,
  client: applicationOf(interaction),
  email: interaction.likelyEmail,
  name: '',
  problem: null,
  faults: {},
  passwordMinLength: ctx.config.passwordMinLength,
  ...noWaiting,
  ...over
})
