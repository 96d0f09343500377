// The only place that opens connections to PostgreSQL.
import postgres from 'postgres'
import { arrayOfElement, arrayTypes } from './array-types.ts'
import { guardTransactions } from './transactions.ts'

/** A pool or a transaction: what repositories run statements on. */
export type Sql = postgres.ISql<Record<string, never>>
/** A pool of connections; it can begin transactions, listen and end. */
export type Pool = postgres.Sql<Record<string, never>>

export type ConnectOptions = {
  /** postgres:// URL; over a Unix socket as postgres://user:password@localhost/database?host=/directory */
  url: string
  poolSize: number
  applicationName?: string
  /** How long a connection is kept; null for ever, which whoever holds a session's lock needs. */
  maxLifetimeSeconds?: number | null
  /** Called with every statement that is sent. Tests count them. */
  onStatement?: (statement: string) => void
  /** Called whenever a connection of the pool has closed, whoever closed it. */
  onClose?: () => void
}

/**
 * Makes a pool. Connections are opened when first needed.
 *
 * Column names arrive in camelCase; keys inside jsonb stay as they are stored. A transaction
 * ends with its connection (transactions.ts). Do not use `reserve`: without a query for types (array-types.ts says why
 * there is none) postgres.js never hands the connection out.
 */
export function connect({
  url,
  poolSize,
  applicationName = 'gatehouse',
  maxLifetimeSeconds = 3600,
  onStatement,
  onClose
}: ConnectOptions): Pool {
  const sql = postgres(withoutHost(url), {
    ...socketOf(url),
    max: poolSize,
    connect_timeout: 10,
    idle_timeout: 0,
    max_lifetime: maxLifetimeSeconds,
    fetch_types: false,
    types: arrayTypes,
    transform: { column: { from: postgres.toCamel } },
    connection: { application_name: applicationName },
    onnotice: () => {},
    ...(onClose === undefined ? {} : { onclose: onClose }),
    ...(onStatement === undefined
      ? {}
      : { debug: (_connection: number, statement: string) => onStatement(statement) })
  })
  Object.assign((sql.options as unknown as ArrayMapHolder).shared.typeArrayMap, arrayOfElement)
  guardTransactions(sql as unknown as postgres.Sql)
  return sql as unknown as Pool
}

/** What postgres.js's own types leave out of its options. */
type ArrayMapHolder = { shared: { typeArrayMap: Record<number, number> } }

/**
 * One connection for many small reads: look-ups of single rows by their keys, which never wait for a lock.
 *
 * postgres.js sends what one turn of the event loop asks for in one packet and reads the answers from one. On a pool
 * each look-up wakes a process of its own, and the waking costs more than the reading.
 */
export function connectForLookups(options: Omit<ConnectOptions, 'poolSize'>): Pool {
  return connect({ applicationName: 'gatehouse look-ups', ...options, poolSize: 1 })
}

/**
 * libpq's `host` parameter names the socket's directory and wins over the authority. postgres.js does not know it: it
 * would send it to the server as a setting, which the server refuses.
 */
function socketOf(url: string): { path?: string } {
  const parsed = URL.parse(url)
  const host = parsed?.searchParams.get('host')
  return host?.startsWith('/') ? { path: `${host}/.s.PGSQL.${parsed?.port || 5432}` } : {}
}

function withoutHost(url: string): string {
  if (!('path' in socketOf(url))) return url
  const parsed = new URL(url)
  parsed.searchParams.delete('host')
  return parsed.href
}

/** What the server answered with; `code` is its SQLSTATE. */
export const { PostgresError } = postgres
export type PostgresError = postgres.PostgresError
