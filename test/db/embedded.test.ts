// An embedded database starts, stops and keeps its data, whoever starts it, and lets nobody else in.
import { readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import t from 'tap'
import { isReachable } from '../../src/db/embedded-user.ts'
import {
  ask,
  dataOf,
  isRoot,
  makeDirectory,
  ordinary,
  serverOf,
  start,
  startProcess
} from '../helpers/embedded.ts'

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
