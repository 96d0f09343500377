// The only place that opens connections to PostgreSQL.
import postgres from 'postgres'

/** A pool or a transaction: what repositories run statements on. */
export type Sql = postgres.ISql<Record<string, never>>
/** A pool of connections; it can begin transactions, listen and end. */
export type Pool = postgres.Sql<Record<string, never>>

export type ConnectOptions = {
  /** postgres:// URL; over a Unix socket as postgres:///database?host=/directory */
  url: string
  poolSize: number
  applicationName?: string
  /** Called with every statement that is sent. Tests count them. */
  onStatement?: (statement: string) => void
}

/**
 * Makes a pool. Connections are opened when first needed.
 *
 * Column names arrive in camelCase; keys inside jsonb stay as they are stored.
 */
export function connect({ url, poolSize, applicationName = 'gatehouse', onStatement }: ConnectOptions): Pool {
  return postgres(url, {
    max: poolSize,
    connect_timeout: 10,
    idle_timeout: 0,
    max_lifetime: 3600,
    transform: { column: { from: postgres.toCamel } },
    connection: { application_name: applicationName },
    onnotice: () => {},
    ...(onStatement === undefined
      ? {}
      : { debug: (_connection: number, statement: string) => onStatement(statement) })
  }) as unknown as Pool
}

export const PostgresError = postgres.PostgresError
