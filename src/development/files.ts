// The files in DATA_DIR by which tools on this machine learn what a development installation made up.
import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

/** What an earlier start wrote; null when the file is missing or no JSON. */
export function readSecrets(path: string): unknown {
  try {
    return JSON.parse(readFileSync(path, 'utf8'))
  } catch {
    return null
  }
}

/** Replaces a file at once, readable by its owner alone: a reader sees the old text or the new one. */
export function writeSecrets(path: string, value: object): void {
  mkdirSync(dirname(path), { recursive: true })
  const draft = `${path}.${process.pid}`
  writeFileSync(draft, `${JSON.stringify(value, null, 2)}\n`, { mode: 0o600 })
  renameSync(draft, path)
}
