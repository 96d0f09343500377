// One server, many processes: it is shared, taken over, started again, and stopped by the last.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { ask, makeDirectory, serverOf, start, startProcess } from '../helpers/embedded.ts'

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
  t.notMatch(readFileSync(join(directory, 'server.log'), 'utf8'), /shutdown request/)
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
  await (await start(directory)).stop()
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
