// What the driver is told, so that nobody has to think of it: sockets, names of columns, arrays.
import t from 'tap'
import { connect } from '../../src/db/connect.ts'
import { createDatabase, createEmptyDatabase } from '../helpers/database.ts'

t.test('columns arrive in camelCase, keys inside jsonb as they are stored', async t => {
  const { sql } = await createEmptyDatabase(t)
  const rows = await sql`select 1 as one_two, ${sql.json({ redirect_uri: 'a' })}::jsonb as json_value`
  t.strictSame([...rows], [{ oneTwo: 1, jsonValue: { redirect_uri: 'a' } }])
})

t.test('arrays travel both ways, whatever is in them', async t => {
  const { sql } = await createEmptyDatabase(t)
  const texts = [
    '',
    'plain',
    'a,b',
    '{c}',
    'say "d"',
    'back\\slash',
    'NULL',
    'null',
    ' space ',
    'zeile\nzwei',
    'ü'
  ]
  const ids = ['018f0000-0000-7000-8000-000000000001', '018f0000-0000-7000-8000-000000000002']
  const bytes = [Buffer.from([0, 255]), Buffer.alloc(0)]
  const moments = [new Date('2026-01-02T03:04:05.678Z')]
  const objects = [{ a: 'x"y\\z' }, [1, null], 'text']
  const [row] = await sql`
    select ${texts}::text[] as texts, ${ids}::uuid[] as ids, ${[1, -2]}::int4[] as numbers,
      ${sql.array(bytes)}::bytea[] as bytes, ${sql.array(moments)}::timestamptz[] as moments,
      ${sql.array([true, false])}::bool[] as flags, array_agg(object) as objects,
      ${[]}::text[] as nothing, array['a', null] as gaps, null::text[] as absent
    from jsonb_array_elements(${sql.json(objects)}) as object
  `
  t.strictSame(row, {
    texts,
    ids,
    numbers: [1, -2],
    bytes,
    moments,
    flags: [true, false],
    objects,
    nothing: [],
    gaps: ['a', null],
    absent: null
  })
  t.strictSame(
    [...(await sql`select 1 as found where ${ids[0] ?? ''}::uuid = any(${ids}::uuid[])`)],
    [{ found: 1 }]
  )
})

t.test('a server that goes away while connections open fails their queries and nothing else', async t => {
  const { url, sql } = await createDatabase(t)
  const end = () => sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
  `
  const outcomes: PromiseSettledResult<unknown>[] = []
  for (let round = 0; round < 10; round += 1) {
    const pool = connect({ url, poolSize: 5 })
    const queries = Promise.allSettled(Array.from({ length: 20 }, () => pool`select pg_sleep(0.01)`))
    await end()
    await end()
    outcomes.push(...(await queries))
    await pool.end({ timeout: 1 })
  }
  const failed = outcomes.filter(({ status }) => status === 'rejected').length
  t.ok(failed > 0, 'connections were cut')
  t.equal((await sql`select 1`).length, 1)
})
