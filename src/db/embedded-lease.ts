// Who uses an embedded server: every process holds a shared advisory lock in it, and the last one out stops it.
import { setTimeout as sleep } from 'node:timers/promises'
import { connect, type Pool, PostgresError } from './connect.ts'
import type { Postmaster } from './embedded-postmaster.ts'

export type Lease = {
  /** The supervisor's own connection, as superuser. */
  sql: Pool
  postmaster: Postmaster
  /** Settles when the connection is lost, by a crash of the server for one; or when `end` closes it. */
  lost: Promise<void>
  /**
   * Gives the use up. True when nobody else has any, and nobody can have until `end`: the server is ours to stop.
   * Throws when the connection was lost, and the lock with it: nothing is known then.
   */
  release(): Promise<boolean>
  end(): Promise<void>
}

/** The advisory lock that stands for "in use"; its number is spelled out of "gate". */
const inUse = 0x67617465

/**
 * Takes a share in the server's use; null when it does not answer now (it starts, stops, or is gone): ask again.
 *
 * A lock of a session dies with its process, however that ends, so a kill -9 leaves no share behind. A server about
 * to be stopped has the lock taken exclusively: a newcomer waits for it, is cut off by the stop, and starts its own.
 */
export async function openLease(postmaster: Postmaster, password: string): Promise<Lease | null> {
  const { promise: lost, resolve: tellLost } = Promise.withResolvers<void>()
  let isLost = false
  const onClose = () => {
    isLost = true
    tellLost()
  }
  const url = urlOf(postmaster, { user: 'postgres', password, database: 'postgres' })
  const sql = connect({
    url,
    poolSize: 1,
    applicationName: 'gatehouse supervisor',
    maxLifetimeSeconds: null,
    onClose
  })
  const end = () => sql.end({ timeout: 1 })
  try {
    await sql`select pg_advisory_lock_shared(${inUse})`
  } catch (error) {
    await sql.end({ timeout: 0 })
    if (isPassing(error)) return null
    throw new Error(`The embedded database refuses our own password: ${(error as Error).message}`, {
      cause: error
    })
  }
  const release = async () => {
    if (isLost) throw new Error('the connection to the embedded database was lost')
    // First our share, then the whole: of two that leave at once, the second gets it.
    await sql`select pg_advisory_unlock_shared(${inUse})`
    const [row] = await sql<{ last: boolean }[]>`select pg_try_advisory_lock(${inUse}) as last`
    return row?.last === true
  }
  return { sql, postmaster, lost, release, end }
}

/** Anything but a wrong password or user passes: 57P03 while it starts or stops, 57P01, no socket yet, 53300. */
function isPassing(error: unknown): boolean {
  return !(error instanceof PostgresError && error.code.startsWith('28'))
}

/** The user that the service works as: owner of its database, no superuser. */
const role = 'gatehouse'

/** Where the service's database is reached. */
export function serviceUrl(postmaster: Postmaster, password: string): string {
  return urlOf(postmaster, { user: role, password, database: role })
}

type Login = { user: string; password: string; database: string }

function urlOf({ port, socketDirectory }: Postmaster, { user, password, database }: Login): string {
  return socketDirectory === null
    ? `postgres://${user}:${password}@127.0.0.1:${port}/${database}`
    : `postgres://${user}:${password}@localhost:${port}/${database}?host=${encodeURIComponent(socketDirectory)}`
}

/**
 * Makes the service's role and database where they are missing. The role may create databases, as the tests do, but
 * neither read the machine's files nor run programs: that is a superuser's.
 */
export async function ensureDatabase(sql: Pool, password: string): Promise<void> {
  const [found] = await sql`select 1 from pg_database where datname = ${role}`
  if (found !== undefined) return
  try {
    const [known] = await sql`select 1 from pg_roles where rolname = ${role}`
    if (known === undefined) await sql.unsafe(`create role ${role} login createdb password '${password}'`)
    await sql.unsafe(`create database ${role} owner ${role}`)
  } catch (error) {
    // Another process makes them at the same time: unique_violation, duplicate_object, duplicate_database.
    const { code } = error as PostgresError
    if (!['23505', '42710', '42P04'].includes(code)) throw error
    await sleep(50)
    await ensureDatabase(sql, password)
  }
}
