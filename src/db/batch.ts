// Several writes in one statement: one round trip, one commit, all or nothing.
import type { Sql } from './connect.ts'

export type Value = string | number | boolean | Date | Uint8Array | null | string[] | object

/**
 * One insert, update or delete, to be sent with others.
 *
 * `text` is given `bind`, which turns a value into its placeholder. Writes of one batch see the rows as they
 * were before it (PostgreSQL 18 §7.8.4), so two of them must not touch the same row.
 */
export type Write = {
  text: (bind: (value: Value) => string) => string
  /** The write happens only if that earlier write of the batch hit a row. Its text then ends in `where …` or `on conflict`-free `select`. */
  onlyAfter?: Write
  /** Told how many rows it hit, once the batch has run. */
  onCount?: (count: number) => void
}

/** How many rows each write hit, in the order they were given. */
export async function runBatch(sql: Sql, writes: readonly Write[]): Promise<number[]> {
  if (writes.length === 0) return []
  const counts = await send(sql, writes)
  for (const [index, { onCount }] of writes.entries()) onCount?.(counts[index] ?? 0)
  return counts
}

async function send(sql: Sql, writes: readonly Write[]): Promise<number[]> {
  const values: Value[] = []
  const bind = (value: Value) => `$${values.push(value)}`
  const [first] = writes
  if (first !== undefined && writes.length === 1) {
    const { count } = await sql.unsafe(first.text(bind), values as never[], { prepare: true })
    return [count]
  }
  const parts = writes.map((write, index) => {
    const condition =
      write.onlyAfter === undefined ? '' : ` where exists (select from w${writes.indexOf(write.onlyAfter)})`
    return `w${index} as (${write.text(bind)}${condition} returning 1)`
  })
  const counts = writes.map((_, index) => `(select count(*)::int from w${index}) as w${index}`)
  const [row] = await sql.unsafe<Record<string, number>[]>(
    `with ${parts.join(', ')} select ${counts.join(', ')}`,
    values as never[],
    {
      prepare: true
    }
  )
  return writes.map((_, index) => row?.[`w${index}`] ?? 0)
}
