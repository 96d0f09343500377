// Lets pg-boss run on our own connections, so that a job is queued by the transaction that asks for it.
import type { Db } from 'pg-boss'
import type { Pool, Sql } from '../db/connect.ts'

/** pg-boss's scripts carry their own BEGIN and COMMIT, which a pool would spread over several connections. */
const startsTransaction = /^\s*begin\b/i

type Value = string | number | boolean | null

async function run(sql: Sql, text: string, values?: unknown[]): Promise<{ rows: object[] }> {
  if (values === undefined || values.length === 0) {
    // Without values the simple protocol is used, which takes several statements at once.
    const results = (await sql.unsafe(text)) as unknown as object[] | object[][]
    return { rows: results.flat() }
  }
  return { rows: [...(await sql.unsafe(text, values as Value[], { prepare: true }))] }
}

/** The statements of one transaction. */
export function transactionDatabase(sql: Sql): Db {
  return { executeSql: (text, values) => run(sql, text, values) }
}

/** The statements and notifications of a pool. postgres.js listens on a connection of its own and reconnects it. */
export function poolDatabase(pool: Pool): Db {
  return {
    async executeSql(text, values) {
      if (!startsTransaction.test(text)) return await run(pool, text, values)
      const connection = await pool.reserve()
      try {
        return await run(connection as unknown as Sql, text, values)
      } finally {
        connection.release()
      }
    },
    async listen(channel, onNotification, onReconnect) {
      const { unlisten } = await pool.listen(channel, onNotification, onReconnect)
      return { close: unlisten }
    }
  }
}
