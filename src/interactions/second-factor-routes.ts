// The second step: a code, a passkey or key, or a recovery code. Who is here has proven one factor and reaches nothing else.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { emailKeyOf } from '../accounts/model.ts'
import type { FactorFacts } from '../credentials/factor-model.ts'
import { takeGuess, workAhead } from '../credentials/guess-service.ts'
import type { Proof } from '../credentials/proof-model.ts'
import { useRecoveryCode } from '../credentials/recovery-code-service.ts'
import { verifyTotp } from '../credentials/totp-service.ts'
import { beginSecondFactor, finishSecondFactor } from '../credentials/webauthn-sign-in-service.ts'
import { answerScript } from '../http/script-answer.ts'
import { noWaiting } from '../http/waiting.ts'
import { hashToken } from '../lib/tokens.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { type SecondFactorData, type SecondFactorMethod, secondFactorPage } from './second-factor-views.ts'
import { addProof, phishingResistanceDue, proofNow } from './service.ts'
import {
  Field,
  redirect,
  type Steps,
  show,
  showWaiting,
  type Visit,
  WorkFields,
  waitingOf,
  workIn
} from './visit-routes.ts'

const CodeBody = Type.Object({ code: Field, trust: Field, ...WorkFields })

export function mountSecondFactor({ page, form }: Steps, oidc: Oidc): void {
  page('second-factor', async visit => {
    const { method } = visit.request.query as { method?: unknown }
    const methods = methodsOf(visit)
    const chosen = methods.find(one => one === method) ?? methods[0] ?? 'recovery_code'
    return await show(visit, secondFactorPage, secondFactorData(visit, { method: chosen }))
  })
  form('second-factor/totp', {
    step: 'second-factor',
    body: CodeBody,
    act: async (visit, typed) =>
      await answer(visit, {
        oidc,
        method: 'totp',
        typed,
        prove: async account => {
          const outcome = await verifyTotp(visit.ctx, { accountId: account.id, code: typed.code })
          return outcome.ok ? proofNow(visit.ctx, 'totp') : null
        }
      })
  })
  mountPasskey(form, oidc)
  form('second-factor/recovery-code', {
    step: 'second-factor',
    body: CodeBody,
    act: async (visit, { trust: _, ...typed }) =>
      await answer(visit, {
        oidc,
        method: 'recovery_code',
        typed,
        prove: async account => {
          const outcome = await useRecoveryCode(visit.ctx, { account, code: typed.code })
          return outcome.ok ? proofNow(visit.ctx, 'recovery_code') : null
        }
      })
  })
}

/** One of this person's passkeys or keys, asked for beside what is proven. */
function mountPasskey(form: Steps['form'], oidc: Oidc): void {
  const askedOf = ({ interaction }: Visit) => ({
    accountId: interaction.account?.id ?? '',
    boundTo: hashToken(interaction.uid)
  })
  form('second-factor/passkey/options', {
    step: 'second-factor',
    body: Type.Object({}),
    act: async visit => answerScript(visit.reply, await beginSecondFactor(visit.ctx, askedOf(visit)))
  })
  form('second-factor/passkey', {
    step: 'second-factor',
    body: Type.Object({ response: Field, trust: Field }),
    act: async (visit, { response, trust }) => {
      const { ctx, interaction, reply } = visit
      const outcome = await finishSecondFactor(ctx, { ...askedOf(visit), response })
      const data = secondFactorData(visit, { method: 'passkey', problem: 'refused' })
      if (!outcome.ok) return await show(visit, secondFactorPage, data, 422)
      const proof = { oidc, interaction, proof: outcome.proof, trustDevice: trust === 'yes' }
      return redirect(reply, await addProof(proof))
    }
  })
}

type Try = {
  oidc: Oidc
  method: SecondFactorMethod
  typed: Record<string, unknown>
  prove: (account: { id: string; email: string }) => Promise<Proof | null>
}

/** A typed code is a guess at the account, as a password is, and counts with those. */
async function answer(visit: Visit, { oidc, method, typed, prove }: Try): Promise<FastifyReply> {
  const { interaction, ctx, reply } = visit
  const { account } = interaction
  const again = (over: Partial<SecondFactorData>) => secondFactorData(visit, { method, ...over })
  if (account === null || typed.code === undefined || typed.code === '')
    return await show(visit, secondFactorPage, again({ problem: 'missing' }), 422)
  const emailKey = emailKeyOf(account.email)
  const taken = await takeGuess(ctx, { emailKey, proofOfWork: workIn(typed) })
  if (!taken.ok)
    return await showWaiting(visit, secondFactorPage, again({ ...waitingOf(taken), problem: taken.reason }))
  const { guess } = taken
  const proof = await prove(account)
  if (proof === null) {
    const work = waitingOf({ challenge: workAhead(ctx, guess) })
    return await show(visit, secondFactorPage, again({ ...work, problem: 'wrong_code' }), 422)
  }
  const trustDevice = typed.trust === 'yes'
  return redirect(reply, await addProof({ oidc, interaction, proof, trustDevice, guess }))
}

/** What this person may use here, the strongest first. A demand for a phishing-resistant proof leaves passkeys alone. */
function methodsOf({ interaction }: Visit): SecondFactorMethod[] {
  const { webauthn, totp, recoveryCodes } = interaction.factors as FactorFacts
  if (phishingResistanceDue(interaction)) return ['passkey']
  return [
    ...(webauthn > 0 ? (['passkey'] as const) : []),
    ...(totp > 0 ? (['totp'] as const) : []),
    ...(recoveryCodes > 0 ? (['recovery_code'] as const) : [])
  ]
}

const secondFactorData = (
  visit: Visit,
  over: Pick<SecondFactorData, 'method'> & Partial<SecondFactorData>
): SecondFactorData => {
  const { interaction, ctx } = visit
  return {
    base: `/interaction/${interaction.uid}/second-factor`,
    clientName: interaction.client.name,
    accountEmail: interaction.account?.email ?? '',
    others: methodsOf(visit).filter(method => method !== over.method),
    problem: null,
    ...noWaiting,
    trustDays: ctx.config.trustedDeviceDays === 0 ? null : ctx.config.trustedDeviceDays,
    cancelAction: `/interaction/${interaction.uid}/cancel`,
    ...over
  }
}
