// Tokens, codes and grants: issued by one batch at the end of a request, taken once, revoked by grant.
import { type AdapterPayload, errors } from 'oidc-provider'
import type { Write } from '../db/batch.ts'
import { hashToken } from '../lib/tokens.ts'
import { fromSeconds, type SessionPayload, toSeconds } from '../sessions/model.ts'
import { moments, type Part, queue, type Storage, text, toRow, withoutId } from './adapter-parts.ts'
import { isGrantStanding, type StoredToken } from './model.ts'
import {
  consumeArtifact,
  deleteAccessToken,
  deleteArtifact,
  deleteGrant,
  deleteRefreshToken,
  deleteTokensByGrant,
  findArtifact,
  findCode,
  findGrant,
  findToken,
  insertAccessToken,
  insertArtifact,
  insertRefreshToken,
  type TokenRow,
  upsertGrant,
  upsertGrantUnderConsent
} from './repository.ts'
import { consumeWithSuccessor, LostRotation, openSuccessor } from './rotation.ts'
import { currentUnit, readOnce } from './unit-of-work.ts'

/** Keeps what came along with a token, so that the library's next questions cost nothing. */
function keepContext(token: StoredToken | null, now: Date): StoredToken | null {
  const unit = currentUnit()
  if (token === null) return null
  if (token.grantId !== null) unit.grants.set(token.grantId, Promise.resolve(token.grant))
  if (token.account !== null) {
    unit.accounts.set(token.account.id, token.account)
    if (token.memberships) unit.memberships.set(token.account.id, token.memberships)
  }
  if (token.sessionUid !== null) unit.joinedSessions.set(token.sessionUid, joinedSession(token, now))
  return token
}

/**
 * The session that a token ends with, as the library asks for it. Tabs of one application that authorize at once each
 * get a grant, of which the session remembers the last: the token's own counts while its application is signed in there.
 */
function joinedSession(token: StoredToken, now: Date): SessionPayload | null {
  const { session, sessionUid, clientId } = token
  if (session === null || sessionUid === null) return null
  const { accountId, sid } = session
  const grantId = session.grantId === null ? null : token.grantId
  const client = { ...(grantId === null ? {} : { grantId }), ...(sid === null ? {} : { sid }) }
  const iat = toSeconds(now)
  return {
    kind: 'Session',
    jti: `uid:${sessionUid}`,
    uid: sessionUid,
    accountId,
    authorizations: { [clientId]: client },
    iat,
    exp: iat + 60
  }
}

/** Issues something; only if the code that this request takes, if any, was still there to take. */
export function issue(write: Write): void {
  const { issuing, consumption } = currentUnit()
  issuing.push({ write: consumption === null ? write : { ...write, onlyAfter: consumption } })
}

const findAnyToken = async (storage: Storage, id: string) =>
  await readOnce(currentUnit().tokens, id, async () =>
    keepContext(await findToken(storage.lookups, hashToken(id), moments(storage)), storage.now())
  )

async function revokeByGrantId(grantId: string): Promise<void> {
  const { revokedGrants } = currentUnit()
  // Asked once a model, in parallel: one set of deletes serves all.
  if (revokedGrants.has(grantId)) return
  revokedGrants.add(grantId)
  await queue(...deleteTokensByGrant(grantId))
}

/**
 * Whether the grant and the session that an exchanged token lives with stand; of any other token's the library asks itself.
 * It is not told of these: they are another client's, and revoking the token must not end them.
 */
function isHeld({ payload, grantId, grant, sessionUid, session }: StoredToken, now: Date): boolean {
  if (grantId === null || payload.grantId !== undefined) return true
  if (!isGrantStanding(grant, now)) return false
  return sessionUid === null || (session?.accountId === payload.accountId && session?.grantId !== null)
}

/** No table ends these with their client: no grant does, of a token by exchange another client's. */
async function areClientsThere(
  { isRegistered }: Storage,
  { clientId, payload }: StoredToken
): Promise<boolean> {
  const { sub } = (payload.extra ?? {}) as { sub?: unknown }
  // By exchange a client may speak for another one.
  const spokenFor = payload.accountId === undefined ? text(sub) : null
  return (await isRegistered(clientId)) && (spokenFor === null || (await isRegistered(spokenFor)))
}

export const accessTokens: Part = (storage, model) => ({
  find: async id => {
    const token = await findAnyToken(storage, id)
    if (token?.kind !== model || !isHeld(token, storage.now())) return undefined
    return (await areClientsThere(storage, token)) ? { ...token.payload, jti: id } : undefined
  },
  upsert: async (id, payload) => {
    const { grantId, sessionUid } = currentUnit().exchange ?? {}
    const row = toRow(storage, id, payload)
    issue(
      insertAccessToken({
        ...row,
        grantId: grantId ?? row.grantId,
        sessionUid: sessionUid ?? row.sessionUid
      })
    )
  },
  destroy: id => queue(deleteAccessToken(hashToken(id))),
  revokeByGrantId
})

export const refreshTokens: Part = storage => ({
  find: async id => {
    const token = await findAnyToken(storage, id)
    if (token?.kind !== 'RefreshToken') return undefined
    if (token.consumedAt === null) return { ...token.payload, jti: id }
    const graceSeconds = await storage.graceSecondsOf(token.clientId)
    const successor = openSuccessor({ now: storage.now, graceSeconds }, id, token)
    if (successor === null) return { ...token.payload, jti: id, consumed: true }
    // A retry within the grace window: the library goes on as with a living token, the answer carries the successor.
    currentUnit().successor = successor
    return { ...token.payload, jti: id }
  },
  consume: async id => {
    const unit = currentUnit()
    unit.rotation = consumeWithSuccessor(storage, id)
    unit.issuing.push({ write: unit.rotation.write })
  },
  upsert: async (id, payload) => {
    const { issuing, rotation } = currentUnit()
    const write = insertRefreshToken(toRow(storage, id, payload))
    if (rotation === null) return issue(write)
    rotation.setSuccessor(id)
    issuing.push({
      write: { ...write, onlyAfter: rotation.write },
      onMiss: () => new LostRotation(rotation.value)
    })
  },
  destroy: id => queue(deleteRefreshToken(hashToken(id))),
  revokeByGrantId
})

/**
 * Whether a code's presentation is a reuse, on which the library revokes what the code gave (RFC 6749 §4.1.2).
 * A request that was already under way when the code was taken only lost a race, as a form posted twice does: it is
 * refused where it would take the code, and the winner keeps its tokens.
 */
export const isReuse = (consumedAt: Date | null): boolean =>
  consumedAt !== null && currentUnit().startedAt > consumedAt

/** RFC 6749 §5.2; RFC 9126 §4 with RFC 9101 §7 for the reference of a pushed request. */
const alreadyUsed = (model: string): Error =>
  model === 'PushedAuthorizationRequest'
    ? new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
    : new errors.InvalidGrant(`${model} was already used`)

/**
 * A pushed request is taken when the sign-in that began with it ends, and so is remembered until then: in two tabs it
 * began two of them, of which one may end.
 */
const remembered = (
  { interactionLifetimeSeconds }: Storage,
  model: string,
  { exp = 0 }: AdapterPayload
): Partial<TokenRow> =>
  model === 'PushedAuthorizationRequest' ? { expiresAt: fromSeconds(exp + interactionLifetimeSeconds) } : {}

/** Codes and pushed requests. */
export const artifacts: Part = (storage, model) => ({
  find: async id => {
    const artifact = await findArtifact(storage.lookups, model, hashToken(id))
    return artifact === null
      ? undefined
      : { ...artifact.payload, jti: id, ...(isReuse(artifact.consumedAt) ? { consumed: true } : {}) }
  },
  upsert: async (id, payload) =>
    issue(
      insertArtifact({
        ...toRow(storage, id, payload),
        ...remembered(storage, model, payload),
        kind: model,
        userCodeHash: null
      })
    ),
  consume: async id => {
    const unit = currentUnit()
    unit.consumption = consumeArtifact(model, hashToken(id), storage.now)
    unit.issuing.push({
      write: unit.consumption,
      onMiss: () => alreadyUsed(model)
    })
  },
  destroy: id => queue(deleteArtifact(model, hashToken(id))),
  revokeByGrantId
})

export const codes: Part = (storage, model) => ({
  ...artifacts(storage, model),
  find: async id => {
    const read = async () =>
      keepContext(await findCode(storage.lookups, hashToken(id), moments(storage)), storage.now())
    const code = await readOnce(currentUnit().tokens, id, read)
    return code === null
      ? undefined
      : { ...code.payload, jti: id, ...(isReuse(code.consumedAt) ? { consumed: true } : {}) }
  }
})

export const grants: Part = ({ lookups, now }) => ({
  find: async id => {
    const payload = await readOnce(currentUnit().grants, id, () => findGrant(lookups, id))
    return payload === null ? undefined : { ...payload, jti: id }
  },
  upsert: async (id, payload) => {
    currentUnit().grants.set(id, Promise.resolve(withoutId(payload)))
    const accountId = text(payload.accountId) ?? ''
    const clientId = text(payload.clientId) ?? ''
    const expiresAt = fromSeconds(payload.exp ?? 0)
    const row = { id, accountId, clientId, payload: withoutId(payload), createdAt: now(), expiresAt }
    if (!currentUnit().restsOnConsent) return await queue(upsertGrant(row))
    const onMiss = () => new errors.AccessDenied('the person has just withdrawn their consent')
    currentUnit().lasting.push({ write: upsertGrantUnderConsent(row), onMiss })
  },
  destroy: id => queue(deleteGrant(id))
})
