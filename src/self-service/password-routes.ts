// The signed-in person's password: changed, or set where there is none.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { HashingBusy } from '../credentials/hashing-queue.ts'
import { removePassword, setFirstPassword } from '../credentials/password-service.ts'
import { Field } from '../http/form-fields.ts'
import { noWaiting, type Waiting } from '../http/waiting.ts'
import { removeOwnFactor } from './factor-service.ts'
import { changeOwnPassword } from './password-service.ts'
import { type PasswordData, passwordPage, removePasswordPage } from './password-views.ts'
import { type AccountPages, type AccountVisit, done, show } from './visit-routes.ts'

const path = '/account/security/password'

export function mountPassword(pages: AccountPages): void {
  const { changePage, form } = pages
  mountRemoval(pages)
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

function mountRemoval({ changePage, form }: AccountPages): void {
  const removal = `${path}/remove`
  changePage(removal, visit => show(visit, removePasswordPage, { problem: null }))
  form(removal, {
    body: Type.Object({}),
    from: removal,
    act: async visit => {
      const accountId = visit.session.account.id
      const outcome = await removeOwnFactor(visit.ctx, accountId, (tx, policy) =>
        removePassword(tx, { accountId, ...policy })
      )
      if (outcome.ok) return done(visit, 'password-removed')
      if (outcome.reason === 'not_found') return visit.reply.redirect(path, 303)
      return await show(visit, removePasswordPage, { problem: outcome.reason }, 422)
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
  const removable = change && visit.factors.webauthn > 0
  const data = { change, removable, problem: null, faults: {}, passwordMinLength, ...noWaiting, ...over }
  return await show(visit, passwordPage, data, status)
}
