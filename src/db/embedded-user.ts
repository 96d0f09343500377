// Who the embedded PostgreSQL runs as (it refuses root), and what that user can reach.
import { chmodSync, existsSync, lchownSync, lstatSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { userInfo } from 'node:os'
import { dirname, join } from 'node:path'

export type User = { name: string; uid: number; gid: number }

/** Unprivileged users that machines and images have, the fittest first. */
const unprivileged = ['postgres', '_postgres', 'node', 'nobody']

/**
 * The user to run PostgreSQL as when this process is root: whoever owns the data already, else an unprivileged
 * user of the machine. Null: as this process itself, which is not root.
 *
 * Throws when there is no such user: PostgreSQL also refuses a uid that has no name.
 */
export function chooseUser(dataDirectory: string): User | null {
  if (process.getuid?.() !== 0) return checkName()
  const owner = statSync(dataDirectory, { throwIfNoEntry: false })?.uid
  const users = readUsers().filter(({ uid }) => uid !== 0)
  const user =
    users.find(({ uid }) => uid === owner) ??
    unprivileged.map(name => users.find(user => user.name === name)).find(user => user !== undefined)
  if (user === undefined)
    throw new Error(
      `The embedded database does not run as root, and this machine has none of the users ${unprivileged.join(', ')}: run Gatehouse as an ordinary user, or set DATABASE_URL`
    )
  return user
}

function checkName(): null {
  try {
    userInfo()
    return null
  } catch (cause) {
    throw new Error(
      `The embedded database needs a user with a name, and uid ${process.getuid?.()} has none on this machine: add it to /etc/passwd, or set DATABASE_URL`,
      { cause }
    )
  }
}

function readUsers(): User[] {
  const text = existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8') : ''
  return text
    .split('\n')
    .map(line => line.split(':'))
    .filter(([name, , uid, gid]) => name !== '' && /^\d+$/.test(uid ?? '') && /^\d+$/.test(gid ?? ''))
    .map(([name = '', , uid, gid]) => ({ name, uid: Number(uid), gid: Number(gid) }))
}

/** Whether `user` may pass through every directory above `path`. Decided by mode bits: root itself may do anything. */
export function isReachable(path: string, user: User | null): boolean {
  if (user === null) return true
  for (let parent = dirname(path); ; parent = dirname(parent)) {
    if (existsSync(parent) && !grants(parent, user, 0o1)) return false
    if (parent === dirname(parent)) return true
  }
}

/** Whether `path` itself gives `user` all of `bits` (4 read, 2 write, 1 enter or run). */
export function grants(path: string, user: User, bits: number): boolean {
  const { mode, uid, gid } = statSync(path)
  const shift = uid === user.uid ? 6 : gid === user.gid ? 3 : 0
  return ((mode >> shift) & bits) === bits
}

/** Makes `path` the user's own, with everything in it. Links are not followed. */
export function giveTo(user: User | null, path: string): void {
  if (user === null) return
  lchownSync(path, user.uid, user.gid)
  if (!lstatSync(path).isDirectory()) return
  for (const entry of readdirSync(path)) giveTo(user, join(path, entry))
}

/** Lets `user` through a directory that stays ours, so that nothing in it can be swapped for a link. */
export function letThrough(user: User | null, path: string): void {
  if (user !== null && !grants(path, user, 0o1)) chmodSync(path, 0o711)
}
