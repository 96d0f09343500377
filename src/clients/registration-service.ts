// Applications that register themselves (RFC 7591) and manage their registration (RFC 7592), under the operator's policy.
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { createId, isId } from '../lib/ids.ts'
import { createToken, equalBytes, hashToken } from '../lib/tokens.ts'
import { type Client, type ClientMetadata, type Fault, metadataOf } from './model.ts'
import { describeFaults, isJson, type Json, registeredMembers } from './registration-model.ts'
import {
  consumeInitialAccessToken,
  countNeverUsedClients,
  findInitialAccessToken
} from './registration-repository.ts'
import { findClient } from './repository.ts'
import { checkSelfDescription } from './self-description-service.ts'
import { addClient, isSecretOf, overwriteClient, removeClient } from './service.ts'
import { readSoftwareStatement } from './software-statement-service.ts'

/** Whoever registers without a token finds no room once so many did and never came back: a table is not to be filled. */
const neverUsedClientsAtMost = 10_000

/** What the protocol library would still refuse of metadata that are right by themselves. */
export type Acceptance = (metadata: ClientMetadata) => Fault[]

export type Refusal =
  /** Its token is missing, unknown, expired or used up; or there is no such registration. */
  | { ok: false; reason: 'unauthorized' }
  | { ok: false; reason: 'full' }
  | { ok: false; reason: 'refused'; error: string; error_description: string }

export type RegistrationOutcome = { ok: true; information: Json } | Refusal

const refused = (faults: Fault[]): Refusal => ({ ok: false, reason: 'refused', ...describeFaults(faults) })

/**
 * Registers an application that asks for it.
 *
 * `information` is the answer of RFC 7591 §3.2.1, with the client's secret and the token that manages the registration:
 * both this once, of both only hashes are kept. Unknown members are ignored, and so is what the operator alone decides.
 * Spends one use of `initialAccessToken` if all is well; records `client.registered`.
 */
export async function registerItself(
  ctx: Context,
  said: unknown,
  { initialAccessToken, accepts }: { initialAccessToken: string | null; accepts: Acceptance }
): Promise<RegistrationOutcome> {
  const admitted = await admit(ctx, initialAccessToken)
  if (!admitted.ok) return admitted
  const read = await readMetadata(ctx, said, accepts)
  if (!read.ok) return read

  const token = createToken()
  const issuedAt = ctx.now()
  return await inTransaction(ctx, async (tx): Promise<RegistrationOutcome> => {
    if (admitted.tokenId !== null && !(await spend(tx, admitted.tokenId)))
      return { ok: false, reason: 'unauthorized' }
    const added = await addClient(tx, read.metadata, {
      clientId: createId(issuedAt),
      registeredBy: 'registration',
      registrationAccessTokenHash: hashToken(token)
    })
    if (!added.ok) throw new Error('an id that was just made is taken')
    const { client_id, client_secret } = added
    const information = {
      ...informationOf(ctx, { clientId: client_id, createdAt: issuedAt }, token),
      ...secretOf(client_secret),
      ...registeredMembers(read.metadata),
      ...(read.statement === null ? {} : { software_statement: read.statement })
    }
    return { ok: true, information }
  })
}

/** What a registration holds, for who has its token. The secret is not shown again. @see RFC 7592 §2.1 */
export async function readRegistration(ctx: Context, credentials: Credentials): Promise<RegistrationOutcome> {
  const client = await authenticate(ctx, credentials)
  if (client === null) return { ok: false, reason: 'unauthorized' }
  const information = {
    ...informationOf(ctx, client, credentials.token),
    ...registeredMembers(metadataOf(client))
  }
  return { ok: true, information }
}

/**
 * Replaces a registration: what is left out goes back to its default. A new secret is in the answer where the old one
 * cannot be kept any longer. The token stays, so that an answer that gets lost locks nobody out. Records `client.updated`.
 *
 * @see RFC 7592 §2.2
 */
export async function replaceRegistration(
  ctx: Context,
  credentials: Credentials,
  { said, accepts }: { said: unknown; accepts: Acceptance }
): Promise<RegistrationOutcome> {
  const client = await authenticate(ctx, credentials)
  if (client === null) return { ok: false, reason: 'unauthorized' }
  const faults = isJson(said) ? ownershipFaults(ctx, client, said) : []
  if (faults.length > 0) return refused(faults)
  const read = await readMetadata(ctx, said, accepts)
  if (!read.ok) return read
  const replaced = await overwriteClient(ctx, client.clientId, read.metadata)
  if (!replaced.ok) return { ok: false, reason: 'unauthorized' }
  const information = {
    ...informationOf(ctx, client, credentials.token),
    ...secretOf(replaced.client_secret),
    ...registeredMembers(read.metadata),
    ...(read.statement === null ? {} : { software_statement: read.statement })
  }
  return { ok: true, information }
}

/** Ends a registration with everything that people granted it. Records `client.removed`. @see RFC 7592 §2.3 */
export async function removeRegistration(
  ctx: Context,
  credentials: Credentials
): Promise<{ ok: true } | Refusal> {
  const client = await authenticate(ctx, credentials)
  const removed = client !== null && (await removeClient(ctx, client.clientId))
  return removed ? { ok: true } : { ok: false, reason: 'unauthorized' }
}

export type Credentials = { clientId: string; token: string }

const nobodysHash = Buffer.alloc(32)

/** The registration that a token manages. An unknown one takes as long as a wrong token. */
async function authenticate(ctx: Context, { clientId, token }: Credentials): Promise<Client | null> {
  const client = isId(clientId) ? await findClient(ctx.sql, clientId) : null
  const expected = client?.registrationAccessTokenHash ?? nobodysHash
  return equalBytes(hashToken(token), expected) && client?.registeredBy === 'registration' ? client : null
}

/** Whether anybody may register, or who has this token. A token that is not good is refused where none is needed, too. */
async function admit(
  ctx: Context,
  token: string | null
): Promise<{ ok: true; tokenId: string | null } | Refusal> {
  if (token !== null) {
    const found = await findInitialAccessToken(ctx.sql, { tokenHash: hashToken(token), now: ctx.now() })
    return found === null ? { ok: false, reason: 'unauthorized' } : { ok: true, tokenId: found.id }
  }
  const { registration, conformance } = ctx.config
  if (registration.mode !== 'open') return { ok: false, reason: 'unauthorized' }
  const room =
    conformance || (await countNeverUsedClients(ctx.sql, neverUsedClientsAtMost)) < neverUsedClientsAtMost
  return room ? { ok: true, tokenId: null } : { ok: false, reason: 'full' }
}

async function spend(tx: Context, id: string): Promise<boolean> {
  const spent = await consumeInitialAccessToken(tx.sql, { id, now: tx.now() })
  if (spent === null) return false
  await recordEvent(tx, {
    type: 'initial_access_token.used',
    details: { id, uses_left: spent.usesLeft }
  })
  return true
}

type ReadOutcome = { ok: true; metadata: ClientMetadata; statement: string | null } | Refusal

/** A statement's claims stand above what the application says itself (RFC 7591 §2.3). */
async function readMetadata(ctx: Context, said: unknown, accepts: Acceptance): Promise<ReadOutcome> {
  if (!isJson(said)) return refused([{ field: '', message: 'the request must be a JSON object' }])
  const believes = Object.keys(ctx.config.registration.softwareStatementIssuers).length > 0
  const statement = believes ? (said.software_statement ?? null) : null
  const stated = statement === null ? null : await readSoftwareStatement(ctx, statement)
  if (stated?.ok === false)
    return { ok: false, reason: 'refused', error: stated.error, error_description: stated.description }

  const checked = await checkSelfDescription(ctx, { ...said, ...stated?.claims })
  if (!checked.ok) return refused(checked.faults)
  const further = accepts(checked.metadata)
  if (further.length > 0) return refused(further)
  return { ok: true, metadata: checked.metadata, statement: statement as string | null }
}

/** RFC 7592 §2.2: the request names its client, and of what is the server's it may hold the secret alone. */
function ownershipFaults(ctx: Context, client: Client, said: Json): Fault[] {
  const theirs = [
    'registration_access_token',
    'registration_client_uri',
    'client_secret_expires_at',
    'client_id_issued_at'
  ].filter(name => name in said)
  const { client_id, client_secret } = said
  return [
    ...theirs.map(field => ({ field, message: 'must be left out' })),
    ...(client_id === client.clientId
      ? []
      : [{ field: 'client_id', message: 'must be the id of this client' }]),
    ...(client_secret === undefined || isSecretOf(ctx, client, client_secret)
      ? []
      : [{ field: 'client_secret', message: 'must be left out, or be the present one' }])
  ]
}

const informationOf = (
  { config }: Context,
  { clientId, createdAt }: Pick<Client, 'clientId' | 'createdAt'>,
  token: string
): Json => ({
  client_id: clientId,
  client_id_issued_at: Math.floor(createdAt.getTime() / 1000),
  registration_client_uri: `${config.issuer}/register/${clientId}`,
  registration_access_token: token
})

const secretOf = (secret: string | null): Json =>
  secret === null ? {} : { client_secret: secret, client_secret_expires_at: 0 }
