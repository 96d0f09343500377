// Passkeys and security keys of the signed-in person: added, named, removed.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { beginRegistration, finishRegistration } from '../credentials/webauthn-registration-service.ts'
import { listPasskeys } from '../credentials/webauthn-repository.ts'
import { removePasskey, renamePasskey } from '../credentials/webauthn-service.ts'
import { PageNotFound } from '../http/errors.ts'
import { asText, Field } from '../http/form-fields.ts'
import { answerScript } from '../http/script-answer.ts'
import { removeOwnFactor } from './factor-service.ts'
import { addPasskeyPage, type FactorData, factorPage } from './factor-views.ts'
import { showAdded } from './recovery-code-routes.ts'
import { type AccountPages, type AccountVisit, boundTo, done, show } from './visit-routes.ts'

const add = '/account/security/passkeys/add'
const own = '/account/security/passkeys/:id'
const Nothing = Type.Object({})

export function mountPasskeys({ changePage, form }: AccountPages): void {
  const registering = (visit: AccountVisit) => ({ account: visit.session.account, boundTo: boundTo(visit) })
  changePage(add, visit =>
    show(visit, addPasskeyPage, { problem: null, hasPassword: visit.factors.password })
  )
  form(`${add}/options`, {
    body: Nothing,
    from: add,
    act: async visit => answerScript(visit.reply, await beginRegistration(visit.ctx, registering(visit)))
  })
  form(add, {
    body: Type.Object({ response: Field }),
    from: add,
    act: async (visit, { response }) => {
      const outcome = await finishRegistration(visit.ctx, { ...registering(visit), response })
      if (outcome.ok) return await showAdded(visit, 'passkey')
      const data = { problem: outcome.reason, hasPassword: visit.factors.password }
      return await show(visit, addPasskeyPage, data, 422)
    }
  })
  changePage(own, visit => showPasskey(visit, {}))
  form(own, { body: Type.Object({ name: Field }), from: own, act: rename })
  form(`${own}/remove`, { body: Nothing, from: own, act: remove })
}

async function rename(visit: AccountVisit, { name }: Record<string, unknown>): Promise<FastifyReply> {
  const outcome = await renamePasskey(visit.ctx, { accountId: visit.session.account.id, id: visit.id, name })
  if (outcome.ok) return done(visit, 'passkey-renamed')
  switch (outcome.reason) {
    case 'not_found':
      throw new PageNotFound()
    case 'frozen':
      return await showPasskey(visit, { name: asText(name), problem: outcome.reason })
    default:
      return await showPasskey(visit, { name: asText(name), faults: { name: outcome.reason } })
  }
}

async function remove(visit: AccountVisit): Promise<FastifyReply> {
  const accountId = visit.session.account.id
  const outcome = await removeOwnFactor(visit.ctx, accountId, (tx, policy) =>
    removePasskey(tx, { accountId, id: visit.id, ...policy })
  )
  if (outcome.ok) return done(visit, 'passkey-removed')
  if (outcome.reason === 'not_found') throw new PageNotFound()
  return await showPasskey(visit, { problem: outcome.reason })
}

async function showPasskey(
  visit: AccountVisit,
  over: Partial<Pick<FactorData, 'name' | 'problem' | 'faults'>>
): Promise<FastifyReply> {
  const { ctx, session, factors, id } = visit
  const found = (await listPasskeys(ctx.sql, session.account.id)).find(passkey => passkey.id === id)
  if (found === undefined) throw new PageNotFound()
  const data: Omit<FactorData, 'signedInAs'> = {
    factor: { kind: 'passkey', ...found },
    name: found.name,
    lastSecondFactor: factors.totp + factors.webauthn === 1,
    problem: null,
    faults: {},
    ...over
  }
  return await show(visit, factorPage, data, Object.keys(over).length > 0 ? 422 : 200)
}
