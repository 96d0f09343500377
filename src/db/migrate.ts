// Brings the schema up to date: the files of migrations/, in the order of their names, forward only.
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Pool, PostgresError, type Sql } from './connect.ts'

const shippedDirectory = resolve(import.meta.dirname, '../../migrations')

export type Migration = { name: string; text: string; checksum: string }

export type MigrateOptions = {
  log: { info(facts: object, message: string): void }
  now?: () => Date
  /** Where the files are; tests have their own. */
  directory?: string
}

/** The advisory lock that makes processes migrate one after another; its number is spelled out of "migr". */
const migrating = 0x6d696772
/** How long a statement may wait for a lock, and keep everybody behind it waiting, before it steps back. */
const lockTimeoutMs = 2000
/** About two minutes of trying between other people's transactions. */
const attempts = 40

/**
 * Applies what is missing and records it in `schema_migrations`. Of several processes at once one does the work and
 * the others wait. Each file is one transaction: it fails whole, and those before it stay.
 *
 * Throws, having changed nothing, when an applied file was changed since or the database knows files that this
 * release does not: it is newer. The URL must reach PostgreSQL itself: behind a pooler in transaction mode the lock means nothing.
 */
export async function migrate(url: string, options: MigrateOptions): Promise<{ applied: string[] }> {
  const migrations = readMigrations(options.directory)
  let lost = false
  const onClose = () => {
    lost = true
  }
  const sql = connect({
    url,
    poolSize: 1,
    applicationName: 'gatehouse migrate',
    maxLifetimeSeconds: null,
    onClose
  })
  const applied: string[] = []
  try {
    await sql`set statement_timeout = 0`
    await lockSession(sql)
    await sql`
      create table if not exists schema_migrations (
        name text primary key,
        checksum text not null,
        applied_at timestamptz not null
      )
    `
    for (const migration of selectPending(migrations, await listApplied(sql))) {
      // postgres.js would go on over a new connection, which does not hold the lock.
      if (lost) throw new Error('The connection was lost between two migrations: start again')
      options.log.info({ migration: migration.name }, 'applying migration')
      await applyPatiently(sql, migration, options.now?.() ?? null)
      applied.push(migration.name)
    }
    return { applied }
  } finally {
    await sql.end({ timeout: 5 })
  }
}

/**
 * The names of the files that `migrate` would apply now. Throws, as it does, on a changed file or a newer database.
 */
export async function listPendingMigrations(sql: Sql, directory = shippedDirectory): Promise<string[]> {
  const [row] = await sql<{ found: boolean }[]>`select to_regclass('schema_migrations') is not null as found`
  const applied = row?.found === true ? await listApplied(sql) : []
  return selectPending(readMigrations(directory), applied).map(({ name }) => name)
}

/** Every migration of this release, in its order. Throws on a file that is not named like one. */
export function readMigrations(directory = shippedDirectory): Migration[] {
  const names = readdirSync(directory)
    .filter(name => name.endsWith('.sql'))
    .sort()
  return names.map(name => {
    if (!/^\d{12}_[a-z0-9]+(_[a-z0-9]+)+\.sql$/.test(name))
      throw new Error(`migrations/${name} must be named like 202601311200_create_accounts.sql`)
    // A checkout on Windows may have other line ends; that is no change.
    const text = readFileSync(join(directory, name), 'utf8').replaceAll('\r\n', '\n')
    return { name, text, checksum: createHash('sha256').update(text).digest('hex') }
  })
}

type Applied = Pick<Migration, 'name' | 'checksum'>

async function listApplied(sql: Sql): Promise<Applied[]> {
  return await sql<Applied[]>`select name, checksum from schema_migrations order by name`
}

function selectPending(migrations: Migration[], applied: Applied[]): Migration[] {
  const known = new Map(migrations.map(migration => [migration.name, migration.checksum]))
  const foreign = applied.filter(({ name }) => !known.has(name)).map(({ name }) => name)
  if (foreign.length > 0)
    throw new Error(
      `The database is newer than this release of Gatehouse: it has ${foreign.join(', ')}. Start the release that made it, or a later one`
    )
  const changed = applied.filter(({ name, checksum }) => known.get(name) !== checksum).map(({ name }) => name)
  if (changed.length > 0)
    throw new Error(
      `Applied migrations were changed since: ${changed.join(', ')}. Restore the files, and put the change in a new one`
    )
  const done = new Set(applied.map(({ name }) => name))
  return migrations.filter(({ name }) => !done.has(name))
}

/**
 * Takes the lock by asking again and again. A session that waits inside `pg_advisory_lock` holds a snapshot, and
 * another's `create index concurrently` waits for all snapshots: the two would wait for each other.
 */
async function lockSession(sql: Pool): Promise<void> {
  for (;;) {
    const [row] = await sql<{ locked: boolean }[]>`select pg_try_advisory_lock(${migrating}) as locked`
    if (row?.locked === true) return
    await sleep(100)
  }
}

async function applyPatiently(sql: Pool, migration: Migration, at: Date | null): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      await (/^-- no-transaction$/m.test(migration.text) ? applyBare : applyWhole)(sql, migration, at)
      return
    } catch (cause) {
      const waited = cause instanceof PostgresError && cause.code === '55P03'
      if (waited && attempt < attempts) {
        await sleep(Math.min(attempt * 50, 1000))
        continue
      }
      const reason = waited
        ? `${attempts} times a lock was not free within ${lockTimeoutMs / 1000} s; end the long transactions and start again`
        : (cause as Error).message
      throw new Error(`Migration ${migration.name} failed: ${reason}`, { cause })
    }
  }
}

async function applyWhole(sql: Pool, migration: Migration, at: Date | null): Promise<void> {
  await sql.begin(async tx => {
    await tx.unsafe(`set local lock_timeout = ${lockTimeoutMs}`)
    await tx.unsafe(migration.text)
    await record(tx as unknown as Sql, migration, at)
  })
}

/**
 * For `create index concurrently` and its like: each statement by itself, waiting for locks as long as need be, since
 * it keeps nobody waiting. Such a file is run again when it failed half-way, so it starts with `drop index … if exists`.
 */
async function applyBare(sql: Pool, migration: Migration, at: Date | null): Promise<void> {
  const statements = migration.text.split(/;[ \t]*$/m).filter(statement => /^\s*[^-\s]/m.test(statement))
  for (const statement of statements) await sql.unsafe(statement)
  await record(sql, migration, at)
}

async function record(sql: Sql, { name, checksum }: Migration, at: Date | null): Promise<void> {
  await sql`
    insert into schema_migrations (name, checksum, applied_at)
    values (${name}, ${checksum}, coalesce(${at}::timestamptz, now()))
  `
}
