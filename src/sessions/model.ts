// What a browser session is, and how it looks to the protocol library.
import type { AccountFacts } from '../accounts/facts-model.ts'

export type SessionClient = { sid?: string; grantId?: string; persistsLogout?: boolean }

/** An application that is to be told that somebody's session there has ended. */
export type LogoutReceiver = { clientId: string; sid: string | null }

/** The library's view of a session. `jti` is the cookie's value, or a marker where only its hash is known. */
export type SessionPayload = {
  kind: 'Session'
  jti: string
  uid: string
  accountId?: string
  loginTs?: number
  acr?: string
  amr?: string[]
  transient?: boolean
  state?: Record<string, unknown>
  authorizations?: Record<string, SessionClient>
  iat: number
  exp: number
}

export type StoredSession = {
  uid: string
  accountId: string | null
  acr: string | null
  amr: string[] | null
  loginAt: Date | null
  authenticatedAt: Date | null
  transient: boolean
  state: Record<string, unknown> | null
  clients: Record<string, SessionClient>
  account: AccountFacts | null
  updatedAt: Date
  expiresAt: Date
}

export const toSeconds = (moment: Date): number => Math.floor(moment.getTime() / 1000)
export const fromSeconds = (seconds: number): Date => new Date(seconds * 1000)

export function toPayload(session: StoredSession, jti: string): SessionPayload {
  return {
    kind: 'Session',
    jti,
    uid: session.uid,
    iat: toSeconds(session.updatedAt),
    exp: toSeconds(session.expiresAt),
    ...(session.accountId === null ? {} : { accountId: session.accountId }),
    ...(session.loginAt === null ? {} : { loginTs: toSeconds(session.loginAt) }),
    ...(session.acr === null ? {} : { acr: session.acr }),
    ...(session.amr === null ? {} : { amr: session.amr }),
    ...(session.transient ? { transient: true } : {}),
    ...(session.state === null ? {} : { state: session.state }),
    authorizations: structuredClone(session.clients)
  }
}

/**
 * Whether a save would change nothing but the end of an idle period, and that by less than a twentieth:
 * then it is left out, and a page view costs no write.
 */
export function isUnchanged(stored: StoredSession, payload: SessionPayload): boolean {
  const before = toPayload(stored, payload.jti)
  const period = payload.exp - payload.iat
  if (Math.abs(payload.exp - before.exp) > period / 20) return false
  const same = (key: keyof SessionPayload) => JSON.stringify(before[key]) === JSON.stringify(payload[key])
  const kept = (['accountId', 'loginTs', 'acr', 'amr', 'transient', 'state'] as const).every(same)
  return kept && sameClients(stored.clients, payload.authorizations ?? {})
}

export const sameClient = (a: SessionClient | undefined, b: SessionClient | undefined): boolean =>
  a?.sid === b?.sid &&
  a?.grantId === b?.grantId &&
  (a?.persistsLogout ?? false) === (b?.persistsLogout ?? false)

function sameClients(a: Record<string, SessionClient>, b: Record<string, SessionClient>): boolean {
  const ids = new Set([...Object.keys(a), ...Object.keys(b)])
  return [...ids].every(id => sameClient(a[id], b[id]))
}
