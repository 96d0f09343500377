// What the application asks for, and whether the person agrees; giving up is possible at every step.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { isLoopback } from '../lib/urls.ts'
import { describeDetail } from '../oidc/details-model.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { allow, cancel } from './service.ts'
import { consentPage, type WayBack } from './views.ts'
import { applicationOf, Field, redirect, type Steps, show, type Visit } from './visit-routes.ts'

const ConsentBody = Type.Object({ decision: Field })

export function mountConsent({ page, form }: Steps, oidc: Oidc): void {
  page('consent', visit => showConsent(visit, oidc))
  form('consent', {
    step: null,
    body: ConsentBody,
    act: async ({ reply, ctx, interaction }, { decision }) =>
      redirect(reply, await (decision === 'allow' ? allow : cancel)(ctx, oidc, interaction))
  })
  form('cancel', {
    step: null,
    body: Type.Object({}),
    act: async ({ reply, ctx, interaction }) => redirect(reply, await cancel(ctx, oidc, interaction))
  })
}

async function showConsent(visit: Visit, oidc: Oidc): Promise<FastifyReply> {
  const { interaction } = visit
  const { account, consentNeeded, uid } = interaction
  const resources = await Promise.all(
    Object.entries(consentNeeded?.resources ?? {}).map(async ([identifier, scopes]) => ({
      name: (await oidc.current().registry.resources.find(identifier))?.name ?? identifier,
      scopes
    }))
  )
  const { authorizationDetailsTypes: types } = oidc.ctx.config
  return await show(visit, consentPage, {
    action: `/interaction/${uid}/consent`,
    client: applicationOf(interaction),
    accountName: account?.name ?? '',
    accountEmail: account?.email ?? '',
    scopes: consentNeeded?.scopes ?? [],
    described: oidc.current().customClaims.scopes,
    claims: consentNeeded?.claims ?? [],
    resources,
    selfRegistered:
      interaction.client.registeredBy === 'operator'
        ? null
        : { by: interaction.client.registeredBy, returnsTo: wayBack(interaction.redirectUri) },
    details: (consentNeeded?.details ?? []).map(detail =>
      describeDetail(detail, types[detail.type] ?? { title: detail.type, schema: {} })
    )
  })
}

/** Where the browser goes on to, once the person has allowed it. */
function wayBack(redirectUri: string | null): WayBack {
  if (redirectUri === null) return { to: 'nowhere' }
  const url = URL.parse(redirectUri)
  const isSite = url !== null && /^https?:$/.test(url.protocol) && !isLoopback(url)
  return isSite ? { to: 'site', host: url.host } : { to: 'this_device' }
}
