// The processes of one run: a database, both servers on it or beside it, the load generator.
import { randomBytes } from 'node:crypto'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { type Child, startChild } from './child.ts'
import { type BenchDatabase, openBenchDatabase } from './database.ts'
import type { Target } from './load/person.ts'
import type { BareOptions } from './targets/bare.ts'
import type { GatehouseOptions } from './targets/gatehouse.ts'
import { type Registered, register } from './targets/registration.ts'

export type Server = { child: Child; target: Target }

export type Bench = {
  database: BenchDatabase
  load: Child
  /** `counting`: a Gatehouse that counts its statements and is not for timing. */
  startGatehouse: (options: { counting: boolean }) => Promise<Server>
  startBare: () => Promise<Server>
  startHashing: () => Promise<Child>
  stop: () => Promise<void>
}

type BenchOptions = { people: number; inEachState?: number }

const moduleOf = (name: string) => join(import.meta.dirname, name)

/**
 * Starts the database, registers `people`, and of accounts that are disabled or have no password as many as
 * `inEachState`. `stop` ends whatever was started.
 */
export async function openBench({ people, inEachState = 0 }: BenchOptions): Promise<Bench> {
  const endings: (() => Promise<void>)[] = []
  let stopping: Promise<void> | null = null
  const end = async () => {
    for (const ending of endings.splice(0).reverse()) await ending().catch(() => {})
  }
  const stop = () => {
    stopping ??= end()
    return stopping
  }
  // Ctrl-C or a closed pipe would leave PostgreSQL behind.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGPIPE'] as const)
    process.once(signal, () => void stop().finally(() => process.exit(1)))
  try {
    const database = await openBenchDatabase()
    endings.push(database.stop)
    const encryptionKey = randomBytes(32).toString('base64')
    const registered = await register({ databaseUrl: database.url, encryptionKey, people, inEachState })
    const start = async (module: string, options: object = {}) => {
      const child = await startChild(moduleOf(module), options)
      endings.push(child.stop)
      return child
    }
    return {
      database,
      load: await start('load/process.ts'),
      startHashing: () => start('targets/hashing.ts'),
      startBare: () => startBare(start, registered),
      startGatehouse: async ({ counting }) => {
        const port = await freePort()
        const options: GatehouseOptions = { port, databaseUrl: database.url, encryptionKey, counting }
        const name = counting ? 'counting' : 'gatehouse'
        const child = await start('targets/gatehouse.ts', options)
        return { child, target: { ...registered.target, name, origin: `http://127.0.0.1:${port}` } }
      },
      stop
    }
  } catch (error) {
    await stop()
    throw error
  }
}

async function startBare(
  start: (module: string, options: object) => Promise<Child>,
  { target, jwks }: Registered
): Promise<Server> {
  const port = await freePort()
  const options: BareOptions = { port, target, jwks }
  const child = await start('targets/bare.ts', options)
  return { child, target: { ...target, name: 'bare', origin: `http://127.0.0.1:${port}` } }
}

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}
