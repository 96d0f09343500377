// What may be done to one's own passkeys and authenticators alike: each has a page, gets another name, is removed.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import type { Context } from '../context.ts'
import type { RemoveTotpOutcome } from '../credentials/totp-service.ts'
import type { RenamePasskeyOutcome } from '../credentials/webauthn-service.ts'
import { PageNotFound } from '../http/errors.ts'
import { asText, Field } from '../http/form-fields.ts'
import { removeOwnFactor } from './factor-service.ts'
import { type FactorData, factorPage } from './factor-views.ts'
import { type AccountPages, type AccountVisit, done, show } from './visit-routes.ts'

type Own = { accountId: string; id: string }

type Factor = {
  kind: FactorData['factor']['kind']
  /** Of the page, with `:id`. */
  path: string
  find: (ctx: Context, own: Own) => Promise<FactorData['factor'] | null>
  rename: (ctx: Context, typed: Own & { name: unknown }) => Promise<RenamePasskeyOutcome>
  remove: (tx: Context, wanted: Own & { secondFactorRequired: boolean }) => Promise<RemoveTotpOutcome>
}

export function mountFactor({ changePage, form }: AccountPages, factor: Factor): void {
  const { kind, path, rename, remove } = factor
  changePage(path, visit => showFactor(visit, factor, {}))
  form(path, {
    body: Type.Object({ name: Field }),
    from: path,
    act: async (visit, { name }) => {
      const outcome = await rename(visit.ctx, { ...ownOf(visit), name })
      if (outcome.ok) return done(visit, `${kind}-renamed`)
      switch (outcome.reason) {
        case 'not_found':
          throw new PageNotFound()
        case 'frozen':
          return await showFactor(visit, factor, { name: asText(name), problem: outcome.reason })
        default:
          return await showFactor(visit, factor, { name: asText(name), faults: { name: outcome.reason } })
      }
    }
  })
  form(`${path}/remove`, {
    body: Type.Object({}),
    from: path,
    act: async visit => {
      const own = ownOf(visit)
      const outcome = await removeOwnFactor(visit.ctx, own.accountId, (tx, policy) =>
        remove(tx, { ...own, ...policy })
      )
      if (outcome.ok) return done(visit, `${kind}-removed`)
      if (outcome.reason === 'not_found') throw new PageNotFound()
      return await showFactor(visit, factor, { problem: outcome.reason })
    }
  })
}

const ownOf = ({ session, id }: AccountVisit): Own => ({ accountId: session.account.id, id })

async function showFactor(
  visit: AccountVisit,
  { find }: Factor,
  over: Partial<Pick<FactorData, 'name' | 'problem' | 'faults'>>
): Promise<FastifyReply> {
  const { webauthn, totp } = visit.factors
  const factor = await find(visit.ctx, ownOf(visit))
  if (factor === null) throw new PageNotFound()
  const lastSecondFactor = totp + webauthn === 1
  const data = { factor, name: factor.name, lastSecondFactor, problem: null, faults: {}, ...over }
  return await show(visit, factorPage, data, Object.keys(over).length > 0 ? 422 : 200)
}
