// oidc-provider's storage. It keeps to the library's contract, but reads in joins and writes in batches (unit-of-work.ts),
// stores hashes instead of ids, and makes every "once" one conditional statement.
import { type Adapter, type AdapterPayload, errors } from 'oidc-provider'
import type { Write } from '../db/batch.ts'
import type { Sql } from '../db/connect.ts'
import { hashToken } from '../lib/tokens.ts'
import { fromSeconds, type SessionPayload, toPayload, toSeconds } from '../sessions/model.ts'
import { findSessionByIdHash, findSessionByUid } from '../sessions/repository.ts'
import { endSessionWrites, sessionWrites } from '../sessions/service.ts'
import { openSecrets, sealSecrets } from './interaction-secrets.ts'
import type { Payload, StoredToken } from './model.ts'
import {
  consumeArtifact,
  deleteAccessToken,
  deleteArtifact,
  deleteGrant,
  deleteInteraction,
  deleteRefreshToken,
  deleteTokensByGrant,
  findArtifact,
  findArtifactByUserCode,
  findCode,
  findGrant,
  findInteraction,
  findToken,
  insertAccessToken,
  insertArtifact,
  insertRefreshToken,
  type TokenRow,
  upsertArtifact,
  upsertGrant,
  upsertInteraction
} from './repository.ts'
import { consumeWithSuccessor, LostRotation, openSuccessor } from './rotation.ts'
import { currentUnit, readOnce } from './unit-of-work.ts'

export type Storage = {
  /** Only reads go here: writes are queued in the unit of work. */
  lookups: Sql
  now: () => Date
  refreshTokenGraceSeconds: number
  sessionAbsoluteSeconds: number
}

/** The library asks for an adapter by the name of a model. */
export const createAdapter =
  (storage: Storage) =>
  (model: string): Adapter => ({ ...refusing, ...(adapters[model] ?? artifacts)(storage, model) })

const refuse = (operation: string) => async (): Promise<never> => {
  throw new Error(`this model knows no ${operation}`)
}
const refusing: Adapter = {
  upsert: refuse('upsert'),
  find: refuse('find'),
  findByUid: refuse('findByUid'),
  findByUserCode: refuse('findByUserCode'),
  consume: refuse('consume'),
  destroy: refuse('destroy'),
  revokeByGrantId: refuse('revokeByGrantId')
}

type Part = (storage: Storage, model: string) => Partial<Adapter>

/** The moments that decide what is over. */
export const moments = ({ now, sessionAbsoluteSeconds }: Storage) => ({
  now: now(),
  loginAfter: new Date(now().getTime() - sessionAbsoluteSeconds * 1000)
})

const text = (value: unknown): string | null => (typeof value === 'string' ? value : null)

function withoutId(payload: AdapterPayload): Payload {
  const { jti: _jti, ...rest } = payload
  return rest
}

const queue = async (...writes: Write[]): Promise<void> =>
  void currentUnit().lasting.push(...writes.map(write => ({ write })))

/** Keeps what came along with a token, so that the library's next questions cost nothing. */
function keepContext(token: StoredToken | null, now: Date): StoredToken | null {
  const unit = currentUnit()
  if (token === null) return null
  if (token.grantId !== null) unit.grants.set(token.grantId, Promise.resolve(token.grant))
  if (token.account !== null) unit.accounts.set(token.account.id, token.account)
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

function toRow({ now }: Storage, id: string, payload: AdapterPayload): TokenRow {
  return {
    idHash: hashToken(id),
    kind: payload.kind ?? '',
    grantId: text(payload.grantId),
    accountId: text(payload.accountId),
    clientId: text(payload.clientId) ?? '',
    sessionUid: payload.expiresWithSession === true ? text(payload.sessionUid) : null,
    payload: withoutId(payload),
    createdAt: now(),
    expiresAt: fromSeconds(payload.exp ?? 0)
  }
}

/** Issues something; only if the code that this request takes, if any, was still there to take. */
function issue(write: Write): void {
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

const accessTokens: Part = (storage, model) => ({
  find: async id => {
    const token = await findAnyToken(storage, id)
    return token?.kind === model ? { ...token.payload, jti: id } : undefined
  },
  upsert: async (id, payload) => issue(insertAccessToken(toRow(storage, id, payload))),
  destroy: id => queue(deleteAccessToken(hashToken(id))),
  revokeByGrantId
})

const refreshTokens: Part = storage => ({
  find: async id => {
    const token = await findAnyToken(storage, id)
    if (token?.kind !== 'RefreshToken') return undefined
    if (token.consumedAt === null) return { ...token.payload, jti: id }
    const successor = openSuccessor(storage, id, token)
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
const isReuse = (consumedAt: Date | null): boolean =>
  consumedAt !== null && currentUnit().startedAt > consumedAt

/** RFC 6749 §5.2; RFC 9126 §4 with RFC 9101 §7 for the reference of a pushed request. */
const alreadyUsed = (model: string): Error =>
  model === 'PushedAuthorizationRequest'
    ? new errors.InvalidRequestUri('request_uri is invalid, expired, or was already used')
    : new errors.InvalidGrant(`${model} was already used`)

/** Codes, pushed requests, device codes. */
const artifacts: Part = (storage, model) => ({
  find: async id => {
    const artifact = await findArtifact(storage.lookups, model, hashToken(id))
    return artifact === null
      ? undefined
      : { ...artifact.payload, jti: id, ...(isReuse(artifact.consumedAt) ? { consumed: true } : {}) }
  },
  findByUserCode: async userCode => {
    const artifact = await findArtifactByUserCode(storage.lookups, hashToken(userCode))
    return artifact === null
      ? undefined
      : { ...artifact.payload, ...(isReuse(artifact.consumedAt) ? { consumed: true } : {}) }
  },
  upsert: async (id, payload) => {
    const userCode = text(payload.userCode)
    const row = {
      ...toRow(storage, id, payload),
      kind: model,
      userCodeHash: userCode === null ? null : hashToken(userCode)
    }
    if (userCode === null) issue(insertArtifact(row))
    else await queue(upsertArtifact(row))
  },
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

const codes: Part = (storage, model) => ({
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

const grants: Part = ({ lookups, now }) => ({
  find: async id => {
    const payload = await readOnce(currentUnit().grants, id, () => findGrant(lookups, id))
    return payload === null ? undefined : { ...payload, jti: id }
  },
  upsert: async (id, payload) => {
    currentUnit().grants.set(id, Promise.resolve(withoutId(payload)))
    const accountId = text(payload.accountId) ?? ''
    const clientId = text(payload.clientId) ?? ''
    await queue(
      upsertGrant({
        id,
        accountId,
        clientId,
        payload: withoutId(payload),
        createdAt: now(),
        expiresAt: fromSeconds(payload.exp ?? 0)
      })
    )
  },
  destroy: id => queue(deleteGrant(id))
})

const sessions: Part = storage => ({
  find: async id => {
    const session = await findSessionByIdHash(storage.lookups, hashToken(id), moments(storage))
    if (session === null) return undefined
    const unit = currentUnit()
    unit.sessions.set(session.uid, session)
    unit.sessionUids.set(id, session.uid)
    if (session.account !== null) unit.accounts.set(session.account.id, session.account)
    return toPayload(session, id)
  },
  findByUid: async uid => {
    const unit = currentUnit()
    const joined = unit.joinedSessions.get(uid)
    if (joined !== undefined) return joined ?? undefined
    const session = unit.sessions.get(uid) ?? (await findSessionByUid(storage.lookups, uid, moments(storage)))
    if (session === null) return undefined
    unit.sessions.set(uid, session)
    return toPayload(session, `uid:${uid}`)
  },
  upsert: async (id, payload) => {
    const unit = currentUnit()
    const session = payload as unknown as SessionPayload
    const rotatedFrom = unit.droppedSession === null ? null : hashToken(unit.droppedSession.id)
    unit.droppedSession = null
    await queue(
      ...sessionWrites({
        stored: unit.sessions.get(session.uid) ?? null,
        payload: session,
        idHash: hashToken(id),
        rotatedFrom,
        authenticatedAt: unit.proof?.at ?? null,
        now: storage.now()
      })
    )
  },
  // A rotation destroys the old id and saves the new one next; an end that no save follows is the session's end.
  destroy: async id => {
    const unit = currentUnit()
    const uid = unit.sessionUids.get(id)
    if (uid !== undefined) unit.droppedSession = { id, uid }
  }
})

const interactions: Part = ({ lookups, now }) => ({
  find: async uid => {
    const unit = currentUnit()
    const row = await readOnce(unit.interactions, uid, () => findInteraction(lookups, hashToken(uid), now()))
    if (row === null) return undefined
    const finished = row.payload.result as { login?: unknown; consent?: { grantId?: string } } | undefined
    // Signed in here, but the account was cut off or disabled since: this sign-in is over.
    if (finished?.login !== undefined && !row.authenticationValid) return undefined
    if (row.account !== null) unit.accounts.set(row.account.id, row.account)
    const grantId = finished?.consent?.grantId
    if (grantId !== undefined) unit.grants.set(grantId, Promise.resolve(row.grant))
    if (row.accountId !== null && row.authenticatedAt !== null)
      unit.proof = { accountId: row.accountId, at: row.authenticatedAt }
    return { ...openSecrets(uid, row.payload), jti: uid }
  },
  upsert: async (uid, payload) => {
    const params = payload.params as { client_id?: string } | undefined
    // The session's cookie has no business in another row.
    const { cookie: _cookie, ...session } = (payload.session ?? {}) as { accountId?: string; cookie?: string }
    const stored = payload.session === undefined ? withoutId(payload) : { ...withoutId(payload), session }
    const { proof } = currentUnit()
    await queue(
      upsertInteraction({
        idHash: hashToken(uid),
        clientId: params?.client_id ?? null,
        accountId: proof?.accountId ?? session.accountId ?? null,
        authenticatedAt: proof?.at ?? null,
        payload: sealSecrets(uid, stored),
        createdAt: now(),
        expiresAt: fromSeconds(payload.exp ?? 0)
      })
    )
  },
  destroy: uid => queue(deleteInteraction(hashToken(uid)))
})

const adapters: Record<string, Part> = {
  AccessToken: accessTokens,
  ClientCredentials: accessTokens,
  RefreshToken: refreshTokens,
  AuthorizationCode: codes,
  Grant: grants,
  Session: sessions,
  Interaction: interactions
}

/** What is left when the library is done: a session id given up for good ends its session. */
export function settleSession(): void {
  const unit = currentUnit()
  if (unit.droppedSession === null) return
  unit.lasting.push(...endSessionWrites(unit.droppedSession.uid).map(write => ({ write })))
  unit.droppedSession = null
}
