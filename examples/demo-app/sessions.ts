// Sessions in memory: enough for a demonstration, gone when it stops. The cookie holds a random id and nothing else.
import { randomBytes } from 'node:crypto'
import type { DeviceSignIn } from './device.ts'
import type { PendingSignIn, SignedIn } from './relying-party.ts'

export type Session = {
  id: string
  /** Sign-ins under way by their state: two tabs do not disturb each other. */
  pending: Map<string, PendingSignIn>
  signedIn: SignedIn | null
  /** A device that shows its code in this browser. */
  device: DeviceSignIn | null
  usedAt: number
}

const cookieName = 'demo_session'
const idleMs = 8 * 3600 * 1000
const mostSessions = 1000
const mostPending = 10

export type Sessions = {
  find: (cookieHeader: string | undefined) => Session | null
  create: () => Session
  /** A new id for the same session, at the moment somebody signs in: an id planted before is worth nothing then. */
  renew: (session: Session) => void
  remove: (session: Session) => void
}

export function createSessions(): Sessions {
  const sessions = new Map<string, Session>()
  const add = (session: Session) => {
    const [oldest] = sessions.keys()
    if (sessions.size >= mostSessions && oldest !== undefined) sessions.delete(oldest)
    sessions.set(session.id, session)
    return session
  }
  return {
    find: cookieHeader => {
      const session = sessions.get(readCookie(cookieHeader) ?? '')
      if (session === undefined) return null
      if (Date.now() - session.usedAt > idleMs) {
        sessions.delete(session.id)
        return null
      }
      session.usedAt = Date.now()
      return session
    },
    create: () =>
      add({ id: createId(), pending: new Map(), signedIn: null, device: null, usedAt: Date.now() }),
    renew: session => {
      sessions.delete(session.id)
      session.id = createId()
      add(session)
    },
    remove: session => void sessions.delete(session.id)
  }
}

/** Remembers a sign-in under way; the oldest gives way to it when there are many. */
export function addPending(session: Session, pending: PendingSignIn): void {
  const [oldest] = session.pending.keys()
  if (session.pending.size >= mostPending && oldest !== undefined) session.pending.delete(oldest)
  session.pending.set(pending.state, pending)
}

/** Takes a sign-in under way: each is good for one callback. */
export function takePending(session: Session, state: string): PendingSignIn | null {
  const pending = session.pending.get(state) ?? null
  session.pending.delete(state)
  return pending
}

/** Lax: the provider sends the browser back by a top-level GET, and no other site can post here with the cookie. */
export function toCookie(session: Session): string {
  return `${cookieName}=${session.id}; Path=/; HttpOnly; SameSite=Lax`
}

export const expiredCookie = `${cookieName}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0`

const createId = () => randomBytes(32).toString('base64url')

function readCookie(header = ''): string | null {
  for (const pair of header.split(';')) {
    const [name, value] = pair.trim().split('=')
    if (name === cookieName && value !== undefined) return value
  }
  return null
}
