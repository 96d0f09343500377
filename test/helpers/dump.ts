// What somebody reads who has a copy of the database.
import type { Pool } from '../../src/db/connect.ts'

/** Every row of every table, as text: bytea in hex, jsonb spelled out. */
export async function dump(sql: Pool): Promise<Map<string, string>> {
  const tables = await sql<{ name: string }[]>`
    select format('%I.%I', schemaname, tablename) as name from pg_tables
    where schemaname not in ('pg_catalog', 'information_schema')`
  const texts = new Map<string, string>()
  for (const { name } of tables) {
    const rows = await sql.unsafe<{ row: string }[]>(`select t::text as row from ${name} t`)
    texts.set(name, rows.map(({ row }) => row).join('\n'))
  }
  return texts
}

/** As itself, and in the encodings that a column could hold it in. */
export function spellings(value: string): string[] {
  const bytes = Buffer.from(value)
  const decoded = /^[A-Za-z0-9_-]{20,}$/.test(value) ? [Buffer.from(value, 'base64url').toString('hex')] : []
  const padded = bytes.toString('base64')
  return [
    value,
    padded,
    padded.replace(/=+$/, ''),
    bytes.toString('base64url'),
    bytes.toString('hex'),
    ...decoded
  ]
}
