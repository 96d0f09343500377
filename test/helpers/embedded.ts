// Embedded databases for the supervisor's own tests: in a directory that goes with the test, and what kills them.
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { connect } from '../../src/db/connect.ts'
import { startEmbedded } from '../../src/db/embedded.ts'
import { findPostmaster, type Postmaster } from '../../src/db/embedded-postmaster.ts'

type Test = { teardown(work: () => unknown): void }

export const quiet = { info: () => {}, warn: () => {}, error: () => {} }
export const isRoot = process.getuid?.() === 0
/** An ordinary user to start processes as, when these tests run as root: nobody. */
export const ordinary = { uid: 65534, gid: 65534 }

/**
 * A place for a database, in a directory that every user can enter, and `owner` write; `closed`: nobody else can
 * enter. Whatever server runs there at the end is killed.
 */
export function makeDirectory(t: Test, { owner = process.getuid?.(), closed = false } = {}): string {
  const base = mkdtempSync(join(tmpdir(), 'gatehouse-embedded-'))
  chmodSync(base, owner !== process.getuid?.() ? 0o777 : closed ? 0o700 : 0o755)
  const directory = join(base, 'postgres')
  t.teardown(() => {
    killServer(directory)
    rmSync(base, { recursive: true, force: true, maxRetries: 5, retryDelay: 50 })
  })
  return directory
}

/** Where its data is: beside it when root had to put it elsewhere. */
export function dataOf(directory: string): string {
  const elsewhere = join(directory, 'elsewhere')
  return join(existsSync(elsewhere) ? realpathSync(elsewhere) : directory, 'cluster', 'data')
}

/** The server on `directory` that is alive now. */
export const serverOf = (directory: string): Postmaster | null => findPostmaster(dataOf(directory))

export const start = (directory: string) => startEmbedded({ directory, log: quiet })

/** Runs one statement over a connection of its own. */
export async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const sql = connect({ url, poolSize: 1 })
  try {
    return await sql.unsafe(statement)
  } finally {
    await sql.end()
  }
}

export type Helper = {
  process: ChildProcess
  url: string
  acknowledged: number[]
  /** Settles with everything that it said on its error stream, when it has ended. */
  ended: Promise<string>
}

/** Starts a process of its own that uses the database, and waits until it does. */
export async function startProcess(
  t: Test,
  [directory, mode]: [string, 'hold' | 'write'],
  as: { uid?: number; gid?: number; detached?: boolean } = {}
): Promise<Helper> {
  const program = join(import.meta.dirname, 'embedded-process.ts')
  // `env -i`: the test runner puts itself into the environment of every child, and would write files as its user.
  const command = ['-i', `PATH=${process.env.PATH}`, process.execPath, program, directory, mode]
  const child = spawn('env', command, { ...as, cwd: '/' })
  t.teardown(() => child.kill('SIGKILL'))
  let said = ''
  child.stderr.on('data', data => {
    said += data
  })
  const ended = new Promise<string>(done => child.on('close', () => done(said)))
  const acknowledged: number[] = []
  const url = await new Promise<string>((resolve, reject) => {
    void ended.then(said => reject(new Error(said)))
    createInterface({ input: child.stdout }).on('line', line => {
      const { url, acknowledged: id } = JSON.parse(line) as { url?: string; acknowledged?: number }
      if (url !== undefined) resolve(url)
      if (id !== undefined) acknowledged.push(id)
    })
  })
  return { process: child, url, acknowledged, ended }
}

/** kill -9 of the server and every process of it, as a power cut or the kernel's memory killer would. */
export function killServer(directory: string): void {
  const server = serverOf(directory)
  if (server === null) return
  for (const pid of [server.pid, ...childrenOf(server.pid)]) kill(pid)
}

/** The server's own processes. Linux only, as these tests are. */
export function childrenOf(parent: number): number[] {
  return readdirSync('/proc')
    .filter(entry => /^\d+$/.test(entry))
    .filter(pid => {
      try {
        return Number(/^.*\) \S (\d+)/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8'))?.[1]) === parent
      } catch {
        return false
      }
    })
    .map(Number)
}

export function kill(pid: number, signal: NodeJS.Signals = 'SIGKILL'): void {
  try {
    process.kill(pid, signal)
  } catch {
    // It has ended already.
  }
}
