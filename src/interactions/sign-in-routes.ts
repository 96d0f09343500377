// The step that proves who the person is, by a password.
import { Type } from 'typebox'
import { parseEmail } from '../accounts/model.ts'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { beginSignIn, finishSignIn } from '../credentials/webauthn-sign-in-service.ts'
import { answerScript } from '../http/script-answer.ts'
import { noWaiting } from '../http/waiting.ts'
import { hashToken } from '../lib/tokens.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { authenticate, signInWithPassword } from './service.ts'
import { type SignInData, signInPage } from './views.ts'
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

const SignInBody = Type.Object({ email: Field, password: Field, ...WorkFields })

export function mountSignIn({ page, form }: Steps, oidc: Oidc): void {
  page('sign-in', visit => show(visit, signInPage, signInData(visit, {})))
  form('sign-in', {
    step: 'sign-in',
    body: SignInBody,
    act: async (visit, { email, password, ...work }) => {
      const faults = findFaults(email, password)
      const again = { email: asText(email), faults }
      if (Object.keys(faults).length > 0) return await show(visit, signInPage, signInData(visit, again), 422)
      const outcome = await unlessBusy(
        signInWithPassword(visit.ctx, {
          oidc,
          interaction: visit.interaction,
          typed: { email, password, proofOfWork: workIn(work) }
        })
      )
      if (outcome instanceof HashingBusy)
        return await showBusy(visit, outcome, signInPage, signInData(visit, { ...again, problem: 'busy' }))
      if (outcome.ok) return redirect(visit.reply, outcome)
      const data = signInData(visit, { ...again, ...waitingOf(outcome), problem: outcome.reason })
      return await showRefused(visit, signInPage, data)
    }
  })
  mountPasskeySignIn(form, oidc)
}

/** A passkey is all that is needed, and tells who it is: no address is typed. */
function mountPasskeySignIn(form: Steps['form'], oidc: Oidc): void {
  form('sign-in/passkey/options', {
    step: 'sign-in',
    body: Type.Object({}),
    act: async ({ reply, ctx, interaction }) =>
      answerScript(reply, await beginSignIn(ctx, { boundTo: hashToken(interaction.uid) }))
  })
  form('sign-in/passkey', {
    step: 'sign-in',
    body: Type.Object({ response: Field }),
    act: async (visit, { response }) => {
      const { ctx, interaction, reply } = visit
      const outcome = await finishSignIn(ctx, { boundTo: hashToken(interaction.uid), response })
      if (outcome.ok) {
        const { accountId, proof } = outcome
        return redirect(reply, await authenticate({ oidc, interaction, accountId, proofs: [proof] }))
      }
      const signals =
        outcome.reason === 'unknown_credential'
          ? { unknownCredential: { rpId: ctx.config.webauthn.rpId, credentialId: outcome.credentialId } }
          : null
      const data = signInData(visit, { problem: 'passkey_refused', signals })
      return await show(visit, signInPage, data, 422)
    }
  })
}

function findFaults(email: unknown, password: unknown): SignInData['faults'] {
  const typed = parseEmail(email)
  return {
    ...(typed.ok ? {} : { email: typed.reason === 'missing' ? 'missing' : 'invalid' }),
    ...(password === undefined || password === '' ? { password: 'missing' } : {})
  }
}

const signInData = ({ interaction, ctx }: Visit, over: Partial<SignInData>): SignInData => {
  const { uid, likelyEmail, reauthentication } = interaction
  return {
    action: `/interaction/${uid}/sign-in`,
    signUpUrl: `/interaction/${uid}/sign-up`,
    resetUrl: `/reset-password?interaction=${encodeURIComponent(uid)}`,
    passkeyAction: `/interaction/${uid}/sign-in/passkey`,
    mailCodeUrl: ctx.config.mailSignIn ? `/interaction/${uid}/mail-code` : null,
    again: reauthentication,
    cancelAction: `/interaction/${uid}/cancel`,
    client: applicationOf(interaction),
    email: likelyEmail,
    problem: null,
    faults: {},
    signals: null,
    ...noWaiting,
    ...over
  }
}
