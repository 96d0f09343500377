// Logout tokens: what a sign-out owes to applications is kept as a job, and sent when the person has long gone on.
import type { Provider } from 'oidc-provider'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import type { JobHandler } from '../jobs/model.ts'
import { type CircuitBreaker, createCircuitBreaker } from '../lib/circuit-breaker.ts'
import { announceLogout, type LogoutNotice, logoutHandlers } from '../sessions/logout-service.ts'
import type { Oidc } from './oidc.ts'
import type { RegisteredClient } from './registry.ts'
import { currentUnit, flushUnit, type UnitOfWork } from './unit-of-work.ts'

type Send = (this: RegisteredClient, sub: string, sid: string | undefined) => Promise<void>
type ClientModel = { prototype: { backchannelLogout: Send } }

/** The library's own sending, by the instance that it was taken from. */
const sends = new WeakMap<Provider, Send>()

/** The library would send each logout token while the person waits for it: here it only notes who is to be told. */
export function deferLogoutTokens(provider: Provider): void {
  const { prototype } = provider.Client as unknown as ClientModel
  sends.set(provider, prototype.backchannelLogout)
  prototype.backchannelLogout = async function (accountId, sid) {
    currentUnit().loggedOut.push({ accountId, clientId: this.clientId, sid: sid ?? null })
  }
}

/** `flushUnit`, in one transaction with the jobs that tell the applications of an end of session, where there are any. */
export async function flushWithNotices(
  ctx: Context,
  unit: UnitOfWork,
  options: { failed: boolean }
): Promise<void> {
  const [first] = unit.loggedOut
  if (first === undefined) return await flushUnit(ctx.sql, unit, options)
  const receivers = unit.loggedOut.map(({ clientId, sid }) => ({ clientId, sid }))
  await inTransaction(ctx, async tx => {
    await flushUnit(tx.sql, unit, options)
    await announceLogout(tx, { accountId: first.accountId, receivers })
  })
}

const patience = { failuresInARow: 3, pauseMs: 60_000 }

/**
 * Works the queues of back-channel logout. A logout token is made when it is sent, with the keys of that moment, and for
 * each try anew: it is good for two minutes.
 *
 * An application that failed three times in a row is left alone for a minute, so that it holds up no other; its notices
 * are tried again later. What was tried too often is logged and recorded as `client.logout_notice_failed`.
 *
 * @see OpenID Connect Back-Channel Logout 1.0 §2.4, §2.5
 */
export function backChannelLogoutHandlers(oidc: Oidc): Record<string, JobHandler> {
  // Of this process: another node's way to an application may be another one.
  const breakers = new Map<string, CircuitBreaker>()
  return {
    ...logoutHandlers,
    'logout-notice': async (ctx, { data }) => {
      const notice = data as LogoutNotice
      const { provider, registry } = oidc.current()
      const client = await registry.clients.find(notice.clientId)
      const send = sends.get(provider)
      if (client?.backchannelLogoutUri === undefined || send === undefined) return
      const breaker = breakers.get(notice.clientId) ?? createCircuitBreaker(patience)
      breakers.set(notice.clientId, breaker)
      const now = ctx.now().getTime()
      if (!breaker.mayTry(now)) throw new Error('the application has not answered of late')
      try {
        await send.call(client, notice.accountId, notice.sid ?? undefined)
        breakers.delete(notice.clientId)
      } catch (error) {
        breaker.failed(now)
        throw error
      }
    },
    'logout-notice-failed': async (ctx, { data }) => {
      const { accountId, clientId } = data as LogoutNotice
      ctx.log.warn({ clientId }, 'an application could not be told of a sign-out')
      await recordEvent(ctx, { type: 'client.logout_notice_failed', accountId, clientId })
    }
  }
}
