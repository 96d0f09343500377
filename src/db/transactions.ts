// Transactions whose connection breaks: they end with an error, and nothing more of them reaches the server.
//
// postgres.js 3.4 by itself goes on: the broken transaction's next statement, or its own rollback, is written to a
// socket that is no more, which ends the process; or to the same connection made anew, in the middle of another's transaction.
import postgres from 'postgres'

type Raw = postgres.Sql
type Work = (tx: postgres.TransactionSql) => unknown

/** Replaces `begin` by one that stops at the end of its connection. `savepoint` is not offered: it has no such guard. */
export function guardTransactions(sql: Raw): void {
  const begin = sql.begin.bind(sql) as (options: string, work: Work) => Promise<unknown>
  const guarded = (...[first, second]: [string | Work, Work?]) => {
    const [options, work] = typeof first === 'string' ? [first, second as Work] : ['', first]
    const state = { broken: false }
    const outcome = begin(options, tx => run(work, guard(tx, state), state))
    outcome.catch(() => {
      state.broken = true
    })
    return outcome
  }
  Object.assign(sql, { begin: guarded })
}

type State = { broken: boolean }

/**
 * Settles as `work` does while the connection stands. Once it is broken, never: `begin` has failed already, and would
 * only send a commit or rollback.
 */
async function run(work: Work, tx: postgres.TransactionSql, state: State): Promise<unknown> {
  try {
    const result = await work(tx)
    const results = Array.isArray(result) ? await Promise.all(result) : result
    return state.broken ? await new Promise(() => {}) : results
  } catch (error) {
    // A socket's error comes a turn or two before its end, by which `begin` knows.
    if (!(error instanceof postgres.PostgresError)) for (const _ of [1, 2, 3]) await nextTurn()
    if (state.broken) await new Promise(() => {})
    throw error
  }
}

const nextTurn = () => new Promise<void>(resolve => setImmediate(resolve))

/** The transaction's `sql`, which refuses to send anything once the connection is broken. */
function guard(tx: postgres.TransactionSql, state: State): postgres.TransactionSql {
  const check = () => {
    if (state.broken) throw new Error('The connection of this transaction was lost')
  }
  return new Proxy(tx, {
    apply: (target, self, args) => {
      check()
      return Reflect.apply(target as unknown as (...args: unknown[]) => unknown, self, args)
    },
    get: (target, name) => {
      if (name === 'savepoint') return undefined
      if (name === 'unsafe' || name === 'file' || name === 'notify') check()
      return Reflect.get(target, name)
    }
  })
}
