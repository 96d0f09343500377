// What every other test stands on: a database of its own, with the whole schema, gone afterwards.
import t from 'tap'
import { createDatabase } from '../helpers/database.ts'

t.test('two tests have a database each, with the schema and without rows', async t => {
  const [one, other] = await Promise.all([createDatabase(t), createDatabase(t)])
  t.not(one.url, other.url)

  await one.sql`insert into resources values ('urn:a', 'A', '{}', 'jwt', null, null, now(), now())`
  t.equal((await one.sql`select from resources`).length, 1)
  t.equal((await other.sql`select from resources`).length, 0)
})

t.test('a database is dropped with its test', async t => {
  let name = ''
  await t.test('the test', async t => {
    const { sql } = await createDatabase(t)
    const [row] = await sql<{ name: string }[]>`select current_database() as name`
    name = row?.name ?? ''
  })
  const { sql } = await createDatabase(t)
  t.match(name, /^gatehouse_test_/)
  t.equal((await sql`select from pg_database where datname = ${name}`).length, 0)
})
