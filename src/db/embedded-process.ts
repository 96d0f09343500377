// What the operating system says of processes: which are alive, which are PostgreSQL's, and how to end those.
import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'

/** Whether a process of this number exists, whoever it belongs to. */
export function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** Whether `pid` is a live server that was started on this data directory. */
export function isPostmaster(pid: number, dataDirectory: string): boolean {
  if (!Number.isInteger(pid) || pid <= 0 || !isAlive(pid)) return false
  if (process.platform === 'win32') return true
  const { state, command } = process.platform === 'linux' ? readProcess(pid) : askPs(pid)
  return state !== 'Z' && state !== 'X' && command.includes(`postgres -D ${dataDirectory} `)
}

type ProcessFacts = { state: string; parent: number; command: string }

const nobody: ProcessFacts = { state: 'X', parent: 0, command: '' }

function readProcess(pid: number | string): ProcessFacts {
  try {
    // "pid (name) state parent …", where the name may hold anything.
    const [state = '', parent] = readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ')
    return { state, parent: Number(parent), command }
  } catch {
    return nobody
  }
}

function askPs(pid: number): ProcessFacts {
  try {
    const line = execFileSync('ps', ['-ww', '-o', 'stat=,ppid=,command=', '-p', String(pid)], {
      encoding: 'utf8'
    })
    const [, state = '', parent, command = ''] = /^\s*(\S)\S*\s+(\d+)\s+(.*)$/.exec(line.trimEnd()) ?? []
    return { state, parent: Number(parent), command: `${command} ` }
  } catch {
    return nobody
  }
}

/**
 * Ends the processes that a killed server left at work: until they are gone no new one can start. Their state is on
 * disk as far as it was acknowledged. Linux only; elsewhere they end by themselves after their statement.
 */
export function quitStragglers(dataDirectory: string): number {
  if (process.platform !== 'linux') return 0
  const stragglers = readdirSync('/proc').filter(entry => {
    if (!/^\d+$/.test(entry)) return false
    const { command, parent } = readProcess(entry)
    return (
      command.startsWith('postgres: ') &&
      directoryOf(entry) === dataDirectory &&
      !isPostmaster(parent, dataDirectory)
    )
  })
  for (const pid of stragglers) signalPostmaster(Number(pid), 'SIGQUIT', '')
  return stragglers.length
}

function directoryOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}

/** Asks a server process to end; one that is gone already is fine. */
export function signalPostmaster(pid: number, name: 'SIGINT' | 'SIGQUIT', native: string): void {
  try {
    // Windows has no signals; pg_ctl speaks PostgreSQL's substitute for them.
    if (process.platform === 'win32')
      execFileSync(join(native, 'bin', 'pg_ctl.exe'), ['kill', name.slice(3), String(pid)])
    else process.kill(pid, name)
  } catch {
    // It ended by itself.
  }
}
