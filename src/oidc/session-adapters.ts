// Browser sessions and sign-ins under way, as the library saves them.
import { hashToken } from '../lib/tokens.ts'
import { trustExpiry } from '../sessions/device-model.ts'
import { fromSeconds, type SessionPayload, toPayload } from '../sessions/model.ts'
import { findSessionByIdHash, findSessionByUid } from '../sessions/repository.ts'
import { endSessionWrites, sessionWrites } from '../sessions/service.ts'
import { moments, type Part, queue, withoutId } from './adapter-parts.ts'
import { deleteInteraction, findInteraction, upsertInteraction } from './interaction-repository.ts'
import { openSecrets, sealSecrets } from './interaction-secrets.ts'
import { currentUnit, readOnce } from './unit-of-work.ts'

export const sessions: Part = storage => ({
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

export const interactions: Part = ({ lookups, now, secondFactor, trustedDeviceDays }) => ({
  find: async uid => {
    const unit = currentUnit()
    const row = await readOnce(unit.interactions, uid, () =>
      findInteraction(lookups, hashToken(uid), {
        now: now(),
        deviceHash: unit.deviceHash,
        trustedUntilAtMost: trustExpiry({ trustedDeviceDays }, now()),
        secondFactorRoles: secondFactor.requiredRoles
      })
    )
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

/** What is left when the library is done: a session id given up for good ends its session. */
export function settleSession(): void {
  const unit = currentUnit()
  if (unit.droppedSession === null) return
  unit.lasting.push(...endSessionWrites(unit.droppedSession.uid).map(write => ({ write })))
  unit.droppedSession = null
}
