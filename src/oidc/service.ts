// The sign-in under way, as Gatehouse's own pages see it. Nothing else touches oidc-provider's interactions.
import type { IncomingMessage, ServerResponse } from 'node:http'
import { errors, type Interaction as ProtocolInteraction } from 'oidc-provider'
import type { AccountFacts } from '../accounts/facts-model.ts'
import { documentClientWrite } from '../clients/metadata-document-service.ts'
import { ownClientId, type RegisteredBy } from '../clients/model.ts'
import type { Context } from '../context.ts'
import type { FactorFacts } from '../credentials/factor-model.ts'
import type { Acr, Standing } from '../credentials/proof-model.ts'
import type { Write } from '../db/batch.ts'
import { hashToken } from '../lib/tokens.ts'
import { fromSeconds, toSeconds } from '../sessions/model.ts'
import { insufficientAcr, type LoginDetails } from './acr-policy.ts'
import { applicationCookie, applicationHome } from './application-home.ts'
import {
  findInteraction,
  updateInteractionAuthenticated,
  updateInteractionProgress,
  updateInteractionProven,
  upsertConsent
} from './interaction-repository.ts'
import { type Consent, mergeConsent, missingConsent, type Progress } from './model.ts'
import { pinHost } from './mount.ts'
import type { Oidc } from './oidc.ts'
import { createGrant, fillGrant } from './policy.ts'
import type { RegisteredClient } from './registry.ts'
import { createUnit, flushUnit, inUnit, type UnitOfWork } from './unit-of-work.ts'

export { applicationCookie } from './application-home.ts'
export type { Progress } from './model.ts'

/** The application that a person is signing in to. */
export type InteractionClient = {
  clientId: string
  name: string
  /** Empty for one that has no address on the web. */
  host: string
  logoUri: string | null
  policyUri: string | null
  tosUri: string | null
  /** The operator's own: people are not asked for consent. */
  firstParty: boolean
  registeredBy: RegisteredBy
}

export type Interaction = {
  uid: string
  /** When this request began: what it finds proven was so then. */
  readAt: Date
  client: InteractionClient
  /** Null where a device waits, and the browser goes nowhere. */
  redirectUri: string | null
  /** Who it will probably be: of the session, or of the application's login_hint. */
  likelyEmail: string
  /** Who is signing in: proven when `authenticated`, else only likely. */
  account: AccountFacts | null
  /** The account's ways of signing in. */
  factors: FactorFacts | null
  /** A role of the account demands a second factor. */
  secondFactorRole: boolean
  /** The person trusts this browser: the second factor is not asked for where nobody demands it. */
  deviceTrusted: boolean
  /** How surely the application wants the person proven; null: no demand. */
  wantedAcr: Acr | null
  /** What the session at hand proves already, where a stronger proof is all that is missing. */
  standing: Standing | null
  /** Whoever is signed in here is asked to prove it anew. */
  reauthentication: boolean
  authenticated: boolean
  /** When it was proven in this sign-in; null when a session stands for it, or nothing does. */
  authenticatedAt: Date | null
  progress: Progress
  /** What the person must be asked to agree to; null when that is nothing. */
  consentNeeded: Consent | null
  /** What the application asks for in all. */
  wanted: Consent
}

type Handle = {
  unit: UnitOfWork
  protocol: ProtocolInteraction
  client: RegisteredClient
  request: IncomingMessage
  response: ServerResponse
}
const handles = new WeakMap<Interaction, Handle>()

/** `deviceHash`: SHA-256 of the browser's device cookie, null without one. */
export type Visiting = { request: IncomingMessage; response: ServerResponse; deviceHash?: Buffer | null }

/**
 * Reads the interaction that the browser's cookie and the URL agree on, with its account and consent, in one statement.
 *
 * Null when there is none: over, never there, another browser's, or of a session that ended meanwhile.
 */
export async function readInteraction(
  oidc: Oidc,
  uid: string,
  { request, response, deviceHash = null }: Visiting
): Promise<Interaction | null> {
  const unit = createUnit(oidc.ctx.now())
  unit.deviceHash = deviceHash
  const { provider, registry } = oidc.current()
  pinHost(request, oidc.issuer)
  const protocol = await inUnit(unit, () => provider.interactionDetails(request, response)).catch(error => {
    if (error instanceof errors.SessionNotFound) return null
    throw error
  })
  const row = await unit.interactions.get(uid)
  if (protocol === null || protocol.uid !== uid || row === undefined || row === null) return null
  const client = await registry.clients.find(String(protocol.params.client_id))
  if (client === undefined) return null

  const details = protocol.prompt.details as { wanted: Consent } & Partial<LoginDetails>
  const { wanted } = details
  const { redirect_uri: asked } = protocol.params
  const redirectUri = typeof asked === 'string' ? asked : null
  const standing = row.account === null ? null : standingOf(protocol, row.account.id)
  // The consent prompt comes up in a session that is signed in; the library has checked that it still is.
  const authenticated =
    row.authenticationValid ||
    ((protocol.prompt.name === 'consent' || standing !== null) && row.account !== null)
  const interaction: Interaction = {
    uid,
    readAt: unit.startedAt,
    client: describeClient(client, redirectUri),
    redirectUri,
    // Whoever signs up here at another's address must not be shown how its owner wrote it.
    likelyEmail:
      row.account !== null && row.account.id === protocol.session?.accountId
        ? row.account.email
        : String(protocol.params.login_hint ?? ''),
    account: row.account,
    factors: row.factors,
    secondFactorRole: row.secondFactorRole,
    deviceTrusted: row.deviceTrusted,
    wantedAcr: details.wantedAcr ?? null,
    standing,
    reauthentication:
      standing === null && protocol.prompt.name === 'login' && protocol.session?.accountId !== undefined,
    authenticated,
    authenticatedAt: row.authenticationValid ? row.authenticatedAt : null,
    progress: row.progress,
    wanted,
    consentNeeded: consentNeeded(client, String(protocol.params.prompt ?? ''), { given: row.consent, wanted })
  }
  handles.set(interaction, { unit, protocol, client, request, response })
  return interaction
}

/**
 * The session, where it lacks nothing but a stronger proof, and is still the account's whose sign-in this is. Whoever
 * began anew, as another person perhaps, stands on their own proofs alone.
 */
function standingOf({ prompt, session }: ProtocolInteraction, accountId: string): Standing | null {
  const { standing } = prompt.details as Partial<LoginDetails>
  const onlyStronger = prompt.name === 'login' && prompt.reasons.every(reason => reason === insufficientAcr)
  if (!onlyStronger || standing === null || standing === undefined) return null
  if (session?.accountId !== accountId) return null
  return { acr: standing.acr, amr: standing.amr, at: fromSeconds(standing.at) }
}

function consentNeeded(
  client: RegisteredClient,
  prompt: string,
  { given, wanted }: { given: Consent | null; wanted: Consent }
): Consent | null {
  if (prompt.split(' ').includes('consent')) return wanted
  const isNew = given === null && client.registered_by !== undefined
  if (!client.first_party)
    return isNew || client.applicationType === 'native' ? wanted : missingConsent(given, wanted)
  // What the operator decided once is what an application may see, not what it does for a person.
  return wanted.details === undefined
    ? null
    : { scopes: [], claims: [], resources: {}, details: wanted.details }
}

/** An application as people are shown it. */
export function describeClient(client: RegisteredClient, redirectUri: string | null): InteractionClient {
  return {
    clientId: client.clientId,
    name: client.clientName ?? client.clientId,
    host: hostOf(client, redirectUri),
    logoUri: client.logoUri ?? null,
    policyUri: client.policyUri ?? null,
    tosUri: client.tosUri ?? null,
    firstParty: client.first_party,
    registeredBy: client.registered_by ?? 'operator'
  }
}

/** Where an application lives. What registered itself could claim any `client_uri`: there, what it cannot choose freely. */
function hostOf(
  { clientId, clientUri, registered_by }: RegisteredClient,
  redirectUri: string | null
): string {
  const described = registered_by === 'client_id_metadata_document'
  const byOperator = registered_by === undefined ? clientUri : undefined
  const address = described ? clientId : (byOperator ?? redirectUri ?? '')
  return URL.parse(address)?.host || (redirectUri ?? '')
}

export type ProgressChange = { accountId: string | null; authenticatedAt: Date | null; progress: Progress }

/** Writes how far the person is, together with `also`, in one statement. */
export async function saveProgress(
  oidc: Oidc,
  interaction: Interaction,
  change: ProgressChange,
  also: Write[] = []
): Promise<void> {
  const { unit } = handleOf(interaction)
  const write = updateInteractionProgress(hashToken(interaction.uid), change)
  unit.lasting.push(...[write, ...also].map(write => ({ write })))
  await flushUnit(oidc.ctx.sql, unit, { failed: false })
}

export type Finish = {
  accountId: string
  /**
   * How the person proved who they are; null when the session stands for it. `authTime` is the moment from which all
   * of it was proven, `provenAt` that of the last proof.
   */
  authentication: { authTime: Date; provenAt: Date; acr: Acr; amr: string[] } | null
  /** What the person agreed to on this occasion; null when not asked. */
  agreed: Consent | null
}

/**
 * Ends the interaction in favour of the application: grant, consent, result and `also` in one statement.
 *
 * Answers with the URL that the browser goes to next.
 */
export async function finishInteraction(
  oidc: Oidc,
  interaction: Interaction,
  finish: Finish,
  also: Write[] = []
): Promise<string> {
  const { unit, protocol, client, request, response } = handleOf(interaction)
  const { provider } = oidc.current()
  return await inUnit(unit, async () => {
    const known = protocol.grantId === undefined ? undefined : await provider.Grant.find(protocol.grantId)
    const grant =
      known?.accountId === finish.accountId && interaction.wanted.details === undefined
        ? known
        : createGrant(provider, finish.accountId, client)
    fillGrant(grant, interaction.wanted)
    // Our own pages are granted nothing that would have to be kept.
    const consent =
      interaction.client.clientId === ownClientId ? {} : { consent: { grantId: await grant.save() } }
    if (finish.agreed !== null) {
      const agreed = mergeConsent(
        (await unit.interactions.get(interaction.uid))?.consent ?? null,
        finish.agreed
      )
      const { clientId } = interaction.client
      also = [
        ...also,
        ...documentWrites(oidc, client),
        upsertConsent(finish.accountId, clientId, agreed, oidc.ctx.now())
      ]
    }
    if (finish.authentication !== null)
      unit.proof = { accountId: finish.accountId, at: finish.authentication.provenAt }
    const login =
      finish.authentication === null ? {} : { login: loginResult(finish.accountId, finish.authentication) }
    const returnTo = await provider.interactionResult(request, response, { ...login, ...consent })
    unit.lasting.push(...also.map(write => ({ write })))
    await flushUnit(oidc.ctx.sql, unit, { failed: false })
    return returnTo
  })
}

/** The row that grant and consent refer to, of an application that only its document describes; nothing for others. */
export function documentWrites(oidc: Oidc, client: RegisteredClient): Write[] {
  const row = oidc.current().registry.registered.rowOf(client)
  return row?.registeredBy === 'client_id_metadata_document' ? [documentClientWrite(oidc.ctx, row)] : []
}

/** Ends the interaction with access_denied. Answers with the URL that the browser goes to next. */
export async function abortInteraction(
  oidc: Oidc,
  interaction: Interaction,
  also: Write[] = []
): Promise<string> {
  const { unit, request, response } = handleOf(interaction)
  return await inUnit(unit, async () => {
    const result = { error: 'access_denied', error_description: 'the person did not agree' }
    const returnTo = await oidc
      .current()
      .provider.interactionResult(request, response, result, { mergeWithLastSubmission: false })
    unit.lasting.push(...also.map(write => ({ write })))
    await flushUnit(oidc.ctx.sql, unit, { failed: false })
    return returnTo
  })
}

/** Lets the sign-in that waits for a mail's confirmation go on, if it waits for this account's. */
export async function resumeInteraction(tx: Context, uidHash: Buffer, accountId: string): Promise<void> {
  await updateInteractionAuthenticated(tx.sql, uidHash, { accountId, at: tx.now() })
}

/** The application that this browser last signed in to, where it is found again; null without one, or without a page. */
export async function homeOf(
  oidc: Oidc,
  { cookies }: { cookies: Record<string, string | undefined> }
): Promise<{ name: string; url: string } | null> {
  const clientId = cookies[applicationCookie(oidc.issuer)]
  const client = clientId === undefined ? undefined : await oidc.current().registry.clients.find(clientId)
  return client === undefined ? null : applicationHome(client, oidc.ctx.config.issuer)
}

/** Signs the account in to the sign-in that asked for a mail's link, in its own browser. */
export async function proveInteraction(
  tx: Context,
  uid: string,
  { accountId, progress }: { accountId: string; progress: Progress }
): Promise<void> {
  await updateInteractionProven(tx.sql, hashToken(uid), { accountId, at: tx.now(), progress })
}

/** Whether a sign-in is under way by this uid. Its pages are still the business of the browser that began it. */
export async function isInteractionOpen(ctx: Context, uid: string): Promise<boolean> {
  const row = await findInteraction(ctx.sql, hashToken(uid), {
    now: ctx.now(),
    deviceHash: null,
    secondFactorRoles: [],
    trustedUntilAtMost: null
  })
  return row !== null && row.payload.result === undefined
}

const loginResult = (accountId: string, { authTime, acr, amr }: NonNullable<Finish['authentication']>) => ({
  accountId,
  acr,
  amr,
  ts: toSeconds(authTime),
  remember: true
})

function handleOf(interaction: Interaction): Handle {
  const handle = handles.get(interaction)
  if (handle === undefined) throw new Error('an interaction is used in the request that read it')
  return handle
}
