// The PostgreSQL that is measured with: the one that BENCH_DATABASE_URL names, in a database made for the run, or the
// embedded one with the settings that it always has.
import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { prepareDatabase } from '../src/commands/database.ts'
import { connect } from '../src/db/connect.ts'
import { startEmbedded } from '../src/db/embedded.ts'
import { createLog } from '../src/http/log.ts'

export type BenchDatabase = { url: string; version: string; stop: () => Promise<void> }

const log = createLog('warn')

/** A migrated, empty database. It is gone after `stop`. */
export async function openBenchDatabase(): Promise<BenchDatabase> {
  const server = process.env.BENCH_DATABASE_URL
  const database = server ? await createDatabase(server) : await startOwn()
  await prepareDatabase(database.url, { log, now: () => new Date() })
  const sql = connect({ url: database.url, poolSize: 1 })
  const [row] = await sql<{ version: string }[]>`select current_setting('server_version') as version`
  await sql.end({ timeout: 1 })
  return { ...database, version: `${row?.version ?? ''}${server ? '' : ' (embedded)'}` }
}

async function startOwn(): Promise<{ url: string; stop: () => Promise<void> }> {
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-bench-'))
  // PostgreSQL may have to run as another user, who must get through.
  chmodSync(directory, 0o711)
  const embedded = await startEmbedded({ directory: join(directory, 'postgres'), log })
  return {
    url: embedded.url,
    stop: async () => {
      await embedded.stop()
      rmSync(directory, { recursive: true, force: true })
    }
  }
}

async function createDatabase(server: string): Promise<{ url: string; stop: () => Promise<void> }> {
  const name = `gatehouse_bench_${randomBytes(6).toString('hex')}`
  const url = new URL(server)
  url.pathname = `/${name}`
  await administrate(server, `create database ${name}`)
  return { url: url.href, stop: () => administrate(server, `drop database ${name} with (force)`) }
}

async function administrate(server: string, statement: string): Promise<void> {
  const sql = connect({ url: server, poolSize: 1 })
  await sql.unsafe(statement)
  await sql.end({ timeout: 1 })
}
