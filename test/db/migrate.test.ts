// Migrations run once, whole or not at all, and refuse a history that is not theirs.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { listPendingMigrations, migrate, readMigrations } from '../../src/db/migrate.ts'
import { createDatabase, createEmptyDatabase } from '../helpers/database.ts'

type Test = Parameters<typeof createEmptyDatabase>[0]
type Files = Record<string, string>
const log = { info: () => {} }

/** A directory of migrations that `write` adds to. */
function makeMigrations(t: Test, files: Files) {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-migrations-'))
  t.teardown(async () => rmSync(directory, { recursive: true }))
  const write = (files: Files) => {
    for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text)
  }
  write(files)
  return { directory, write, remove: (name: string) => rmSync(join(directory, name)) }
}

const first = { '202601010000_create_doors.sql': 'create table doors (id int primary key);\n' }
const second = {
  '202601020000_add_keys.sql': 'create table keys (id int);\nalter table doors add key int;\n'
}

t.test('the shipped migrations apply to an empty database, and then nothing is pending', async t => {
  const { url, sql } = await createEmptyDatabase(t)
  const names = readMigrations().map(({ name }) => name)
  t.ok(names.length > 0)
  t.strictSame(await listPendingMigrations(sql), names)
  t.strictSame(await migrate(url, { log }), { applied: names })
  t.strictSame(await listPendingMigrations(sql), [])
  t.strictSame(await migrate(url, { log }), { applied: [] })
})

t.test("the tests' own databases are migrated ones", async t => {
  const { sql } = await createDatabase(t)
  t.strictSame(await listPendingMigrations(sql), [])
})

t.test('of processes that migrate at once, one does it and the others find it done', async t => {
  const { url, sql } = await createEmptyDatabase(t)
  const slow = { '202601010000_create_doors.sql': 'select pg_sleep(0.2); create table doors (id int);' }
  const { directory } = makeMigrations(t, { ...slow, ...second })
  const outcomes = await Promise.all([1, 2, 3].map(() => migrate(url, { log, directory })))
  t.strictSame(outcomes.map(({ applied }) => applied.length).sort(), [0, 0, 2])
  t.equal((await sql`select from schema_migrations`).length, 2)
})

t.test('what was applied is recorded with the time that is given', async t => {
  const { url, sql } = await createEmptyDatabase(t)
  const { directory, write } = makeMigrations(t, first)
  const at = new Date('2026-05-06T07:08:09Z')
  await migrate(url, { log, directory, now: () => at })
  write(second)
  t.strictSame(await listPendingMigrations(sql, directory), Object.keys(second))
  await migrate(url, { log, directory, now: () => at })
  const rows = await sql`select name, applied_at from schema_migrations order by name`
  t.strictSame(
    [...rows],
    Object.keys({ ...first, ...second }).map(name => ({ name, appliedAt: at }))
  )
})

t.test('a changed file is refused, and nothing after it applied', async t => {
  const { url, sql } = await createEmptyDatabase(t)
  const { directory, write } = makeMigrations(t, first)
  await migrate(url, { log, directory })

  write({ '202601010000_create_doors.sql': 'create table doors (id int primary key);\r\n' })
  t.strictSame(await migrate(url, { log, directory }), { applied: [] }, 'other line ends are no change')

  write({ '202601010000_create_doors.sql': 'create table doors (id bigint primary key);\n', ...second })
  await t.rejects(migrate(url, { log, directory }), {
    message:
      'Applied migrations were changed since: 202601010000_create_doors.sql. Restore the files, and put the change in a new one'
  })
  await t.rejects(listPendingMigrations(sql, directory), /were changed since/)
  t.strictSame([...(await sql`select to_regclass('keys') as found`)], [{ found: null }])
})

t.test('a database newer than the release is refused', async t => {
  const { url, sql } = await createEmptyDatabase(t)
  const { directory, remove } = makeMigrations(t, { ...first, ...second })
  await migrate(url, { log, directory })
  remove('202601020000_add_keys.sql')
  await t.rejects(migrate(url, { log, directory }), {
    message: /^The database is newer than this release of Gatehouse: it has 202601020000_add_keys\.sql\./
  })
  await t.rejects(listPendingMigrations(sql, directory), /is newer than this release/)
})

t.test('a migration that fails leaves nothing of itself, and those before it stay', async t => {
  const { url, sql } = await createEmptyDatabase(t)
  const { directory, write } = makeMigrations(t, {
    ...first,
    '202601020000_add_keys.sql': 'create table keys (id int);\nalter table windows add key int;\n'
  })
  await t.rejects(migrate(url, { log, directory }), {
    message: 'Migration 202601020000_add_keys.sql failed: relation "windows" does not exist'
  })
  const [row] =
    await sql`select to_regclass('doors') is not null as doors, to_regclass('keys') is not null as keys`
  t.strictSame(row, { doors: true, keys: false })

  write(second)
  t.strictSame(await migrate(url, { log, directory }), { applied: Object.keys(second) })
})

t.test(
  'a statement steps back from a lock that others hold, so that nobody queues behind it for long',
  async t => {
    const { url, sql } = await createEmptyDatabase(t)
    const { directory, write } = makeMigrations(t, first)
    await migrate(url, { log, directory })
    write(second)

    let done = false
    const holding = sql.begin(async tx => {
      await tx`select * from doors`
      await sleep(4000)
      done = true
    })
    await sleep(50)
    const migrated = migrate(url, { log, directory })
    await sleep(100)
    // A reader queues behind the waiting ALTER, until that gives up its place for a moment.
    const before = performance.now()
    await sql`select * from doors`
    t.ok(performance.now() - before < 3000)
    t.strictSame(await migrated, { applied: Object.keys(second) })
    t.ok(done, 'it went through once the lock was free')
    await holding
  }
)

t.test('an index can be made concurrently, statement by statement', async t => {
  const { url, sql } = await createEmptyDatabase(t)
  const { directory } = makeMigrations(t, {
    ...first,
    '202601030000_index_doors.sql':
      '-- Why: a look-up by id.\n-- no-transaction\ndrop index concurrently if exists doors_id_idx;\ncreate index concurrently doors_id_idx on doors (id);\n'
  })
  // Two at once: the one that waits must not hold a snapshot that the index waits for.
  await Promise.all([migrate(url, { log, directory }), migrate(url, { log, directory })])
  t.equal(
    (await sql`select from pg_index where indexrelid = 'doors_id_idx'::regclass and indisvalid`).length,
    1
  )
  t.equal((await sql`select from schema_migrations`).length, 2)
})

t.test('a file that is not named like a migration is refused', async t => {
  const { directory } = makeMigrations(t, { 'add-doors.sql': '' })
  t.throws(() => readMigrations(directory), /migrations\/add-doors\.sql must be named like/)
})
