// One PostgreSQL server process: found by its pid file, started, stopped. Says nothing of who uses it.
import { type ChildProcess, spawn } from 'node:child_process'
import {
  closeSync,
  constants,
  fchownSync,
  linkSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { programOf } from './embedded-binaries.ts'
import { isAlive, isPostmaster, signalPostmaster } from './embedded-process.ts'
import { type Site, serverEnvironment } from './embedded-site.ts'

export type Postmaster = {
  pid: number
  port: number
  /** Null: it listens on 127.0.0.1 only. */
  socketDirectory: string | null
  state: 'starting' | 'ready' | 'stopping'
}

/**
 * The live server of this data directory, whoever started it, or null.
 *
 * A pid file alone proves nothing: its process may be gone, a zombie that nobody reaps, or another program that was
 * given the same number.
 */
export function findPostmaster(dataDirectory: string): Postmaster | null {
  const lines = readIfThere(pidFileOf(dataDirectory))?.split('\n') ?? []
  const [pid = '', , , port, socketDirectory, , , state = ''] = lines
  if (!isPostmaster(Number(pid), dataDirectory)) return null
  return {
    pid: Number(pid),
    port: Number(port),
    socketDirectory: socketDirectory || null,
    state: state.startsWith('ready') ? 'ready' : state.startsWith('stopping') ? 'stopping' : 'starting'
  }
}

/** Where a server says who it is. */
export const pidFileOf = (dataDirectory: string) => join(dataDirectory, 'postmaster.pid')

function readIfThere(file: string): string | null {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

/**
 * Removes a lock file (postmaster.pid, or the one beside a socket) that PostgreSQL itself would stumble over: its
 * process is alive or a zombie but no server of this directory, where PostgreSQL only asks whether the number is in
 * use; or the file is empty after a power cut.
 *
 * A file that another process puts there meanwhile is put back. Should both miss, two servers still cannot run:
 * PostgreSQL also holds a shared memory segment by the directory's inode.
 */
export async function removeStaleLock(file: string, dataDirectory: string): Promise<void> {
  const seen = await readSettled(file)
  if (seen === null) return
  const pid = Number.parseInt(seen, 10)
  if (isPostmaster(pid, dataDirectory) || (pid > 0 && !isAlive(pid))) return
  const aside = `${file}.stale-${process.pid}`
  try {
    renameSync(file, aside)
    if (readFileSync(aside, 'utf8') !== seen) linkSync(aside, file)
  } catch (error) {
    if (!['ENOENT', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
  }
  rmSync(aside, { force: true })
}

/** Null: there is no file. One that a starting server has created but not yet written is given time. */
async function readSettled(file: string): Promise<string | null> {
  for (let waited = 0; waited < 1000; waited += 100) {
    const text = readIfThere(file)
    if (text !== '') return text
    await sleep(100)
  }
  return ''
}

export type Address = { socketDirectory: string } | { port: number }

/**
 * Starts the server on a data directory that has none. Durability is PostgreSQL's full default; memory and
 * processes are cut to what a small installation needs.
 *
 * It leads a process group of its own, so that a terminal's Ctrl-C reaches only us, who then stop it in order; and it
 * is not our process's last breath: killed with -9, we leave it running for the next start to take over.
 */
export function spawnPostmaster(site: Site, address: Address): ChildProcess {
  const settings: Record<string, string> = {
    shared_buffers: '64MB',
    io_method: 'sync',
    max_connections: '60',
    jit: 'off',
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    timezone: 'UTC',
    log_timezone: 'UTC',
    log_line_prefix: '%m [%p] ',
    // DETAIL lines quote rows, and rows hold people's addresses.
    log_error_verbosity: 'terse',
    ...addressSettings(address),
    ...site.settings
  }
  const log = openLog(site)
  const child = spawn(
    programOf(site.native, 'postgres'),
    [
      '-D',
      site.dataDirectory,
      ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    ],
    {
      cwd: site.home,
      env: serverEnvironment,
      detached: true,
      windowsHide: true,
      stdio: ['ignore', log, log],
      ...(site.user === null ? {} : { uid: site.user.uid, gid: site.user.gid })
    }
  )
  child.unref()
  closeSync(log)
  return child
}

/** Never led elsewhere by a link; the home's owner keeps the file even when root starts the server for once. */
function openLog({ home, logFile }: Site): number {
  const flags = constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | (constants.O_NOFOLLOW ?? 0)
  const log = openSync(logFile, flags, 0o600)
  const { uid, gid } = statSync(home)
  if (process.getuid?.() === 0) fchownSync(log, uid, gid)
  return log
}

function addressSettings(address: Address): Record<string, string> {
  if ('port' in address)
    return { listen_addresses: '127.0.0.1', port: String(address.port), unix_socket_directories: '' }
  return {
    listen_addresses: '',
    unix_socket_directories: `"${address.socketDirectory.replaceAll('"', '""')}"`
  }
}

/**
 * Stops the server and waits until it is gone: a fast shutdown, which ends open transactions and writes everything out;
 * after 10 s an immediate one, from which the next start recovers. False when it is still there 10 s later.
 */
export async function stopPostmaster({ native, dataDirectory }: Site, pid: number): Promise<boolean> {
  for (const name of ['SIGINT', 'SIGQUIT'] as const) {
    signalPostmaster(pid, name, native)
    const deadline = performance.now() + 10_000
    while (performance.now() < deadline) {
      if (!isPostmaster(pid, dataDirectory)) return true
      await sleep(10)
    }
  }
  return false
}
