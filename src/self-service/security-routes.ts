// The page of everything that opens the signed-in person's account.
import type { FastifyInstance } from 'fastify'
import type { Context } from '../context.ts'
import { listTotp } from '../credentials/totp-repository.ts'
import { signalsOf } from '../credentials/webauthn-model.ts'
import { listPasskeys } from '../credentials/webauthn-repository.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { mountAddress, mountAddressLink } from './address-routes.ts'
import { mountAuthenticators } from './authenticator-routes.ts'
import { listOwnDevices, mountDevices } from './device-routes.ts'
import { mountPasskeys } from './passkey-routes.ts'
import { mountPassword } from './password-routes.ts'
import { mountRecoveryCodes } from './recovery-code-routes.ts'
import { readDone, tellsAuthenticators } from './security-model.ts'
import { securityPage } from './security-views.ts'
import { type AccountPages, type AccountVisit, createAccountPages, show } from './visit-routes.ts'

/** Mounts /account/security and the pages below it. */
export function mountSecurity(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const pages = createAccountPages(app, service, oidc)
  mountOverview(pages)
  mountAddress(pages)
  mountAddressLink(app)
  mountPassword(pages)
  mountPasskeys(pages)
  mountAuthenticators(pages)
  mountRecoveryCodes(pages)
  mountDevices(pages)
}

function mountOverview({ page }: AccountPages): void {
  page('/account/security', async visit => {
    const { ctx, session, factors, request } = visit
    const { account } = session
    const notice = readDone((request.query as { done?: unknown }).done)
    const [passkeys, authenticators, devices] = await Promise.all([
      listPasskeys(ctx.sql, account.id),
      listTotp(ctx.sql, account.id),
      listOwnDevices(visit)
    ])
    return await show(visit, securityPage, {
      notice,
      factors,
      frozenUntil: frozenUntil(visit),
      passkeys,
      authenticators,
      devices,
      mailSignIn: ctx.config.mailSignIn,
      approvals: ctx.config.ciba,
      signals: tellsAuthenticators(notice) ? signalsOf(ctx.config, account, passkeys) : null
    })
  })
}

function frozenUntil({ factors, ctx }: AccountVisit): Date | null {
  const { frozenUntil: until } = factors
  return until !== null && until > ctx.now().getTime() ? new Date(until) : null
}
