// The device grant in the library's terms (RFC 8628). The pages on which a person types and confirms a code are ours
// (interactions/device-routes.ts); the library goes on from a confirmed code.
import type { Configuration, KoaContextWithOIDC, Provider } from 'oidc-provider'
import type { ProtocolPages } from './provider.ts'
import { currentUnit } from './unit-of-work.ts'
import { userCodeForm } from './user-code-model.ts'

type DeviceFlow = NonNullable<NonNullable<Configuration['features']>['deviceFlow']>

/** How long a client waits between two polls, in seconds, until told otherwise (RFC 8628 §3.2). */
export const pollIntervalSeconds = 5

/** Where the person comes to when their part is done. */
export const deviceDonePath = '/device/done'

/** What is told of a device that asks, for its person to recognise it by. */
export type DeviceInfo = { ip: string | null; userAgent: string }

export const deviceFlow = (pages: ProtocolPages): DeviceFlow => ({
  enabled: true,
  ...userCodeForm,
  deviceInfo: () => {
    const asker = currentUnit().asker?.()
    return { ip: asker?.ip ?? null, userAgent: asker?.userAgent.slice(0, 200) ?? '' } satisfies DeviceInfo
  },
  userCodeInputSource: async (ctx, _form, out, error) => {
    // The library has put a form's mark into the session, which then would be saved; our form has its own.
    const session = ctx.oidc.session as { state?: unknown; touched?: boolean } | undefined
    if (session !== undefined) Object.assign(session, { state: undefined }, { touched: false })
    const outcome = outcomes[(error as Error | undefined)?.name ?? '']
    if (outcome !== undefined) return redirect(ctx, outcome)
    await pages.renderError(ctx, out ?? { error: 'invalid_request' }, error as Error)
  },
  successSource: async ctx => redirect(ctx, 'approved')
})

export type DeviceOutcome = 'approved' | 'denied' | 'used' | 'expired'

/** The library's own endings of a confirmed code, by the names of its errors. */
const outcomes: Record<string, DeviceOutcome> = {
  AbortedError: 'denied',
  ExpiredError: 'expired',
  NotFoundError: 'expired',
  AlreadyUsedError: 'used'
}

function redirect(ctx: KoaContextWithOIDC, outcome: DeviceOutcome): void {
  ctx.status = 303
  ctx.redirect(`${deviceDonePath}?outcome=${outcome}`)
}

/**
 * What the library leaves out: the interval, and our own form instead of the library's at the confirmation. People are
 * sent to the issuer also where the device asked at the host for certificates, which their browsers have none for.
 */
export function completeDeviceFlow(provider: Provider): void {
  const atIssuer = (uri: unknown) => {
    const { pathname, search } = new URL(String(uri))
    return new URL(`${pathname}${search}`, provider.issuer).href
  }
  provider.on('device_authorization.success', (_ctx, body) =>
    Object.assign(body, {
      verification_uri: atIssuer(body.verification_uri),
      verification_uri_complete: atIssuer(body.verification_uri_complete),
      interval: pollIntervalSeconds
    })
  )
  const sessions = provider.Session as unknown as {
    get: (ctx: KoaContextWithOIDC) => Promise<{ state?: object }>
  }
  const get = sessions.get
  sessions.get = async ctx => {
    const session = await get.call(sessions, ctx)
    const { formSecret } = currentUnit()
    if (formSecret !== null) session.state = { secret: formSecret }
    return session
  }
}
