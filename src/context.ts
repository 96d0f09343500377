// What every use case is given, and how it works in one transaction.
import type { FastifyBaseLogger } from 'fastify'
import type { Config } from './config/schema.ts'
import type { Pool, Sql } from './db/connect.ts'

export type Context = {
  /** The pool, or the transaction that this use case runs in. */
  sql: Sql
  now: () => Date
  log: FastifyBaseLogger
  config: Config
  /** Puts a job in the queue as part of `sql`'s transaction: it runs only if that commits. */
  enqueue: (sql: Sql, queue: string, data: object) => Promise<void>
  /** The request that this use case answers; absent in jobs and commands. */
  request?: RequestFacts
}

/** What the audit trail and the limits know of a request. */
export type RequestFacts = {
  id: string
  ip: string
  userAgent: string
  /** The browser's device cookie, whether or not anybody has signed in there. It is nobody's proof of anything alone. */
  deviceToken?: string
}

/**
 * Runs a use case in one transaction; inside another one it joins that.
 *
 * Everything it writes (rows, audit events, mail, jobs) becomes visible at once or not at all.
 */
export async function inTransaction<T>(ctx: Context, work: (tx: Context) => Promise<T>): Promise<T> {
  if (!('begin' in ctx.sql)) return await work(ctx)
  return (await (ctx.sql as Pool).begin(sql => work({ ...ctx, sql: sql as unknown as Sql }))) as T
}
