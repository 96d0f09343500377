// What the application asks for, and whether the person agrees; giving up is possible at every step.
import type { FastifyReply } from 'fastify'
import { Type } from 'typebox'
import { sourceOf } from '../http/security-headers.ts'
import { sendPage } from '../http/view.ts'
import { isLoopback } from '../lib/urls.ts'
import type { Oidc } from '../oidc/oidc.ts'
import { allow, cancel } from './service.ts'
import { consentPage } from './views.ts'
import { Field, redirect, type Steps, type Visit } from './visit-routes.ts'

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

async function showConsent({ reply, interaction }: Visit, oidc: Oidc): Promise<FastifyReply> {
  const { client, account, consentNeeded, uid } = interaction
  const resources = await Promise.all(
    Object.entries(consentNeeded?.resources ?? {}).map(async ([identifier, scopes]) => ({
      name: (await oidc.current().registry.resources.find(identifier))?.name ?? identifier,
      scopes
    }))
  )
  const source = sourceOf(interaction.redirectUri)
  const logoSource = client.logoUri === null ? null : sourceOf(client.logoUri)
  const data = {
    action: `/interaction/${uid}/consent`,
    client: {
      name: client.name,
      host: client.host,
      logoUrl: client.logoUri,
      policyUrl: client.policyUri,
      termsUrl: client.tosUri,
      registeredBy: client.registeredBy,
      returnsTo: siteOf(interaction.redirectUri)
    },
    accountName: account?.name ?? '',
    accountEmail: account?.email ?? '',
    scopes: consentNeeded?.scopes ?? [],
    resources
  }
  return await sendPage(reply, consentPage, data, {
    formAction: source === null ? [] : [source],
    imgSrc: logoSource === null ? [] : [logoSource]
  })
}

/** The site that a redirect URI leads to; null for a program on the person's device. */
function siteOf(redirectUri: string): string | null {
  const url = URL.parse(redirectUri)
  return url === null || isLoopback(url) || !/^https?:$/.test(url.protocol) ? null : url.host
}
