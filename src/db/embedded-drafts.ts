// Directories that exist whole or not at all: built aside, then renamed.
import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync
} from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { createToken } from '../lib/tokens.ts'
import { isAlive } from './embedded-process.ts'

/**
 * Builds the directory `target` unless it is there. `build` fills a draft beside it; a kill -9 half-way leaves only
 * a draft, which the next call removes. Of two processes at once one places its draft, the other drops its own.
 */
export async function placeDirectory(
  target: string,
  build: (draft: string) => Promise<void> | void
): Promise<void> {
  mkdirSync(dirname(target), { recursive: true })
  removeAbandoned(target)
  if (existsSync(target)) return
  const draft = `${target}.draft-${process.pid}-${createToken().slice(0, 6)}`
  mkdirSync(draft, { mode: 0o700 })
  try {
    await build(draft)
    renameSync(draft, target)
  } catch (error) {
    rmSync(draft, { recursive: true, force: true })
    if (!existsSync(target)) throw error
  }
  syncDirectory(dirname(target))
}

function removeAbandoned(target: string): void {
  for (const entry of readdirSync(dirname(target))) {
    const [, pid] = entry.startsWith(`${basename(target)}.draft-`) ? (/-(\d+)-[^-]*/.exec(entry) ?? []) : []
    if (pid === undefined || isAlive(Number(pid))) continue
    try {
      rmSync(join(dirname(target), entry), { recursive: true, force: true, maxRetries: 3 })
    } catch {
      // The child of a killed process may still be writing in it: the next start tries again.
    }
  }
}

/** A rename is durable only once its directory is. Windows has no such call. */
function syncDirectory(path: string): void {
  if (process.platform === 'win32') return
  const directory = openSync(path, 'r')
  fsyncSync(directory)
  closeSync(directory)
}
