// Reaches the installation's database for a command: the one that DATABASE_URL names, else the embedded one, which is
// shared with a service that is running or started for the while.
import { join } from 'node:path'
import { createAuditPartitions } from '../audit/service.ts'
import { loadConfig } from '../config/load.ts'
import type { Config } from '../config/schema.ts'
import type { Context } from '../context.ts'
import { connect, type Pool } from '../db/connect.ts'
import { startEmbedded } from '../db/embedded.ts'
import { listPendingMigrations, migrate } from '../db/migrate.ts'
import { migrateJobs, startJobs } from '../jobs/service.ts'
import { CommandFailure, createTerminalLog, settingsFailure, type Terminal } from './command.ts'

/** Reads the settings; all their faults at once end the command. */
export function readConfig(terminal: Terminal, { writeSecrets = true } = {}): Config {
  const loaded = loadConfig(terminal.environment, { writeSecrets })
  if (!loaded.ok) throw settingsFailure(loaded.faults)
  return loaded.config
}

export type OpenDatabase = { url: string; stop: () => Promise<void> }

/** The database of these settings. `stop` ends the embedded one, unless another process uses it. */
export async function openDatabase(
  { databaseUrl, dataDir }: Pick<Config, 'databaseUrl' | 'dataDir'>,
  log: Context['log']
): Promise<OpenDatabase> {
  if (databaseUrl !== null) return { url: databaseUrl, stop: async () => {} }
  return await startEmbedded({ directory: join(dataDir, 'postgres'), log })
}

/**
 * Brings the database up to this release: the schema, the job queue's own, the audit trail's next months. Returns the
 * names of the migrations that were applied. Safe to run twice, and by two processes at once.
 */
export async function prepareDatabase(
  url: string,
  { log, now }: Pick<Context, 'log' | 'now'>
): Promise<{ applied: string[] }> {
  const { applied } = await migrate(url, { log, now })
  const pool = connect({ url, poolSize: 2 })
  try {
    await migrateJobs(pool)
    await createAuditPartitions({ sql: pool, now })
  } finally {
    await pool.end({ timeout: 5 })
  }
  return { applied }
}

/**
 * Runs a use case of the operator's. Without DATABASE_URL the embedded database is prepared first, as a start of the
 * service does; one that DATABASE_URL names must be up to date (`gatehouse migrate`).
 */
export async function withContext<T>(terminal: Terminal, work: (ctx: Context) => Promise<T>): Promise<T> {
  const config = readConfig(terminal)
  const log = createTerminalLog(terminal.writeErrorLine)
  const { url, stop } = await openDatabase(config, log)
  try {
    if (config.databaseUrl === null) await prepareDatabase(url, { log, now: terminal.now })
    const pool = connect({ url, poolSize: 2, applicationName: 'gatehouse command' })
    try {
      await checkSchema(pool)
      const jobs = await startJobs(pool, log)
      try {
        return await work({ sql: pool, now: terminal.now, log, config, enqueue: jobs.enqueue })
      } finally {
        await jobs.stop()
      }
    } finally {
      await pool.end({ timeout: 5 })
    }
  } finally {
    await stop()
  }
}

async function checkSchema(pool: Pool): Promise<void> {
  const pending = await listPendingMigrations(pool)
  if (pending.length > 0)
    throw new CommandFailure([
      `The database lacks ${pending.length} migration${pending.length === 1 ? '' : 's'}: run \`gatehouse migrate\` first.`
    ])
}
