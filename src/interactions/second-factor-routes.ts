// The second step: a code, a passkey or key, or a recovery code. Who is here has proven one factor and reaches nothing else.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { emailKeyOf } from '../accounts/model.ts'
import type { FactorFacts } from '../credentials/factor-model.ts'
import { tryGuess } from '../credentials/guess-service.ts'
import { type UseRecoveryCodeOutcome, useRecoveryCode } from '../credentials/recovery-code-service.ts'
import { type VerifyTotpOutcome, verifyTotp } from '../credentials/totp-service.ts'
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
  showRefused,
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
        check: account => verifyTotp(visit.ctx, { accountId: account.id, code: typed.code })
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
        check: account => useRecoveryCode(visit.ctx, { account, code: typed.code })
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
  method: 'totp' | 'recovery_code'
  typed: Record<string, unknown>
  check: (account: { id: string; email: string }) => Promise<VerifyTotpOutcome | UseRecoveryCodeOutcome>
}

/** A typed code is a guess at the account, as a password is, and counts with those. */
async function answer(visit: Visit, { oidc, method, typed, check }: Try): Promise<FastifyReply> {
  const { interaction, ctx, reply } = visit
  const { account } = interaction
  const again = async (over: Partial<SecondFactorData>) =>
    await showRefused(visit, secondFactorPage, secondFactorData(visit, { method, ...over }))
  if (account === null || typed.code === undefined || typed.code === '')
    return await again({ problem: 'missing' })
  const pays = { emailKey: emailKeyOf(account.email), proofOfWork: workIn(typed) }
  const outcome = await tryGuess(ctx, pays, () => check(account))
  if (!outcome.ok) return await again({ ...waitingOf(outcome), problem: outcome.reason })
  const proven = { proof: proofNow(ctx, method), trustDevice: typed.trust === 'yes', guess: outcome.guess }
  return redirect(reply, await addProof({ oidc, interaction, ...proven }))
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
