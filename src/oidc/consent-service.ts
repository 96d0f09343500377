// What a person agreed to, seen and taken back.
import { errors } from 'oidc-provider'
import { recordEvent } from '../audit/service.ts'
import { isClientIdUrl } from '../clients/metadata-document-model.ts'
import { findClient } from '../clients/repository.ts'
import { type Context, inTransaction } from '../context.ts'
import { endClientSessions } from '../sessions/logout-service.ts'
import { type AgreedConsent, deleteConsent, listConsents } from './consent-repository.ts'
import type { Oidc } from './oidc.ts'
import { describeClient, type InteractionClient } from './service.ts'

/** `client` is null for an application that nobody can sign in to as things are; its access can be removed all the same. */
export type AgreedApplication = AgreedConsent & { name: string; client: InteractionClient | null }

/**
 * The applications that a person has agreed to, newest first. The operator's own are not among them: those are let in
 * whatever the person says.
 */
export async function listAgreedApplications(oidc: Oidc, accountId: string): Promise<AgreedApplication[]> {
  const { clients } = oidc.current().registry
  const consents = await listConsents(oidc.ctx.sql, accountId)
  const applications = await Promise.all(
    consents.map(async consent => {
      const found = await clients.find(consent.clientId).catch(refusedByLibrary)
      if (found === undefined) return { ...consent, name: await nameOf(oidc, consent), client: null }
      const [redirectUri = null] = found.redirectUris ?? []
      const client = describeClient(found, redirectUri)
      return { ...consent, name: client.name, client }
    })
  )
  return applications.filter(({ client }) => client?.firstParty !== true)
}

/** One registration that the library refuses is not to hide a person's other applications. */
function refusedByLibrary(error: unknown): undefined {
  if (!(error instanceof errors.InvalidClientMetadata)) throw error
}

/** Of a URL's document nothing is known but where it is: a name that was believed there once vouches for nothing now. */
const nameOf = async ({ ctx }: Oidc, { clientId }: AgreedConsent): Promise<string> =>
  isClientIdUrl(clientId) ? clientId : ((await findClient(ctx.sql, clientId))?.clientName ?? clientId)

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
