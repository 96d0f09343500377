// Authenticator apps of the signed-in person: how one is added, and the page of each.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import {
  beginTotpEnrolment,
  confirmTotpEnrolment,
  readTotpEnrolment
} from '../credentials/totp-enrolment-service.ts'
import { findTotp } from '../credentials/totp-repository.ts'
import { removeTotp, renameTotp } from '../credentials/totp-service.ts'
import { asText, Field } from '../http/form-fields.ts'
import { type AddAuthenticatorData, addAuthenticatorPage } from './authenticator-views.ts'
import { mountFactor } from './factor-routes.ts'
import { showAdded } from './recovery-code-routes.ts'
import { type AccountPages, type AccountVisit, boundTo, show } from './visit-routes.ts'

const add = '/account/security/authenticators/add'
const AddBody = Type.Object({ enrolment: Field, code: Field, name: Field })

export function mountAuthenticators(pages: AccountPages): void {
  const { changePage, form } = pages
  changePage(add, visit => showOffer(visit, {}))
  form(add, { body: AddBody, from: add, act: addAuthenticator })
  mountFactor(pages, {
    kind: 'authenticator',
    path: '/account/security/authenticators/:id',
    find: async (ctx, own) => {
      const found = await findTotp(ctx.sql, own)
      return found && { kind: 'authenticator', ...found }
    },
    rename: renameTotp,
    remove: removeTotp
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
