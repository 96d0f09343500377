// The service as an operator starts it: a process of its own, its output, its end.
import { type ChildProcess, spawn } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'

const main = resolve(import.meta.dirname, '../../src/main.ts')
type Teardown = { teardown: (work: () => unknown) => void }

export type Run = {
  child: ChildProcess
  /** Standard output and standard error, so far. */
  output: () => string
  /** The exit code; null when a signal ended it. */
  exit: Promise<number | null>
  /** Resolves when the output matches; rejects when the process ends before. */
  says: (pattern: RegExp) => Promise<void>
}

/** Two neighbouring ports that are free: the second is the demo application's. */
export async function freePorts(): Promise<number> {
  for (;;) {
    const port = 20_000 + Math.floor(Math.random() * 12_000) * 2
    if ((await isFree(port)) && (await isFree(port + 1))) return port
  }
}

export async function isFree(port: number): Promise<boolean> {
  const server = createServer()
  return await new Promise(done => {
    server.on('error', () => done(false))
    server.listen(port, 'localhost', () => server.close(() => done(true)))
  })
}

/** A directory for DATA_DIR that goes when the test ends; an embedded database's own user can enter it. */
export function dataDirectory(t: Teardown): string {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-start-'))
  chmodSync(directory, 0o755)
  t.teardown(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

// A test that is killed has no teardown: then the line to it breaks, and the service ends itself.
const endWithTest = `process.on('disconnect', () => process.kill(process.pid, 'SIGTERM')); process.channel?.unref();`

/** Starts `node src/main.ts` with these settings and no others; killed when the test ends. `preload` is run before it. */
export function run(t: Teardown, settings: Record<string, string>, { preload = '' } = {}): Run {
  const script = `data:text/javascript,${encodeURIComponent(endWithTest + preload)}`
  const child = spawn(process.execPath, ['--import', script, main], {
    env: { PATH: process.env.PATH, HOME: process.env.HOME, TMPDIR: tmpdir(), ...settings },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc']
  })
  let output = ''
  const waiting = new Set<() => void>()
  const take = (chunk: Buffer) => {
    output += chunk.toString()
    for (const check of waiting) check()
  }
  child.stdout?.on('data', take)
  child.stderr?.on('data', take)
  const exit = new Promise<number | null>(done => child.on('close', code => done(code)))
  t.teardown(async () => {
    child.kill('SIGKILL')
    await exit
  })
  const says = async (pattern: RegExp) =>
    await new Promise<void>((done, fail) => {
      const check = () => {
        if (!pattern.test(output)) return
        waiting.delete(check)
        done()
      }
      waiting.add(check)
      void exit.then(code => fail(new Error(`ended with ${code} before it said ${pattern}:\n${output}`)))
      check()
    })
  return { child, output: () => output, exit, says }
}
