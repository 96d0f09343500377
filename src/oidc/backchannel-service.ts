// Requests that an application makes without a browser, from where it tells us to where their person has decided
// (OpenID Connect CIBA Core 1.0).
import { type Client, errors } from 'oidc-provider'
import { findAccount } from '../accounts/repository.ts'
import { eventWrite, recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { type Acr, satisfies } from '../credentials/proof-model.ts'
import type { JobHandler } from '../jobs/model.ts'
import { holdRecipient, queueMail } from '../mail/service.ts'
import { toSeconds } from '../sessions/model.ts'
import type { AccountSession } from './account-session.ts'
import {
  countPendingRequests,
  findBackchannelRequest,
  findPendingRequest,
  listPendingRequests,
  type PendingRequest,
  updateRequestApproved,
  updateRequestDenied
} from './approval-repository.ts'
import { openBackchannelSecrets } from './backchannel-secrets.ts'
import { upsertConsent } from './interaction-repository.ts'
import type { Consent } from './model.ts'
import type { Oidc } from './oidc.ts'
import { createGrant, fillGrant } from './policy.ts'
import { describeClient, documentWrites, type InteractionClient } from './service.ts'
import { createUnit, currentUnit, flushUnit, inUnit } from './unit-of-work.ts'
import { toAnswerable } from './unstorable.ts'

/** Where people decide. */
export const approvalsPath = '/account/approvals'

const mostPending = 5
const mostShown = 50

/**
 * Stores a request, tells its person by mail and records `approval.requested`, all or nothing. The mail leads to the page
 * and approves nothing by itself. An application may have five requests waiting for one person, so that nobody is worn
 * out with questions; a sixth is denied. So is one that no mail may tell of any more: nobody would know of it.
 */
export async function announceRequest(
  ctx: Context,
  { accountId, client, seconds }: { accountId: string; client: Client; seconds: number }
): Promise<void> {
  const { clientId } = client
  const unit = currentUnit()
  const asker = unit.asker === null ? {} : { request: unit.asker() }
  await inTransaction({ ...ctx, ...asker }, async tx => {
    const now = tx.now()
    const account = await findAccount(tx.sql, accountId)
    if (account === null) throw new errors.UnknownUserId()
    // Whoever asks the same person at this moment waits, so what is counted stays true.
    await holdRecipient(tx, account.email)
    if ((await countPendingRequests(tx.sql, { accountId, clientId, now })) >= mostPending)
      throw new errors.AccessDenied('too many requests wait for this person')
    await flushUnit(tx.sql, unit, { failed: false })
    await recordEvent(tx, { type: 'approval.requested', accountId, clientId })
    const data = {
      application: client.clientName ?? clientId,
      link: `${tx.config.issuer}${approvalsPath}`,
      expiresInMinutes: Math.ceil(seconds / 60)
    }
    const mail = { kind: 'approval_requested', to: account.email, data } as const
    const told = await queueMail(tx, mail, new Date(now.getTime() + seconds * 1000))
    if (told === 'capped') throw new errors.AccessDenied('this person was asked too often within the hour')
  }).catch(error => {
    throw toAnswerable(error)
  })
}

export type Approvable = {
  /** Names the request in a form. */
  id: string
  client: InteractionClient
  wanted: Consent
  acr: Acr | null
  bindingMessage: string | null
  /** Where the application's server is. */
  ip: string | null
  askedAt: Date
  expiresAt: Date
}

/** What waits for an account's person, newest first. */
export async function listApprovable(oidc: Oidc, accountId: string): Promise<Approvable[]> {
  const { sql, now } = oidc.ctx
  const rows = await listPendingRequests(sql, { accountId, now: now(), limit: mostShown })
  const found = await Promise.all(rows.map(row => toApprovable(oidc, row)))
  return found.filter(request => request !== null)
}

async function toApprovable(oidc: Oidc, row: PendingRequest): Promise<Approvable | null> {
  const client = await oidc.current().registry.clients.find(row.clientId)
  if (client === undefined) return null
  const { wanted, acr, bindingMessage, ip } = row.payload as Pick<
    Approvable,
    'wanted' | 'acr' | 'bindingMessage' | 'ip'
  >
  return {
    id: row.idHash.toString('base64url'),
    client: describeClient(client, null),
    wanted,
    acr,
    bindingMessage,
    ip,
    askedAt: row.createdAt,
    expiresAt: row.expiresAt
  }
}

type Decision = { id: string; session: AccountSession }
type Gone = { ok: false; reason: 'gone' }

/**
 * Approves a request in the person's name, once: grant, consent, event and notification with it. Records
 * `approval.given`, and `consent.given` where the application is not the operator's own.
 *
 * `gone`: over, decided, another person's, or the session has just been cut off. `weak`: it needs a surer sign-in, `acr`.
 */
export async function approveRequest(
  ctx: Context,
  oidc: Oidc,
  { id, session }: Decision
): Promise<{ ok: true } | Gone | { ok: false; reason: 'weak'; acr: Acr }> {
  const accountId = session.account.id
  const idHash = Buffer.from(id, 'base64url')
  const row = await findPendingRequest(ctx.sql, idHash, { accountId, now: ctx.now() })
  const client = row && (await oidc.current().registry.clients.find(row.clientId))
  if (row === null || client == null) return { ok: false, reason: 'gone' }
  const { wanted, acr } = row.payload as { wanted: Consent; acr: Acr | null }
  if (acr !== null && !satisfies(session.acr, acr)) return { ok: false, reason: 'weak', acr }

  const unit = createUnit(ctx.now())
  const grant = createGrant(oidc.current().provider, accountId, client)
  fillGrant(grant, wanted)
  const grantId = await inUnit(unit, () => grant.save())
  return await inTransaction(ctx, async tx => {
    const now = tx.now()
    const result = { grantId, acr: session.acr, amr: session.amr, authTime: toSeconds(session.authTime) }
    const of = { accountId, now, sessionUid: session.uid, grantId, result }
    if (!(await updateRequestApproved(tx.sql, idHash, of))) return { ok: false, reason: 'gone' }

    const about = { accountId, clientId: row.clientId }
    unit.lasting.push({ write: eventWrite(tx, { type: 'approval.given', ...about }) })
    if (!client.first_party) {
      const given = { type: 'consent.given', ...about, details: { scopes: wanted.scopes } }
      unit.lasting.push(
        ...documentWrites(oidc, client).map(write => ({ write })),
        { write: upsertConsent(accountId, row.clientId, wanted, now) },
        { write: eventWrite(tx, given) }
      )
    }
    await flushUnit(tx.sql, unit, { failed: false })
    await notify(tx, row, client.backchannelTokenDeliveryMode)
    return { ok: true }
  })
}

/** Refuses a request, once. Records `approval.denied`. */
export async function denyRequest(
  ctx: Context,
  oidc: Oidc,
  { id, session }: Decision
): Promise<{ ok: true } | Gone> {
  const accountId = session.account.id
  const idHash = Buffer.from(id, 'base64url')
  return await inTransaction(ctx, async tx => {
    const now = tx.now()
    const row = await findPendingRequest(tx.sql, idHash, { accountId, now })
    const result = { error: 'access_denied', errorDescription: 'the person did not agree' }
    if (row === null || !(await updateRequestDenied(tx.sql, idHash, { accountId, now, result })))
      return { ok: false, reason: 'gone' }
    await recordEvent(tx, { type: 'approval.denied', accountId, clientId: row.clientId })
    const client = await oidc.current().registry.clients.find(row.clientId)
    await notify(tx, row, client?.backchannelTokenDeliveryMode)
    return { ok: true }
  })
}

/** By a job: an application that does not answer holds up nobody's page, and is told once more later. */
async function notify(tx: Context, { idHash }: PendingRequest, mode: string | undefined): Promise<void> {
  if (mode === 'ping') await tx.enqueue(tx.sql, 'backchannel-ping', { request: idHash.toString('base64url') })
}

/** Tells an application that its person has decided (CIBA Core 1.0 §10.2), while it may still ask what. */
export const backchannelHandlers = (oidc: Oidc): Record<string, JobHandler> => ({
  'backchannel-ping': async (ctx, { data }) => {
    const idHash = Buffer.from((data as { request: string }).request, 'base64url')
    const row = await findBackchannelRequest(ctx.sql, idHash)
    if (row === null || row.expiresAt <= ctx.now()) return
    const { provider, registry } = oidc.current()
    const client = await registry.clients.find(row.clientId)
    if (client?.backchannelTokenDeliveryMode !== 'ping') return
    const { encryptionKey } = ctx.config
    const secrets = openBackchannelSecrets(encryptionKey, idHash, String(row.payload.sealed))
    const request = new provider.BackchannelAuthenticationRequest()
    request.jti = secrets.authReqId
    request.params = { client_notification_token: secrets.clientNotificationToken }
    await client.backchannelPing(request)
  }
})
