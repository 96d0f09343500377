// The second step: a code, a passkey or key, or a recovery code. Who is here has proven one factor and reaches nothing else.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { FactorFacts } from '../credentials/factor-model.ts'
import type { Proof } from '../credentials/proof-model.ts'
import { useRecoveryCode } from '../credentials/recovery-code-service.ts'
import { verifyTotp } from '../credentials/totp-service.ts'
import { beginSecondFactor, finishSecondFactor } from '../credentials/webauthn-sign-in-service.ts'
import { answerScript } from '../http/script-answer.ts'
import { hashToken } from '../lib/tokens.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { type SecondFactorData, type SecondFactorMethod, secondFactorPage } from './second-factor-views.ts'
import { addProof, phishingResistanceDue, proofNow } from './service.ts'
import { Field, redirect, type Steps, show, type Visit } from './visit-routes.ts'

const CodeBody = Type.Object({ code: Field, trust: Field })

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
    act: async (visit, { code, trust }) =>
      await answer(visit, {
        oidc,
        method: 'totp',
        code,
        trust,
        prove: async account => {
          const outcome = await verifyTotp(visit.ctx, { accountId: account.id, code })
          return outcome.ok ? proofNow(visit.ctx, 'totp') : null
        }
      })
  })
  mountPasskey(form, oidc)
  form('second-factor/recovery-code', {
    step: 'second-factor',
    body: CodeBody,
    act: async (visit, { code }) =>
      await answer(visit, {
        oidc,
        method: 'recovery_code',
        code,
        trust: undefined,
        prove: async account => {
          const outcome = await useRecoveryCode(visit.ctx, { account, code })
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
      return redirect(reply, await addProof(ctx, proof))
    }
  })
}

type Try = {
  oidc: Oidc
  method: SecondFactorMethod
  code: unknown
  trust: unknown
  prove: (account: { id: string; email: string }) => Promise<Proof | null>
}

async function answer(visit: Visit, { oidc, method, code, trust, prove }: Try): Promise<FastifyReply> {
  const { interaction, ctx, reply } = visit
  const { account } = interaction
  const again = (problem: SecondFactorData['problem']) =>
    show(visit, secondFactorPage, secondFactorData(visit, { method, problem }), 422)
  if (account === null || code === undefined || code === '') return await again('missing')
  const proof = await prove(account)
  if (proof === null) return await again('wrong_code')
  return redirect(reply, await addProof(ctx, { oidc, interaction, proof, trustDevice: trust === 'yes' }))
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

export const secondFactorData = (
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
    retryAfterSeconds: null,
    trustDays: ctx.config.trustedDeviceDays === 0 ? null : ctx.config.trustedDeviceDays,
    cancelAction: `/interaction/${interaction.uid}/cancel`,
    ...over
  }
}
