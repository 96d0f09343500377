// Authenticator apps of the signed-in person: added, named, removed.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import {
  beginTotpEnrolment,
  confirmTotpEnrolment,
  readTotpEnrolment
} from '../credentials/totp-enrolment-service.ts'
import { findTotp } from '../credentials/totp-repository.ts'
import { removeTotp, renameTotp } from '../credentials/totp-service.ts'
import { PageNotFound } from '../http/errors.ts'
import { asText, Field } from '../http/form-fields.ts'
import { type AddAuthenticatorData, addAuthenticatorPage } from './authenticator-views.ts'
import { removeOwnFactor } from './factor-service.ts'
import { type FactorData, factorPage } from './factor-views.ts'
import { showAdded } from './recovery-code-routes.ts'
import { type AccountPages, type AccountVisit, boundTo, done, show } from './visit-routes.ts'

const add = '/account/security/authenticators/add'
const own = '/account/security/authenticators/:id'
const AddBody = Type.Object({ enrolment: Field, code: Field, name: Field })

export function mountAuthenticators({ changePage, form }: AccountPages): void {
  changePage(add, visit => showOffer(visit, {}))
  form(add, { body: AddBody, from: add, act: addAuthenticator })
  changePage(own, visit => showAuthenticator(visit, {}))
  form(own, {
    body: Type.Object({ name: Field }),
    from: own,
    act: async (visit, { name }) => {
      const outcome = await renameTotp(visit.ctx, { accountId: visit.session.account.id, id: visit.id, name })
      if (outcome.ok) return done(visit, 'authenticator-renamed')
      if (outcome.reason === 'not_found') throw new PageNotFound()
      return await showAuthenticator(visit, { name: asText(name), faults: { name: outcome.reason } })
    }
  })
  form(`${own}/remove`, {
    body: Type.Object({}),
    from: own,
    act: async visit => {
      const accountId = visit.session.account.id
      const outcome = await removeOwnFactor(visit.ctx, accountId, (tx, policy) =>
        removeTotp(tx, { accountId, id: visit.id, ...policy })
      )
      if (outcome.ok) return done(visit, 'authenticator-removed')
      if (outcome.reason === 'not_found') throw new PageNotFound()
      return await showAuthenticator(visit, { problem: outcome.reason })
    }
  })
}

async function addAuthenticator(visit: AccountVisit, typed: Record<string, unknown>): Promise<FastifyReply> {
  const { enrolment, code, name } = typed
  const enrolling = { account: visit.session.account, boundTo: boundTo(visit) }
  const again = { name: asText(name), enrolment }
  if (code === undefined || code === '')
    return await showOffer(visit, { ...again, faults: { code: 'missing' } })
  const outcome = await confirmTotpEnrolment(visit.ctx, { ...enrolling, enrolment, code, name })
  if (outcome.ok) return await showAdded(visit, 'authenticator')
  switch (outcome.reason) {
    case 'wrong_code':
      return await showOffer(visit, { ...again, faults: { code: outcome.reason } })
    case 'invalid_name':
      return await showOffer(visit, { ...again, faults: { name: outcome.reason } })
    default:
      return await showOffer(visit, { name: again.name, problem: outcome.reason })
  }
}

type Offered = Partial<Pick<AddAuthenticatorData, 'name' | 'problem' | 'faults'>> & { enrolment?: unknown }

/** The code that was scanned already where it can still be used, else a new one. */
async function showOffer(visit: AccountVisit, { enrolment, ...over }: Offered): Promise<FastifyReply> {
  const enrolling = { account: visit.session.account, boundTo: boundTo(visit) }
  const offered = enrolment === undefined ? null : readTotpEnrolment(visit.ctx, { ...enrolling, enrolment })
  const totp = offered?.ok ? offered : beginTotpEnrolment(visit.ctx, enrolling)
  const problem = offered === null || offered.ok ? null : offered.reason
  const failed = Object.keys(over).length > 0
  const data = { totp, name: '', problem, faults: {}, ...over }
  return await show(visit, addAuthenticatorPage, data, failed ? 422 : 200)
}

async function showAuthenticator(
  visit: AccountVisit,
  over: Partial<Pick<FactorData, 'name' | 'problem' | 'faults'>>
): Promise<FastifyReply> {
  const { ctx, session, factors, id } = visit
  const found = await findTotp(ctx.sql, { accountId: session.account.id, id })
  if (found === null) throw new PageNotFound()
  const data: Omit<FactorData, 'signedInAs'> = {
    factor: { kind: 'authenticator', ...found },
    name: found.name,
    lastSecondFactor: factors.totp + factors.webauthn === 1,
    problem: null,
    faults: {},
    ...over
  }
  return await show(visit, factorPage, data, Object.keys(over).length > 0 ? 422 : 200)
}
