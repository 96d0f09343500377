// How often a client may ask whether a person has approved: the library answers whoever asks.
import type { KoaContextWithOIDC } from 'oidc-provider'
import { hashToken } from '../lib/tokens.ts'
import { updatePolled, updatePollInterval } from './approval-repository.ts'
import type { Oidc } from './oidc.ts'

/** Timers may be a little early, and two nodes' clocks a little apart. */
const toleranceMs = 500
const slowerBySeconds = 5
const mostSeconds = 300

/**
 * Turns authorization_pending into slow_down for a client that did not wait: from then on it has to wait five seconds
 * more each time. Other answers come whenever they are asked for.
 *
 * @see RFC 8628 §3.5; OpenID Connect CIBA Core 1.0 §11
 */
export async function slowDown({ ctx: { sql, now } }: Oidc, koa: KoaContextWithOIDC): Promise<void> {
  const body = koa.body as { error?: unknown } | null | undefined
  if (body?.error !== 'authorization_pending') return
  const { device_code, auth_req_id } = koa.oidc.params ?? {}
  const idHash = hashToken(String(device_code ?? auth_req_id))
  const at = now()
  if (await updatePolled(sql, idHash, { now: at, toleranceMs })) return
  await updatePollInterval(sql, idHash, { now: at, bySeconds: slowerBySeconds, mostSeconds })
  koa.body = {
    error: 'slow_down',
    error_description: `wait at least ${slowerBySeconds} seconds longer from now on`
  }
}
