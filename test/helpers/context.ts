// A real Context on a real database, with a clock that moves when told and a record of the statements sent.
import { randomBytes } from 'node:crypto'
import fastify from 'fastify'
import { type Environment, loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Context } from '../../src/context.ts'
import { connect, type Pool } from '../../src/db/connect.ts'
import { type Jobs, startJobs } from '../../src/jobs/service.ts'
import { createDatabase } from './database.ts'

export type Clock = { now: () => Date; advance: (ms: number) => void }

export type TestContext = Context & {
  sql: Pool
  pool: Pool
  url: string
  clock: Clock
  jobs: Jobs
  /** Every statement that this context's pool sends, but for BEGIN and COMMIT. Cut it with `length = 0`. */
  statements: string[]
}

type Teardown = { teardown: (work: () => unknown) => void }

/** A clock that starts now and moves only by `advance`. */
export function createClock(): Clock {
  let time = Date.now()
  return {
    now: () => new Date(time),
    advance: ms => {
      time += ms
    }
  }
}

/** Settings of a development installation, with hashes that take a millisecond. */
export function createConfig(environment: Environment = {}): Config {
  const loaded = loadConfig(
    {
      ISSUER: 'http://localhost:3000',
      ENCRYPTION_KEY: randomBytes(32).toString('base64'),
      ARGON2_MEMORY_KIB: '7168',
      ARGON2_ITERATIONS: '1',
      ...environment
    },
    { writeSecrets: false }
  )
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.faults))
  return loaded.config
}

/**
 * A Context on a database of its own. `environment` is settings by name. Jobs are queued but not worked unless the
 * test calls `ctx.jobs.work`.
 */
export async function createContext(
  t: Teardown,
  { environment = {}, request }: { environment?: Environment; request?: Context['request'] } = {}
): Promise<TestContext> {
  const { url } = await createDatabase(t)
  const statements: string[] = []
  const pool = connect({
    url,
    poolSize: 10,
    onStatement: statement => {
      if (!/^\s*(begin|commit)\b/i.test(statement)) statements.push(statement)
    }
  })
  const log = fastify({ logger: false }).log
  const jobs = await startJobs(pool, log)
  const clock = createClock()
  // Opens a connection and reads the types that the driver wants to know, so that no test counts that.
  await pool`select array['x']::text[]`
  statements.length = 0
  t.teardown(async () => {
    await jobs.stop()
    await pool.end({ timeout: 2 })
  })
  return {
    sql: pool,
    pool,
    url,
    now: clock.now,
    clock,
    log,
    config: createConfig(environment),
    enqueue: jobs.enqueue,
    jobs,
    statements,
    ...(request === undefined ? {} : { request })
  }
}
