// A connection that breaks ends its transaction, and neither the process nor anybody else's transaction.
import { connect as connectSocket, createServer, type Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connect, type Pool } from '../../src/db/connect.ts'
import { createEmptyDatabase, type Database } from '../helpers/database.ts'

type Test = Parameters<typeof createEmptyDatabase>[0]
type Break = (pool: Pool) => Promise<unknown>

/** A pool of one connection, so that a new connection is made in the old one's place, and a table to write to. */
async function arrange(t: Test): Promise<Database & { pool: Pool }> {
  const { url, sql } = await createEmptyDatabase(t)
  await sql`create table notes (text text)`
  const pool = connect({ url, poolSize: 1, applicationName: 'victim' })
  t.teardown(() => pool.end({ timeout: 1 }))
  return { url, sql, pool }
}

/** As an operator does, or a server that restarts. */
const terminate = (sql: Pool) => sql`
  select pg_terminate_backend(pid) from pg_stat_activity
  where datname = current_database() and application_name = 'victim'
`

/** As a network does: a way to the server that can be reset. */
async function arrangeReset(t: Test): Promise<Database & { pool: Pool; reset: Break }> {
  const { url, sql } = await createEmptyDatabase(t)
  await sql`create table notes (text text)`
  const target = new URL(url)
  const path = target.searchParams.get('host')
  const sockets = new Set<Socket>()
  const proxy = createServer(socket => {
    const onward = path
      ? connectSocket(`${path}/.s.PGSQL.5432`)
      : connectSocket(Number(target.port || 5432), target.hostname)
    sockets.add(socket)
    socket.pipe(onward).pipe(socket)
    for (const end of [socket, onward]) end.on('error', () => {})
    socket.on('close', () => onward.destroy())
  })
  await new Promise<void>(done => proxy.listen(0, '127.0.0.1', done))
  const address = proxy.address()
  target.searchParams.delete('host')
  target.host = `127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  const pool = connect({ url: target.href, poolSize: 1 })
  t.teardown(async () => {
    await pool.end({ timeout: 1 })
    proxy.close()
  })
  const reset = async () => {
    for (const socket of sockets) socket.resetAndDestroy()
    sockets.clear()
  }
  return { url, sql, pool, reset }
}

/** Whether the pool still answers, as often as it is asked. Its first answer may be the dead connection's last error. */
async function answers(pool: Pool): Promise<boolean> {
  await pool`select 1`.catch(() => {})
  for (const _ of [1, 2, 3]) await pool`select 1`
  return await pool.begin(async tx => (await tx`select 1`).length === 1)
}

t.test('broken in the middle of a statement: that fails, and the pool goes on', async t => {
  const { sql, pool } = await arrange(t)
  const doomed = pool.begin(async tx => {
    await tx`insert into notes values ('doomed')`
    await tx`select pg_sleep(10)`
  })
  await sleep(100)
  await Promise.all([t.rejects(doomed), terminate(sql)])
  t.ok(await answers(pool))
  t.equal((await sql`select from notes`).length, 0)
})

t.test('broken while it does other things: what it still sends goes nowhere', async t => {
  const { sql, pool } = await arrange(t)
  let goOn = () => {}
  const pause = new Promise<void>(resolve => {
    goOn = resolve
  })
  const doomed = pool.begin(async tx => {
    await tx`insert into notes values ('doomed')`
    await pause
    await tx`insert into notes values ('doomed too')`.catch(() => {})
  })
  const noticed = t.rejects(doomed)
  await sleep(50)
  await terminate(sql)
  await noticed

  // Another transaction takes the same connection, made anew, and the doomed one wakes up in the middle of it.
  await pool`select 1`.catch(() => {})
  await pool.begin(async tx => {
    await tx`insert into notes values ('mine')`
    goOn()
    await sleep(50)
    await tx`insert into notes values ('mine too')`
  })
  t.strictSame(
    (await sql`select text from notes order by text`).map(({ text }) => text),
    ['mine', 'mine too']
  )
  t.ok(await answers(pool))
})

t.test('broken just before its end: nobody takes it for committed', async t => {
  const { sql, pool } = await arrange(t)
  const doomed = pool.begin(async tx => {
    await tx`insert into notes values ('doomed')`
    await terminate(sql)
    await sleep(50)
    return 'done'
  })
  await t.rejects(doomed)
  t.ok(await answers(pool))
  t.equal((await sql`select from notes`).length, 0)
})

t.test('reset by the network, at rest or at work: the pool goes on', async t => {
  for (const work of ['select 1', 'select pg_sleep(10)']) {
    const { sql, pool, reset } = await arrangeReset(t)
    const doomed = pool.begin(async tx => {
      await tx`insert into notes values ('doomed')`
      await tx.unsafe(work)
      await sleep(300)
      await tx`select 1`
    })
    await sleep(100)
    await Promise.all([t.rejects(doomed), reset(pool)])
    t.ok(await answers(pool), work)
    t.equal((await sql`select from notes`).length, 0)
  }
})

t.test('its own errors roll it back and come out as they are', async t => {
  const { sql, pool } = await arrange(t)
  await t.rejects(
    pool.begin(async tx => {
      await tx`insert into notes values ('undone')`
      throw new Error('changed my mind')
    }),
    { message: 'changed my mind' }
  )
  await t.rejects(
    pool.begin(tx => [tx`insert into notes values ('undone')`, tx`select 1 / 0`]),
    { code: '22012' }
  )
  t.equal((await sql`select from notes`).length, 0)
  t.strictSame(
    (await pool.begin('isolation level serializable', tx => [tx`show transaction_isolation`])).map(
      rows => rows[0]
    ),
    [{ transactionIsolation: 'serializable' }]
  )
})
