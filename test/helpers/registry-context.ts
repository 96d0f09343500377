// A context for use cases that need no server: settings as at a first start, a clock that the test moves.
import { randomBytes } from 'node:crypto'
import { createTerminalLog } from '../../src/commands/command.ts'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import type { Context } from '../../src/context.ts'
import type { Pool } from '../../src/db/connect.ts'

export type TestContext = Context & { sql: Pool; pass: (seconds: number) => void }

export function createContext(
  sql: Pool,
  settings: Record<string, string> = {},
  startedAt = new Date('2026-11-21T12:00:00Z')
): TestContext {
  let now = startedAt.getTime()
  return {
    sql,
    now: () => new Date(now),
    pass: seconds => {
      now += seconds * 1000
    },
    log: createTerminalLog(() => {}),
    config: createConfig(settings),
    enqueue: async () => {
      throw new Error('nothing here puts jobs in the queue')
    }
  }
}

export function createConfig(settings: Record<string, string> = {}): Config {
  const outcome = loadConfig(
    { ENCRYPTION_KEY: randomBytes(32).toString('base64'), ...settings },
    { writeSecrets: false }
  )
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults))
  return outcome.config
}
