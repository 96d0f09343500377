// The signed-in person's password: changed, or set where there is none.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { setFirstPassword } from '../credentials/password-service.ts'
import { Field } from '../http/form-fields.ts'
import { noWaiting, type Waiting } from '../http/waiting.ts'
import { changeOwnPassword } from './password-service.ts'
import { type PasswordData, passwordPage } from './password-views.ts'
import { type AccountPages, type AccountVisit, done, show } from './visit-routes.ts'

const path = '/account/security/password'

export function mountPassword({ changePage, form }: AccountPages): void {
  changePage(path, visit => showForm(visit, {}))
  form(path, {
    body: Type.Object({ current: Field, password: Field, challenge: Field, solution: Field }),
    from: path,
    act: async (visit, typed) => {
      try {
        return await (visit.factors.password ? change : add)(visit, typed)
      } catch (error) {
        if (!(error instanceof HashingBusy)) throw error
        visit.reply.header('retry-after', Math.ceil(error.retryAfterSeconds))
        return await showForm(visit, { problem: 'busy' }, 503)
      }
    }
  })
}

async function change(
  visit: AccountVisit,
  { current, password, challenge, solution }: Record<string, unknown>
): Promise<FastifyReply> {
  const { account, uid: sessionUid } = visit.session
  const outcome = await changeOwnPassword(visit.ctx, {
    accountId: account.id,
    sessionUid,
    current,
    password,
    proofOfWork: { challenge, solution }
  })
  if (outcome.ok) return done(visit, 'password-changed')
  switch (outcome.reason) {
    case 'faulty':
      return await showForm(visit, { faults: outcome.faults }, 422)
    case 'frozen':
      return await showForm(visit, { problem: outcome.reason }, 422)
    case 'too_many':
    case 'work_needed': {
      const { ok: _, reason: problem, ...waiting } = outcome
      visit.reply.header('retry-after', waiting.retryAfterSeconds)
      return await showForm(visit, { problem, ...waiting }, 429)
    }
    case 'session_over':
      // The page asks who it is.
      return visit.reply.redirect(path, 303)
  }
}

async function add(visit: AccountVisit, { password }: Record<string, unknown>): Promise<FastifyReply> {
  const outcome = await setFirstPassword(visit.ctx, { accountId: visit.session.account.id, password })
  if (outcome.ok) return done(visit, 'password-added')
  switch (outcome.reason) {
    case 'faulty':
      return await showForm(visit, { faults: outcome.faults }, 422)
    case 'has_password':
      // Set elsewhere meanwhile: the page is another one now.
      return visit.reply.redirect(path, 303)
    case 'frozen':
      return await showForm(visit, { problem: outcome.reason }, 422)
  }
}

async function showForm(
  visit: AccountVisit,
  over: Partial<Pick<PasswordData, 'problem' | 'faults' | keyof Waiting>>,
  status = 200
): Promise<FastifyReply> {
  const { passwordMinLength } = visit.ctx.config
  const change = visit.factors.password
  const data = { change, problem: null, faults: {}, passwordMinLength, ...noWaiting, ...over }
  return await show(visit, passwordPage, data, status)
}
