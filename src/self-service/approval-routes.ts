// What applications ask of the signed-in person without a browser (OpenID Connect CIBA): listed, approved or denied.
import type { FastifyInstance } from 'fastify'
import { Type } from 'typebox'
import type { Context } from '../context.ts'
import { Field } from '../http/form-fields.ts'
import { sourceOf } from '../http/security-headers.ts'
import { sendPage } from '../http/view.ts'
import { accountSignInUrl } from '../oidc/account-client.ts'
import {
  type Approvable,
  approvalsPath,
  approveRequest,
  denyRequest,
  listApprovable
} from '../oidc/backchannel-service.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { type ApprovalDone, approvalsPage, type ListedApproval } from './approval-views.ts'
import { createAccountPages } from './visit-routes.ts'

/** Mounts /account/approvals. An approval is a sign-in: it is possible in the day after “this wasn't me”, too. */
export function mountApprovals(app: FastifyInstance, service: Context, oidc: Oidc): void {
  const { changePage, form } = createAccountPages(app, service, oidc)
  const options = { whileFrozen: true }
  changePage(
    approvalsPath,
    async visit => {
      const { done } = visit.request.query as { done?: unknown }
      const notice = (['approved', 'denied', 'gone'] as const).find(one => one === done) ?? null
      const requests = await listApprovable(oidc, visit.session.account.id)
      const approvals = await Promise.all(requests.map(request => toListed(oidc, request)))
      const logos = approvals.flatMap(({ client }) => client.logoUrl ?? [])
      const imgSrc = [...new Set(logos.map(sourceOf))].filter(source => source !== null)
      const { name, email } = visit.session.account
      const data = { signedInAs: { name, email }, notice, approvals }
      return await sendPage(visit.reply, approvalsPage, data, { imgSrc })
    },
    options
  )
  form(`${approvalsPath}/decide`, {
    ...options,
    body: Type.Object({ request: Field, decision: Field }),
    from: approvalsPath,
    act: async ({ reply, ctx, session }, { request, decision }) => {
      const given = { id: typeof request === 'string' ? request : '', session }
      const approving = decision === 'approve'
      const outcome = await (approving ? approveRequest : denyRequest)(ctx, oidc, given)
      if (!outcome.ok && outcome.reason === 'weak') {
        const { recentSignInSeconds: maxAgeSeconds } = ctx.config
        const stronger = { path: approvalsPath, maxAgeSeconds, acr: outcome.acr }
        return reply.redirect(accountSignInUrl(ctx.config, stronger), 303)
      }
      const done: ApprovalDone = !outcome.ok ? 'gone' : approving ? 'approved' : 'denied'
      return reply.redirect(`${approvalsPath}?done=${done}`, 303)
    }
  })
}

async function toListed(oidc: Oidc, request: Approvable): Promise<ListedApproval> {
  const { id, client, wanted, bindingMessage, ip, askedAt, expiresAt } = request
  const left = expiresAt.getTime() - oidc.ctx.now().getTime()
  const { registry, customClaims } = oidc.current()
  return {
    id,
    client: {
      name: client.name,
      host: client.host,
      logoUrl: client.logoUri,
      vouchedFor: client.registeredBy === 'operator'
    },
    bindingMessage,
    scopes: wanted.scopes,
    described: customClaims.scopes,
    claims: wanted.claims,
    resources: await Promise.all(
      Object.entries(wanted.resources).map(async ([identifier, scopes]) => ({
        name: (await registry.resources.find(identifier))?.name ?? identifier,
        scopes
      }))
    ),
    ip,
    askedAt,
    minutesLeft: Math.max(1, Math.ceil(left / 60_000))
  }
}
