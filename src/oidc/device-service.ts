// A device that asks to be let in, as our own pages see it: found by its user code, denied, or handed to the library.
import { IncomingMessage } from 'node:http'
import { Socket } from 'node:net'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { requestContext } from '../http/request-context.ts'
import { createToken } from '../lib/tokens.ts'
import { fromSeconds } from '../sessions/model.ts'
import { findArtifactByUserCode, updateDeviceCodeDenied } from './approval-repository.ts'
import type { DeviceInfo } from './device-flow.ts'
import { letAnswer, pinHost } from './mount.ts'
import type { Oidc } from './oidc.ts'
import { routes } from './provider.ts'
import { describeClient, type InteractionClient } from './service.ts'
import { createUnit } from './unit-of-work.ts'
import { hashUserCode } from './user-code-model.ts'

export type DeviceRequest = { client: InteractionClient; device: DeviceInfo; askedAt: Date }

export type DeviceRefusal = { ok: false; reason: 'unknown' | 'expired' | 'used' }

/** The device behind a user code, one that `parseUserCode` has read. The caller has paid for the guess. */
export async function findDeviceRequest(
  oidc: Oidc,
  userCode: string
): Promise<{ ok: true; request: DeviceRequest } | DeviceRefusal> {
  const { sql, config, now } = oidc.ctx
  const artifact = await findArtifactByUserCode(sql, hashUserCode(config.encryptionKey, userCode))
  if (artifact === null) return { ok: false, reason: 'unknown' }
  if (artifact.expiresAt <= now()) return { ok: false, reason: 'expired' }
  const { payload, consumedAt } = artifact
  const decided = payload.accountId !== undefined || payload.error !== undefined
  if (decided || consumedAt !== null || payload.inFlight === true) return { ok: false, reason: 'used' }
  const client = await oidc.current().registry.clients.find(String(payload.clientId))
  if (client === undefined) return { ok: false, reason: 'unknown' }
  const request = {
    client: describeClient(client, null),
    device: payload.deviceInfo as DeviceInfo,
    askedAt: fromSeconds(payload.iat as number)
  }
  return { ok: true, request }
}

/**
 * Tells the device that the person does not want it, once; false when it was confirmed, decided or over before. Records
 * `device.denied`.
 */
export async function denyDevice(
  ctx: Context,
  { userCode, accountId }: { userCode: string; accountId: string | null }
): Promise<boolean> {
  return await inTransaction(ctx, async tx => {
    const hash = hashUserCode(tx.config.encryptionKey, userCode)
    const refusal = { error: 'access_denied', errorDescription: 'the person did not agree' }
    const denied = await updateDeviceCodeDenied(tx.sql, hash, { now: tx.now(), refusal })
    if (denied === null) return false
    const by = accountId === null ? {} : { accountId }
    await recordEvent(tx, { type: 'device.denied', clientId: denied.clientId, ...by })
    return true
  })
}

/**
 * Lets the library go on from a code that the person confirmed on our page, as if they had on its own: sign-in, consent
 * and approval follow, in this browser alone. It answers the request.
 */
export function confirmDevice(
  oidc: Oidc,
  { request, reply, userCode }: { request: FastifyRequest; reply: FastifyReply; userCode: string }
): FastifyReply {
  const unit = createUnit(oidc.ctx.now())
  const facts = requestContext(oidc.ctx, request).request
  unit.asker = facts === undefined ? null : () => facts
  unit.formSecret = createToken()
  const fields = { user_code: userCode, confirm: 'yes', xsrf: unit.formSecret }
  const body = new URLSearchParams(fields).toString()
  const raw = Object.assign(new IncomingMessage(new Socket()), {
    method: 'POST',
    url: routes.code_verification,
    id: request.id,
    headers: {
      accept: 'text/html',
      cookie: request.headers.cookie ?? '',
      'content-type': 'application/x-www-form-urlencoded',
      'content-length': String(body.length)
    }
  })
  raw.push(body)
  raw.push(null)
  pinHost(raw, oidc.issuer)
  return letAnswer(oidc, { raw, reply, unit })
}
