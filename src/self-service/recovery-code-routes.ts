// Recovery codes of the signed-in person: made anew, and made along with the first second factor.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { hasSecondFactor } from '../credentials/factor-model.ts'
import { createRecoveryCodes } from '../credentials/recovery-code-service.ts'
import { newRecoveryCodesPage, recoveryCodesPage } from './authenticator-views.ts'
import { type AccountPages, type AccountVisit, done, show } from './visit-routes.ts'

const path = '/account/security/recovery-codes'

export function mountRecoveryCodes({ changePage, form }: AccountPages): void {
  changePage(path, visit => {
    const { factors } = visit
    const problem = hasSecondFactor(factors) ? null : 'no_second_factor'
    return show(visit, recoveryCodesPage, { codesLeft: factors.recoveryCodes, problem })
  })
  form(path, {
    body: Type.Object({}),
    from: path,
    act: async visit => {
      const outcome = await createRecoveryCodes(visit.ctx, visit.session.account)
      if (outcome.ok) return await show(visit, newRecoveryCodesPage, { codes: outcome.codes, notice: null })
      const codesLeft = visit.factors.recoveryCodes
      return await show(visit, recoveryCodesPage, { codesLeft, problem: outcome.reason }, 422)
    }
  })
}

/** After a factor was added. With the first there come recovery codes, in this answer alone. */
export async function showAdded(
  visit: AccountVisit,
  what: 'passkey' | 'authenticator'
): Promise<FastifyReply> {
  if (hasSecondFactor(visit.factors)) return done(visit, `${what}-added`)
  const outcome = await createRecoveryCodes(visit.ctx, visit.session.account)
  if (!outcome.ok) return done(visit, `${what}-added`)
  return await show(visit, newRecoveryCodesPage, { codes: outcome.codes, notice: what })
}
