// Starts the embedded server on its data directory: picks an address, waits until it serves, says why it does not.
import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync
} from 'node:fs'
import { connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type Address,
  findPostmaster,
  pidFileOf,
  removeStaleLock,
  spawnPostmaster
} from './embedded-postmaster.ts'
import { quitStragglers } from './embedded-process.ts'
import type { Site } from './embedded-site.ts'
import { giveTo, isReachable, type User } from './embedded-user.ts'

/** Recovery after a crash replays at most a gigabyte of log; a slow disk needs its time for that. */
const startTimeoutMs = 120_000

/**
 * Starts the server and returns once one serves this data directory: ours, or that of a process that was faster.
 *
 * Throws with the end of the server's log when it did not start. Try again once or twice: of several servers started at
 * once PostgreSQL may turn all but one away before that one can be found, and what a killed server left at work
 * (ended here) takes a moment to go.
 */
export async function startServer(site: Site): Promise<void> {
  const address = await chooseAddress(site)
  await removeStaleLock(pidFileOf(site.dataDirectory), site.dataDirectory)
  if ('socketDirectory' in address)
    await removeStaleLock(join(address.socketDirectory, '.s.PGSQL.5432.lock'), site.dataDirectory)
  await refuseUnseenServer(site, address)
  rotateLog(site.logFile)
  const logged = sizeOf(site.logFile)
  const child = spawnPostmaster(site, address)
  const failure = Promise.withResolvers<Error>()
  child.on('error', failure.resolve)
  child.on('exit', (code, signal) => failure.resolve(new Error(`it ended with ${signal ?? `code ${code}`}`)))
  const waiting = new AbortController()
  const error = await Promise.race([failure.promise, serving(site, child.pid ?? 0, waiting.signal)])
  waiting.abort()
  if (error === null || findPostmaster(site.dataDirectory) !== null) return
  quitStragglers(site.dataDirectory)
  const tail = readFileSync(site.logFile).subarray(logged).toString().trimEnd().split('\n').slice(-20)
  throw new Error(
    `The embedded database did not start: ${error.message}. ${site.logFile} says:\n${tail.join('\n')}`,
    { cause: error }
  )
}

/** Null once the server `pid` takes connections, or when nobody waits any more; an error when it takes too long. */
async function serving(site: Site, pid: number, signal: AbortSignal): Promise<Error | null> {
  const deadline = performance.now() + startTimeoutMs
  while (performance.now() < deadline) {
    if (signal.aborted) return null
    const found = findPostmaster(site.dataDirectory)
    if (found?.pid === pid && found.state === 'ready') return null
    await sleep(10)
  }
  return new Error(`it is not ready after ${startTimeoutMs / 1000} s`)
}

/**
 * Where the server listens: a socket in a directory that only its user (and root) can enter; where that cannot be,
 * on 127.0.0.1 with a port of its own. Either way it asks for the password.
 */
async function chooseAddress({ home, user, dataDirectory }: Site): Promise<Address> {
  const hash = createHash('sha256').update(dataDirectory).digest('hex').slice(0, 16)
  for (const directory of [join(home, 'socket'), join(tmpdir(), `gatehouse-${hash}`)])
    if (canHoldSocket(directory) && isReachable(directory, user) && makePrivate(directory, user))
      return { socketDirectory: directory }
  return { port: await choosePort(join(home, 'port')) }
}

/** A socket's path has at most 103 bytes on macOS, 107 on Linux. */
function canHoldSocket(directory: string): boolean {
  return process.platform !== 'win32' && Buffer.byteLength(join(directory, '.s.PGSQL.5432')) <= 103
}

/** False when the directory is there and another's: in a temporary directory anybody may have put it there first. */
function makePrivate(directory: string, user: User | null): boolean {
  if (!existsSync(directory)) {
    mkdirSync(directory, { mode: 0o700 })
    giveTo(user, directory)
  }
  const stat = lstatSync(directory)
  if (!stat.isDirectory() || stat.uid !== (user?.uid ?? process.getuid?.())) return false
  chmodSync(directory, 0o700)
  return true
}

/** The port of last time if it is free, so that a restarted server is found where it was. */
async function choosePort(file: string): Promise<number> {
  const last = existsSync(file) ? Number(readFileSync(file, 'utf8')) : 0
  const port = (await tryPort(last)) ?? (await tryPort(0))
  if (port === null) throw new Error('The embedded database found no free port on 127.0.0.1')
  writeFileSync(file, String(port), { mode: 0o600 })
  return port
}

async function tryPort(port: number): Promise<number | null> {
  return await new Promise(resolve => {
    const server = createServer()
    server.on('error', () => resolve(null))
    server.listen(port, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' ? (address?.port ?? null) : null))
    })
  })
}

/**
 * Two servers on the same files destroy them. One in another container is invisible to PostgreSQL's own check (its
 * processes and shared memory are not ours), but the socket beside the data answers.
 */
async function refuseUnseenServer(site: Site, address: Address): Promise<void> {
  if (!('socketDirectory' in address)) return
  const socket = join(address.socketDirectory, '.s.PGSQL.5432')
  for (let waited = 0; await answers(socket); waited += 100) {
    // A server that has just been killed, or one that was started this very moment.
    if (findPostmaster(site.dataDirectory) !== null) return
    if (waited > 3000)
      throw new Error(
        `A server that is not visible here, in another container perhaps, uses the database in ${site.home}: stop it first, or give both a DATABASE_URL`
      )
    await sleep(100)
  }
}

async function answers(socket: string): Promise<boolean> {
  return await new Promise(resolve => {
    const connection = connect(socket)
    connection.on('connect', () => {
      connection.destroy()
      resolve(true)
    })
    connection.on('error', () => resolve(false))
  })
}

const logLimitBytes = 5_000_000

function rotateLog(file: string): void {
  if (sizeOf(file) > logLimitBytes) renameSync(file, `${file}.1`)
}

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}
