// What a person agreed to, seen and taken back.
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { endClientSessions } from '../sessions/logout-service.ts'
import { type AgreedConsent, deleteConsent, listConsents } from './consent-repository.ts'
import type { Oidc } from './oidc.ts'
import { describeClient, type InteractionClient } from './service.ts'

/** `client` is null for an application that is not registered any more. */
export type AgreedApplication = AgreedConsent & { client: InteractionClient | null }

/**
 * The applications that a person has agreed to, newest first. The operator's own are not among them: those are let in
 * whatever the person says.
 */
export async function listAgreedApplications(oidc: Oidc, accountId: string): Promise<AgreedApplication[]> {
  const { clients } = oidc.current().registry
  const consents = await listConsents(oidc.ctx.sql, accountId)
  const applications = await Promise.all(
    consents.map(async consent => {
      const client = await clients.find(consent.clientId)
      const [redirectUri = null] = client?.redirectUris ?? []
      return { ...consent, client: client === undefined ? null : describeClient(client, redirectUri) }
    })
  )
  return applications.filter(({ client }) => client?.firstParty !== true)
}

/**
 * Takes back what a person agreed to: the application's grants and tokens end at once, wherever they are looked at, it is
 * told (Back-Channel Logout 1.0), and its next request asks anew. `not_found`: it is not this person's, or was taken back
 * already. Records `consent.withdrawn`.
 */
export async function withdrawConsent(
  ctx: Context,
  { accountId, consentId }: { accountId: string; consentId: string }
): Promise<{ ok: true } | { ok: false; reason: 'not_found' }> {
  return await inTransaction(ctx, async tx => {
    const consent = await deleteConsent(tx.sql, { accountId, id: consentId })
    if (consent === null) return { ok: false, reason: 'not_found' }
    const { clientId, scopes } = consent
    await endClientSessions(tx, { accountId, clientId })
    await recordEvent(tx, { type: 'consent.withdrawn', accountId, clientId, details: { scopes } })
    return { ok: true }
  })
}
