// Passkeys and security keys of the signed-in person: how one is added, and the page of each.
import { Type } from 'typebox'
import { beginRegistration, finishRegistration } from '../credentials/webauthn-registration-service.ts'
import { listPasskeys } from '../credentials/webauthn-repository.ts'
import { removePasskey, renamePasskey } from '../credentials/webauthn-service.ts'
import { Field } from '../http/form-fields.ts'
import { answerScript } from '../http/script-answer.ts'
import { mountFactor } from './factor-routes.ts'
import { addPasskeyPage } from './factor-views.ts'
import { showAdded } from './recovery-code-routes.ts'
import { type AccountPages, type AccountVisit, boundTo, show } from './visit-routes.ts'

const add = '/account/security/passkeys/add'

export function mountPasskeys(pages: AccountPages): void {
  const { changePage, form } = pages
  const registering = (visit: AccountVisit) => ({ account: visit.session.account, boundTo: boundTo(visit) })
  changePage(add, visit =>
    show(visit, addPasskeyPage, { problem: null, hasPassword: visit.factors.password })
  )
  form(`${add}/options`, {
    body: Type.Object({}),
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
  mountFactor(pages, {
    kind: 'passkey',
    path: '/account/security/passkeys/:id',
    find: async (ctx, { accountId, id }) => {
      const found = (await listPasskeys(ctx.sql, accountId)).find(passkey => passkey.id === id)
      return found === undefined ? null : { kind: 'passkey', ...found }
    },
    rename: renamePasskey,
    remove: removePasskey
  })
}
