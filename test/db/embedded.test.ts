// The life of an embedded database: start, stop, share, and the ways in which an operator's machine gets in between.
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connect } from '../../src/db/connect.ts'
import { isReachable } from '../../src/db/embedded-user.ts'
import {
  dataOf,
  isRoot,
  makeDirectory,
  ordinary,
  serverOf,
  start,
  startProcess
} from '../helpers/embedded.ts'

/** Runs one statement over a connection of its own. */
async function ask(url: string, statement: string): Promise<Record<string, unknown>[]> {
  const sql = connect({ url, poolSize: 1 })
  try {
    return await sql.unsafe(statement)
  } finally {
    await sql.end()
  }
}

t.test('what was written is there after a stop and a start', async t => {
  const directory = makeDirectory(t)
  const first = await start(directory)
  await ask(first.url, 'create table notes as select 7 as number')
  await first.stop()
  t.equal(serverOf(directory), null, 'stopped means that no server is left')

  const second = await start(directory)
  t.equal(second.url, first.url)
  t.strictSame([...(await ask(second.url, 'select number from notes'))], [{ number: 7 }])
  await second.stop()
})

t.test('it is durable, in UTF-8, checksummed, and the service is no superuser', async t => {
  const embedded = await start(makeDirectory(t))
  const settings = await ask(
    embedded.url,
    `select name, setting from pg_settings where name in
      ('fsync', 'synchronous_commit', 'full_page_writes', 'data_checksums', 'server_encoding', 'listen_addresses')`
  )
  t.strictSame(Object.fromEntries(settings.map(({ name, setting }) => [name, setting])), {
    fsync: 'on',
    synchronous_commit: 'on',
    full_page_writes: 'on',
    data_checksums: 'on',
    server_encoding: 'UTF8',
    listen_addresses: ''
  })
  t.strictSame([...(await ask(embedded.url, 'show is_superuser'))], [{ isSuperuser: 'off' }])
  await t.rejects(ask(embedded.url, `select pg_read_file('/etc/passwd')`), { code: '42501' })
  await embedded.stop()
})

t.test('only who has the password gets in, and only its owner can read that', async t => {
  const directory = makeDirectory(t)
  const embedded = await start(directory)
  const wrong = new URL(embedded.url)
  wrong.password = 'guess'
  await t.rejects(ask(wrong.href, 'select 1'), { code: '28P01' })
  const mode = (path: string) => (statSync(join(directory, path)).mode & 0o777).toString(8)
  t.equal(mode('cluster/password'), '600')
  t.equal(mode('cluster/data'), '700')
  t.equal(mode('socket'), '700')
  t.equal(mode('server.log'), '600')
  t.equal(statSync(join(directory, 'cluster/password')).uid, process.getuid?.())
  await embedded.stop()
})

const program = join(import.meta.dirname, '../helpers/embedded-process.ts')
const nobody = { name: 'nobody', ...ordinary }
const unreachable = [program, process.execPath].find(path => !isReachable(path, nobody))

t.test('root runs the server as somebody else', { skip: !isRoot && 'needs root' }, async t => {
  const directory = makeDirectory(t)
  const embedded = await start(directory)
  t.not(statSync(`/proc/${serverOf(directory)?.pid}`).uid, 0)
  t.not(statSync(dataOf(directory)).uid, 0)
  await embedded.stop()
})

t.test(
  'an ordinary user starts it without further rights, and root after that as the same user',
  { skip: isRoot ? unreachable !== undefined && `nobody cannot reach ${unreachable}` : 'the other tests do' },
  async t => {
    const directory = makeDirectory(t, { owner: ordinary.uid })
    const process = await startProcess(t, [directory, 'hold'], ordinary)
    await ask(process.url, 'create table notes as select 7 as number')
    t.equal(statSync(`/proc/${serverOf(directory)?.pid}`).uid, ordinary.uid)
    process.process.stdin?.end()
    t.equal(await process.ended, '')

    const embedded = await start(directory)
    t.equal(statSync(`/proc/${serverOf(directory)?.pid}`).uid, ordinary.uid)
    t.strictSame([...(await ask(embedded.url, 'select number from notes'))], [{ number: 7 }])
    await embedded.stop()

    const again = await startProcess(t, [directory, 'hold'], ordinary)
    again.process.stdin?.end()
    t.equal(await again.ended, '', 'root has left nothing that keeps its owner out')
  }
)

t.test('an ordinary user is told whose database it is', { skip: !isRoot && 'needs root' }, async t => {
  const directory = makeDirectory(t, { owner: ordinary.uid })
  await (await start(directory)).stop()
  await t.rejects(
    startProcess(t, [directory, 'hold'], ordinary),
    /belongs to uid \d+: start Gatehouse as that user/
  )
})

t.test(
  'root puts it elsewhere when its user cannot enter the directories above',
  { skip: !isRoot && 'needs root' },
  async t => {
    const directory = makeDirectory(t, { closed: true })
    const first = await start(directory)
    await ask(first.url, 'create table notes as select 7 as number')
    await first.stop()
    const home = dirname(dirname(dataOf(directory)))
    t.match(home, /^\/var\/lib\/gatehouse\/postgres-/)

    const second = await start(directory)
    t.strictSame([...(await ask(second.url, 'select number from notes'))], [{ number: 7 }])
    await second.stop()
    rmSync(home, { recursive: true })
    await t.rejects(start(directory), /points to a database that is not there/)
  }
)

t.test('a server that outlived a kill -9 of its process is taken over, and stopped in the end', async t => {
  const directory = makeDirectory(t)
  const killed = await startProcess(t, [directory, 'write'])
  while (killed.acknowledged.length < 50) await sleep(5)
  killed.process.kill('SIGKILL')
  await killed.ended
  const orphan = serverOf(directory)
  t.ok(orphan, 'the server is an orphan now')

  const embedded = await start(directory)
  t.equal(serverOf(directory)?.pid, orphan?.pid)
  t.ok((await ask(embedded.url, 'select 1 from writes')).length >= killed.acknowledged.length)
  await embedded.stop()
  t.equal(serverOf(directory), null)
})

t.test("a terminal's Ctrl-C ends the process, not the server before it", async t => {
  const directory = makeDirectory(t)
  const interrupted = await startProcess(t, [directory, 'hold'], { detached: true })
  process.kill(-(interrupted.process.pid ?? 0), 'SIGINT')
  await interrupted.ended
  await sleep(200)
  t.ok(serverOf(directory))
})

t.test('processes that start at once share one server, and the last one out stops it', async t => {
  const directory = makeDirectory(t)
  const [one, other] = await Promise.all([
    startProcess(t, [directory, 'hold']),
    startProcess(t, [directory, 'hold'])
  ])
  t.equal(one.url, other.url)
  const server = serverOf(directory)?.pid

  one.process.stdin?.end()
  t.equal(await one.ended, '')
  t.equal(serverOf(directory)?.pid, server, 'one has left, the other still works')
  t.equal((await ask(other.url, 'select 1')).length, 1)

  other.process.stdin?.end()
  t.equal(await other.ended, '')
  t.equal(serverOf(directory), null)
})

t.test('many that come and go at once never find it stopped under them', async t => {
  const directory = makeDirectory(t)
  const visit = async () => {
    const embedded = await start(directory)
    const rows = await ask(embedded.url, 'select 1')
    await embedded.stop()
    return rows.length
  }
  const visits = Array.from({ length: 12 }, async (_, index) => {
    await sleep(index * 30)
    return await visit()
  })
  t.strictSame(await Promise.all(visits), Array(12).fill(1))
  t.equal(serverOf(directory), null)
})

t.test('a server that crashes is started again under the same URL', async t => {
  const directory = makeDirectory(t)
  const embedded = await start(directory)
  const before = serverOf(directory)?.pid ?? 0
  process.kill(before, 'SIGKILL')
  const answer = async () => await ask(embedded.url, 'select 1').catch(() => [])
  while (serverOf(directory)?.pid === before || (await answer()).length === 0) await sleep(20)
  t.not(serverOf(directory)?.pid, before)
  await embedded.stop()
  t.equal(serverOf(directory), null)
})

t.test('a start that failed says what the server said', async t => {
  const directory = makeDirectory(t)
  await (await start(directory)).stop()
  writeFileSync(join(dataOf(directory), 'pg_hba.conf'), 'nonsense\n')
  await t.rejects(
    start(directory),
    /did not start: it ended with code 1\. .*server\.log says:\n.*pg_hba\.conf/s
  )
  t.match(readFileSync(join(directory, 'server.log'), 'utf8'), /invalid connection type/)
})
