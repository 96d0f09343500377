// Tells people of a sign-in with a browser that their account did not know. By a job: a sign-in does not wait for a mail.
import { sendNotice } from '../accounts/notice-service.ts'
import { findAccount } from '../accounts/repository.ts'
import { type Context, inTransaction, type RequestFacts } from '../context.ts'
import type { JobHandler } from '../jobs/model.ts'
import { countOtherDevices } from './device-repository.ts'

type NewDevice = {
  accountId: string
  deviceId: string
  /** ISO 8601. */
  happenedAt: string
  request: Pick<RequestFacts, 'id' | 'ip' | 'userAgent'>
}

/** Puts the notice in the queue, once the sign-in is complete. `happenedAt`: when that began. */
export async function announceDevice(
  ctx: Context,
  { happenedAt, ...device }: { accountId: string; deviceId: string; happenedAt: Date }
): Promise<void> {
  if (ctx.request === undefined) return
  const { id, ip, userAgent } = ctx.request
  const request = { id, ip, userAgent: userAgent.slice(0, 400) }
  const job: NewDevice = { ...device, happenedAt: happenedAt.toISOString(), request }
  await ctx.enqueue(ctx.sql, 'new-device', job)
}

/** The first browser of an account is its owner's who signs up: nobody is told of that. */
export const newDeviceHandlers: Record<string, JobHandler> = {
  'new-device': async (ctx, { data }) => {
    const { accountId, deviceId, happenedAt, request } = data as NewDevice
    await inTransaction({ ...ctx, request }, async tx => {
      const account = await findAccount(tx.sql, accountId)
      if (account === null || (await countOtherDevices(tx.sql, { accountId, deviceId })) === 0) return
      await sendNotice(tx, account, { kind: 'new_device', data: {}, happenedAt: new Date(happenedAt) })
    })
  }
}
