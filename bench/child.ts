// Processes of the benchmark, and questions to them: each server and the load generator run on their own.
import { type ChildProcess, fork } from 'node:child_process'

type Question = { id: number; name: string; value: unknown }
type Reply = { id: number; value?: unknown; error?: string }

export type Child = { ask: <T>(name: string, value?: unknown) => Promise<T>; stop: () => Promise<void> }

/** Starts a module as a process of its own; resolves when it answers. */
export async function startChild(module: string, options: object = {}): Promise<Child> {
  const child: ChildProcess = fork(module, [JSON.stringify(options)], {
    stdio: 'inherit',
    // As `npm start` does.
    execArgv: ['--import', new URL('../src/compile-cache.mjs', import.meta.url).href]
  })
  const waiting = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>()
  let next = 0
  const exited = new Promise<void>(resolve => child.once('exit', () => resolve()))
  void exited.then(() => {
    for (const { reject } of waiting.values()) reject(new Error(`${module} ended`))
  })
  child.on('message', ({ id, value, error }: Reply) => {
    const question = waiting.get(id)
    waiting.delete(id)
    if (error === undefined) question?.resolve(value as never)
    else question?.reject(new Error(error))
  })
  const ask = <T>(name: string, value?: unknown) =>
    new Promise<T>((resolve, reject) => {
      waiting.set(next, { resolve, reject })
      child.send({ id: next++, name, value } satisfies Question)
    })
  const stop = async () => {
    if (child.connected) child.disconnect()
    await exited
  }
  try {
    await ask('ready')
  } catch (error) {
    await stop()
    throw error
  }
  return { ask, stop }
}

/** What this process was started with. */
export const startOptions = <T>(): T => JSON.parse(process.argv[2] ?? '{}') as T

/** Answers the parent's questions by name. The process ends with its parent, after `end`. */
export function answerParent(
  answers: Record<string, (value: never) => unknown>,
  end: () => Promise<void> = async () => {}
): void {
  const all: typeof answers = { ready: () => true, ...answers }
  process.on('message', async ({ id, name, value }: Question) => {
    try {
      const answer = all[name]
      if (answer === undefined) throw new Error(`nobody answers ${name} here`)
      process.send?.({ id, value: await answer(value as never) } satisfies Reply)
    } catch (error) {
      process.send?.({ id, error: String((error as Error).stack) } satisfies Reply)
    }
  })
  process.on('SIGINT', () => {})
  process.once('disconnect', () => void end().finally(() => process.exit()))
}
