// Where an embedded database lives on disk, and its making: home/cluster/{data,password}, home/socket, home/runtime,
// home/server.log. When root starts it, home and the password stay root's; only data and socket are the server's user's.
import { execFile } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync
} from 'node:fs'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createToken } from '../lib/tokens.ts'
import { type Binaries, prepareBinaries, programOf } from './embedded-binaries.ts'
import { placeDirectory } from './embedded-drafts.ts'
import { chooseUser, giveTo, isReachable, letThrough, type User } from './embedded-user.ts'

export type Site = {
  home: string
  dataDirectory: string
  logFile: string
  /** The directory of programs. */
  native: string
  /** Whom the server runs as; null: as this process. */
  user: User | null
  password: string
  /** Server settings beside our own: `{ fsync: 'off' }` for tests. */
  settings: Record<string, string>
}

/** PostgreSQL's own settings come from us, never from the environment's PGDATA, PGPORT and so on. */
export const serverEnvironment = { LC_ALL: 'C', TZ: 'UTC' }

/**
 * Makes the database's files where there are none, and everything ready to start the server on them.
 *
 * Throws in words for an operator when they cannot be used: another major version, another owner.
 */
export async function prepareSite(
  directory: string,
  binaries: Binaries,
  settings: Record<string, string>
): Promise<Site> {
  const { home, user } = chooseHome(directory)
  const cluster = join(home, 'cluster')
  if (existsSync(join(cluster, 'data'))) checkOwner(join(cluster, 'data'), user)
  const native = await prepareBinaries(binaries, home, user)
  await placeDirectory(cluster, draft => initialise(draft, { native, user, settings }))
  const dataDirectory = join(cluster, 'data')
  checkVersion(dataDirectory, binaries)
  return {
    home,
    dataDirectory,
    logFile: join(home, 'server.log'),
    native,
    user,
    password: readFileSync(join(cluster, 'password'), 'utf8'),
    settings
  }
}

/** Where a database that its user cannot reach is put instead, when root starts it. */
const places = ['/var/lib', '/var/db']

/**
 * The home is `directory` itself, unless root starts the server and its user cannot pass through the directories
 * above (a checkout in /root, say): then a directory of its own that the link `elsewhere` names from then on.
 */
function chooseHome(directory: string): { home: string; user: User | null } {
  if (mkdirSync(directory, { recursive: true }) !== undefined) chmodSync(directory, 0o700)
  const here = realpathSync(directory)
  const link = join(here, 'elsewhere')
  if (lstatSync(link, { throwIfNoEntry: false }) !== undefined) return homeAt(resolveLink(link))
  const local = homeAt(here)
  if (isReachable(join(here, 'cluster'), local.user)) return local
  if (existsSync(join(here, 'cluster')))
    throw new Error(
      `The database in ${here} can no longer be reached by the user ${local.user?.name}: let others enter the directories above it (chmod o+x), or move it`
    )
  return homeAt(moveElsewhere(link))
}

function homeAt(home: string): { home: string; user: User | null } {
  const user = chooseUser(join(home, 'cluster', 'data'))
  letThrough(user, home)
  return { home, user }
}

function resolveLink(link: string): string {
  if (!existsSync(link))
    throw new Error(
      `${link} points to a database that is not there: bring it back, or remove the link to start an empty one`
    )
  return realpathSync(link)
}

function moveElsewhere(link: string): string {
  const place = places.find(place => existsSync(place))
  try {
    if (place === undefined) throw new Error(`there is none of ${places.join(', ')}`)
    mkdirSync(join(place, 'gatehouse'), { recursive: true })
    chmodSync(join(place, 'gatehouse'), 0o755)
    const home = mkdtempSync(join(place, 'gatehouse', 'postgres-'))
    symlinkSync(home, link)
    return home
  } catch (cause) {
    // Another process has been as fast.
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return resolveLink(link)
    throw new Error(
      `PostgreSQL does not run as root, and the ordinary user it runs as cannot enter ${dirname(link)}: set DATA_DIR to a directory that everybody may pass through, run as an ordinary user, or set DATABASE_URL`,
      { cause }
    )
  }
}

type Making = Pick<Site, 'native' | 'user' | 'settings'>

/** Fills `draft` with a new cluster and the random password of its superuser. */
async function initialise(draft: string, { native, user, settings }: Making): Promise<void> {
  letThrough(user, draft)
  const password = createToken()
  writeFileSync(join(draft, 'password'), password, { mode: 0o600 })
  // initdb reads the password as the server's user, so it is lent a copy.
  const lent = join(draft, 'password-for-initdb')
  writeFileSync(lent, password, { mode: 0o600 })
  mkdirSync(join(draft, 'data'), { mode: 0o700 })
  giveTo(user, lent)
  giveTo(user, join(draft, 'data'))
  const options = [
    ['--pgdata', join(draft, 'data')],
    ['--username', 'postgres'],
    ['--pwfile', lent],
    ['--auth', 'scram-sha-256'],
    ['--encoding', 'UTF8'],
    // PostgreSQL's own C.UTF-8: the same order of texts on every machine, whatever its C library.
    ['--locale', 'C'],
    ['--locale-provider', 'builtin'],
    ['--builtin-locale', 'C.UTF-8']
  ].map(([name, value]) => `${name}=${value}`)
  const unsafe = settings.fsync === 'off' ? ['--no-sync'] : []
  try {
    await promisify(execFile)(
      programOf(native, 'initdb'),
      [...options, '--data-checksums', '--no-instructions', ...unsafe],
      {
        cwd: draft,
        env: serverEnvironment,
        ...(user === null ? {} : { uid: user.uid, gid: user.gid })
      }
    )
  } catch (cause) {
    const { stderr, message } = cause as Error & { stderr?: string }
    throw new Error(`The embedded database could not be made: ${stderr?.trim() || message}`, { cause })
  }
  rmSync(lent)
}

function checkVersion(dataDirectory: string, binaries: Binaries): void {
  const file = join(dataDirectory, 'PG_VERSION')
  if (!existsSync(file))
    throw new Error(
      `${dataDirectory} is no PostgreSQL database: restore it, or remove ${dirname(dataDirectory)} to start an empty one`
    )
  const found = readFileSync(file, 'utf8').trim()
  const [major = ''] = binaries.version.split('.')
  if (found !== major)
    throw new Error(
      `${dataDirectory} was made by PostgreSQL ${found}, and this release of Gatehouse brings ${major}, which cannot read it: go back to the release that made it, or set DATABASE_URL to a PostgreSQL ${found} with the same data`
    )
}

function checkOwner(dataDirectory: string, user: User | null): void {
  const { uid } = statSync(dataDirectory)
  // Restored from a backup by root, or made by a user that is no more.
  if (user !== null && uid !== user.uid) giveTo(user, dataDirectory)
  if (user === null && process.getuid !== undefined && uid !== process.getuid())
    throw new Error(
      `The database in ${dataDirectory} belongs to uid ${uid}: start Gatehouse as that user, or as the one who started it before`
    )
}
