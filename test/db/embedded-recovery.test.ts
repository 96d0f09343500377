// What a dead server, a dead process or another release leave behind, and how the next start copes.
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connect } from '../../src/db/connect.ts'
import { findBinaries } from '../../src/db/embedded-binaries.ts'
import { dataOf, isRoot, kill, makeDirectory, serverOf, start, startProcess } from '../helpers/embedded.ts'

t.test('a stale pid file stops nobody', async t => {
  const directory = makeDirectory(t)
  await (await start(directory)).stop()
  const pidFile = join(dataOf(directory), 'postmaster.pid')
  const contents = (pid: number) => `${pid}\n${dataOf(directory)}\n1700000000\n5432\n\n\n\nready   \n`
  const leave = (text: string) => writeFileSync(pidFile, text)

  const gone = spawn('true')
  await new Promise(done => gone.on('exit', done))
  const others: [string, string][] = [
    ['of a process that is gone', contents(gone.pid ?? 0)],
    ['of a number that another program has now', contents(sleeper(t, directory).pid ?? 0)],
    ['without a word in it', '']
  ]
  for (const [title, text] of others) {
    leave(text)
    const embedded = await start(directory)
    t.ok(serverOf(directory), title)
    await embedded.stop()
  }
})

t.test('a socket that a dead server left is no obstacle, though its number is in use again', async t => {
  const directory = makeDirectory(t)
  await (await start(directory)).stop()
  const lock = join(directory, 'socket/.s.PGSQL.5432.lock')
  writeFileSync(lock, `${sleeper(t, directory).pid}\n${dataOf(directory)}\n1700000000\n5432\n\n`)
  const embedded = await start(directory)
  t.ok(serverOf(directory))
  await embedded.stop()
})

/** Another program of the server's own user, which PostgreSQL's check of numbers alone takes for a server. */
function sleeper(t: { teardown(work: () => void): void }, directory: string): ChildProcess {
  const { uid, gid } = statSync(dataOf(directory))
  const child = spawn('sleep', ['60'], isRoot ? { uid, gid } : {})
  t.teardown(() => void child.kill('SIGKILL'))
  return child
}

t.test('processes that a killed server left at work are ended before a new one starts', async t => {
  const directory = makeDirectory(t)
  const killed = await startProcess(t, [directory, 'hold'])
  const sql = connect({ url: killed.url, poolSize: 1 })
  // It never waits, so it does not see that its server is dead.
  const busy = sql`select count(*) from generate_series(1, 1e10)`.catch(() => 'cut off')
  await sleep(300)
  killed.process.kill('SIGKILL')
  kill(serverOf(directory)?.pid ?? 0)

  const embedded = await start(directory)
  t.ok(serverOf(directory))
  t.equal(await busy, 'cut off')
  await sql.end({ timeout: 0 })
  await embedded.stop()
})

t.test('a database whose making was cut short is made anew', async t => {
  const directory = makeDirectory(t)
  const drafts = () =>
    existsSync(directory) ? readdirSync(directory).filter(name => name.startsWith('cluster.draft-')) : []
  const first = startProcess(t, [directory, 'hold'])
  first.catch(() => {})
  while (drafts().length === 0) await sleep(1)
  await sleep(50)
  for (const draft of drafts()) kill(Number(/draft-(\d+)-/.exec(draft)?.[1]))
  await t.rejects(first)
  t.equal(drafts().length, 1, 'half a database is there')
  t.notOk(existsSync(dataOf(directory)))

  await (await start(directory)).stop()
  await (await start(directory)).stop()
  t.strictSame(drafts(), [])
})

t.test('a database of another major version is refused by name', async t => {
  const directory = makeDirectory(t)
  await (await start(directory)).stop()
  writeFileSync(join(dataOf(directory), 'PG_VERSION'), '17\n')
  const [major] = findBinaries().version.split('.')
  await t.rejects(start(directory), {
    message: new RegExp(`was made by PostgreSQL 17, and this release of Gatehouse brings ${major}`)
  })
})

t.test('what is no database is not taken for one', async t => {
  const directory = makeDirectory(t)
  mkdirSync(dataOf(directory), { recursive: true })
  await t.rejects(start(directory), /is no PostgreSQL database/)
})

t.test('a path too long for a socket is made up for', async t => {
  const directory = join(makeDirectory(t), 'x'.repeat(100))
  t.teardown(() => rmSync(dirname(directory), { recursive: true, force: true }))

  const embedded = await start(directory)
  const socket = new URL(embedded.url).searchParams.get('host') ?? ''
  t.ok(socket.length < 100 && !socket.startsWith(directory))
  t.equal(statSync(socket).mode & 0o777, 0o700)
  await embedded.stop()
  rmSync(socket, { recursive: true })

  // Somebody else was first to make a directory of that name: the server must not trust it.
  mkdirSync(socket)
  const over = await start(directory)
  t.equal(new URL(over.url).hostname, isRoot ? '127.0.0.1' : 'localhost')
  const sql = connect({ url: over.url, poolSize: 1 })
  t.equal((await sql`select 1`).length, 1)
  await sql.end()
  await over.stop()
  const again = await start(directory)
  t.equal(again.url, over.url)
  await again.stop()
  rmSync(socket, { recursive: true })
})
