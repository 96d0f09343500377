// Setting up a factor in the course of a sign-in: where one is demanded and there is none, and the passkey of an account
// that was made without a password. Only who has just proven who they are comes here.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { FactorFacts } from '../credentials/factor-model.ts'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { setFirstPassword } from '../credentials/password-service.ts'
import type { Proof } from '../credentials/proof-model.ts'
import { createRecoveryCodes } from '../credentials/recovery-code-service.ts'
import {
  beginTotpEnrolment,
  confirmTotpEnrolment,
  readTotpEnrolment
} from '../credentials/totp-enrolment-service.ts'
import { isFrozen } from '../credentials/ways-in-model.ts'
import { beginRegistration, finishRegistration } from '../credentials/webauthn-registration-service.ts'
import { answerScript } from '../http/script-answer.ts'
import { sendPage } from '../http/view.ts'
import { hashToken } from '../lib/tokens.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { addProof, phishingResistanceDue, proofNow } from './service.ts'
import { recoveryCodesPage, type SetUpData, setUpPage } from './set-up-views.ts'
import {
  asText,
  Field,
  redirect,
  type Steps,
  show,
  showBusy,
  unlessBusy,
  type Visit
} from './visit-routes.ts'

export function mountSetUp({ page, form }: Steps, oidc: Oidc): void {
  page('set-up', async visit => {
    const { method } = visit.request.query as { method?: unknown }
    if (isFrozen(visit.interaction.factors as FactorFacts, visit.ctx.now()))
      return await show(visit, setUpPage, setUpData(visit, { problem: 'frozen' }), 403)
    if (purposeOf(visit) === 'phishing_resistant' || method === 'passkey')
      return await show(visit, setUpPage, setUpData(visit, { method: 'passkey' }))
    if (method !== 'totp') return await show(visit, setUpPage, setUpData(visit, {}))
    const enrolment = beginTotpEnrolment(visit.ctx, enrolling(visit))
    return await show(visit, setUpPage, setUpData(visit, { method: 'totp', enrolment }))
  })
  form('set-up/totp', {
    step: 'set-up',
    body: Type.Object({ enrolment: Field, code: Field, name: Field }),
    act: async (visit, { enrolment, code, name }) => {
      const typed = { ...enrolling(visit), enrolment, code, name }
      const outcome = await confirmTotpEnrolment(visit.ctx, typed)
      if (outcome.ok) return await welcome(visit, oidc, proofNow(visit.ctx, 'totp'))
      const read = readTotpEnrolment(visit.ctx, typed)
      const problem = outcome.reason === 'invalid' ? 'expired' : outcome.reason
      const data = setUpData(visit, {
        method: problem === 'frozen' ? 'choose' : 'totp',
        enrolment: read.ok ? read : beginTotpEnrolment(visit.ctx, typed),
        name: asText(name),
        problem: code === undefined || code === '' ? 'missing' : problem
      })
      return await show(visit, setUpPage, data, 422)
    }
  })
  mountPasskeySetUp({ form, step: 'set-up' }, oidc)
  mountFirstPasskey({ page, form }, oidc)
}

/** The passkey that an account is made with, or the password after all. */
function mountFirstPasskey({ page, form }: Pick<Steps, 'page' | 'form'>, oidc: Oidc): void {
  page('passkey', async visit => {
    const { method } = visit.request.query as { method?: unknown }
    return await show(visit, setUpPage, firstPasskeyData(visit, method === 'password' ? { method } : {}))
  })
  mountPasskeySetUp({ form, step: 'passkey' }, oidc)
  form('passkey/password', {
    step: 'passkey',
    body: Type.Object({ password: Field }),
    act: async (visit, { password }) => {
      const { ctx, interaction } = visit
      const again = (over: Partial<SetUpData>) => firstPasskeyData(visit, { method: 'password', ...over })
      const { id: accountId } = enrolling(visit).account
      const outcome = await unlessBusy(setFirstPassword(ctx, { accountId, password }))
      if (outcome instanceof HashingBusy)
        return await showBusy(visit, outcome, setUpPage, again({ problem: 'busy' }))
      if (outcome.ok || outcome.reason === 'has_password')
        return redirect(visit.reply, { url: `/interaction/${interaction.uid}/consent` })
      if (outcome.reason === 'frozen')
        return await show(visit, setUpPage, again({ method: 'passkey', problem: 'frozen' }), 403)
      return await show(visit, setUpPage, again({ passwordFault: outcome.faults.password ?? null }), 422)
    }
  })
}

const firstPasskeyData = (visit: Visit, over: Partial<SetUpData>): SetUpData =>
  setUpData(visit, {
    base: `/interaction/${visit.interaction.uid}/passkey`,
    purpose: 'new_account',
    method: 'passkey',
    ...over
  })

/** The forms that create a passkey, at the step of that name or at the one that sets up a second factor. */
function mountPasskeySetUp(
  { form, step }: Pick<Steps, 'form'> & { step: 'set-up' | 'passkey' },
  oidc: Oidc
): void {
  form(`${step}/passkey/options`, {
    step,
    body: Type.Object({}),
    act: async visit => answerScript(visit.reply, await beginRegistration(visit.ctx, enrolling(visit)))
  })
  form(`${step}/passkey`, {
    step,
    body: Type.Object({ response: Field }),
    act: async (visit, { response }) => {
      const outcome = await finishRegistration(visit.ctx, { ...enrolling(visit), response })
      if (!outcome.ok) {
        const problem = outcome.reason === 'already_registered' ? 'refused' : outcome.reason
        const data = (step === 'passkey' ? firstPasskeyData : setUpData)(visit, {
          method: 'passkey',
          problem
        })
        return await show(visit, setUpPage, data, 422)
      }
      const { userVerified, backupEligible } = outcome.passkey
      const method = step === 'passkey' ? 'passkey' : 'security_key'
      const proof = { ...proofNow(visit.ctx, method), userVerified, deviceBound: !backupEligible }
      return await welcome(visit, oidc, proof)
    }
  })
}

/** The factor is there, and has just been shown to be the person's: they go on, by way of the codes that replace it. */
async function welcome(visit: Visit, oidc: Oidc, proof: Proof): Promise<FastifyReply> {
  const { ctx, interaction, reply } = visit
  const { account } = interaction
  const onward = await addProof({ oidc, interaction, proof, trustDevice: false })
  const first = interaction.factors?.recoveryCodes === 0 && account !== null
  const made = first ? await createRecoveryCodes(ctx, account) : null
  if (made === null || !made.ok || account === null) return redirect(reply, onward)
  // In the answer itself: they are stored nowhere that a next page could show them from.
  return await sendPage(reply, recoveryCodesPage, {
    codes: made.codes,
    email: account.email,
    continueUrl: onward.url
  })
}

function enrolling({ interaction }: Visit) {
  if (interaction.account === null) throw new Error('a factor is set up for somebody')
  return { account: interaction.account, boundTo: hashToken(interaction.uid) }
}

const purposeOf = ({ interaction }: Visit): SetUpData['purpose'] =>
  phishingResistanceDue(interaction) ? 'phishing_resistant' : 'second_factor'

const setUpData = (visit: Visit, over: Partial<SetUpData>): SetUpData => {
  const { interaction, ctx } = visit
  return {
    base: `/interaction/${interaction.uid}/set-up`,
    clientName: interaction.client.name,
    accountEmail: interaction.account?.email ?? '',
    purpose: purposeOf(visit),
    method: 'choose',
    enrolment: null,
    name: '',
    problem: null,
    passwordFault: null,
    passwordMinLength: ctx.config.passwordMinLength,
    cancelAction: `/interaction/${interaction.uid}/cancel`,
    ...over
  }
}
