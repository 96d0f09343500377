// The browsers that the signed-in person has signed in with: trusted no longer, forgotten.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { browserOf } from '../accounts/browser-model.ts'
import { PageNotFound } from '../http/errors.ts'
import { isTrusted } from '../sessions/device-model.ts'
import { listDevices } from '../sessions/device-repository.ts'
import { findOwnDevice, removeDevice, untrustDevice } from '../sessions/device-service.ts'
import { devicePage } from './factor-views.ts'
import type { ListedDevice } from './listed-views.ts'
import { type AccountPages, type AccountVisit, done, show } from './visit-routes.ts'

const own = '/account/security/devices/:id'

/** Nothing here opens anything: it may be done in the day after “this wasn't me”, too. */
export function mountDevices({ changePage, form }: AccountPages): void {
  const options = { body: Type.Object({}), from: own, whileFrozen: true }
  changePage(own, showDevice, { whileFrozen: true })
  form(`${own}/untrust`, {
    ...options,
    act: async visit => {
      const outcome = await untrustDevice(visit.ctx, deviceOf(visit))
      if (!outcome.ok) throw new PageNotFound()
      return done(visit, 'device-untrusted')
    }
  })
  form(`${own}/remove`, {
    ...options,
    act: async visit => {
      const outcome = await removeDevice(visit.ctx, deviceOf(visit))
      if (!outcome.ok) throw new PageNotFound()
      return done(visit, 'device-removed')
    }
  })
}

const deviceOf = ({ session, id }: AccountVisit) => ({ accountId: session.account.id, deviceId: id })

async function showDevice(visit: AccountVisit): Promise<FastifyReply> {
  const device = (await listOwnDevices(visit)).find(({ id }) => id === visit.id)
  if (device === undefined) throw new PageNotFound()
  return await show(visit, devicePage, { device })
}

/** The browser that was used last first. */
export async function listOwnDevices({ ctx, session }: AccountVisit): Promise<ListedDevice[]> {
  const { id: accountId } = session.account
  const now = ctx.now()
  const [devices, here] = await Promise.all([
    listDevices(ctx.sql, accountId, now),
    findOwnDevice(ctx, accountId)
  ])
  return devices.map(device => ({
    id: device.id,
    browser: browserOf(device.userAgent),
    lastSeenAt: device.lastSeenAt,
    trustedUntil: isTrusted(device, ctx.config, now) ? device.trustedUntil : null,
    current: device.id === here?.id
  }))
}
