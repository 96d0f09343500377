// A database of its own for a test, cloned from a migrated template, on the server of the test run.
import { createHash, randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { prepareDatabase } from '../../src/commands/database.ts'
import { connect, type Pool } from '../../src/db/connect.ts'
import { readMigrations } from '../../src/db/migrate.ts'
import { createLog } from '../../src/http/log.ts'
import { queues } from '../../src/jobs/model.ts'
import { findServer } from './database-server.ts'

/** What a tap test offers that is needed here. */
type Test = { teardown(work: () => Promise<void>): void }
export type Database = { url: string; sql: Pool }
type DatabaseOptions = { poolSize?: number; onStatement?: (statement: string) => void }

/** The template is made anew whenever a start of this release would prepare a database differently. */
const silent = createLog('silent')
const require = createRequire(import.meta.url)
const version = [
  ...readMigrations().map(({ checksum }) => checksum),
  (require('pg-boss/package.json') as { version: string }).version,
  JSON.stringify(queues),
  new Date().toISOString().slice(0, 7)
].join()

/** A database with the whole schema and no rows, and a pool on it. Both go when the test ends. */
export async function createDatabase(t: Test, options: DatabaseOptions = {}): Promise<Database> {
  const server = await findServer()
  return await createFrom(t, await ensureTemplate(server), options)
}

/** A database with nothing in it. */
export async function createEmptyDatabase(t: Test, options: DatabaseOptions = {}): Promise<Database> {
  return await createFrom(t, 'template1', options)
}

/** Copying files is four times as fast (7 ms) where checkpoints cost nothing, as on our own server without fsync. */
const cloneStrategy = process.env.TEST_DATABASE_URL ? 'wal_log' : 'file_copy'

async function createFrom(
  t: Test,
  template: string,
  { poolSize = 4, onStatement }: DatabaseOptions
): Promise<Database> {
  const server = await findServer()
  const name = `gatehouse_test_${randomBytes(6).toString('hex')}`
  await asAdministrator(server, async sql => {
    await sql.unsafe(`create database ${name} template ${template} strategy ${cloneStrategy}`)
  })
  const url = onDatabase(server, name)
  const sql = connect({ url, poolSize, ...(onStatement === undefined ? {} : { onStatement }) })
  t.teardown(async () => {
    await sql.end({ timeout: 1 })
    await asAdministrator(server, async sql => {
      await dropDatabase(sql, name)
    })
  })
  return { url, sql }
}

/** The template's name. Of several processes at once one makes it; one killed half-way leaves only a draft. */
async function ensureTemplate(server: string): Promise<string> {
  const name = `gatehouse_template_${createHash('sha256').update(version).digest('hex').slice(0, 12)}`
  const draft = `${name}_draft`
  await asAdministrator(server, async sql => {
    const exists = async () => (await sql`select 1 from pg_database where datname = ${name}`).length > 0
    if (await exists()) return
    await sql`select pg_advisory_lock(hashtext(${name}))`
    if (await exists()) return
    await dropDatabase(sql, draft)
    await sql.unsafe(`create database ${draft}`)
    await prepareDatabase(onDatabase(server, draft), { log: silent, now: () => new Date() })
    await sql.unsafe(`alter database ${draft} allow_connections false`)
    await sql.unsafe(`alter database ${draft} rename to ${name}`)
  })
  return name
}

/**
 * Without FORCE, which fails where autovacuum happens to be at work there: PostgreSQL lets superusers alone end that. A
 * plain drop asks it to stop, and waits for it.
 */
async function dropDatabase(sql: Pool, name: string): Promise<void> {
  await sql`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name} and usename = current_user`
  await sql.unsafe(`drop database if exists ${name}`)
}

async function asAdministrator(server: string, work: (sql: Pool) => Promise<void>): Promise<void> {
  const sql = connect({ url: server, poolSize: 1, applicationName: 'gatehouse tests' })
  try {
    await work(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

function onDatabase(server: string, name: string): string {
  const url = new URL(server)
  url.pathname = `/${name}`
  return url.href
}
