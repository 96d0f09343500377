// kill -9 of everything under load, again and again: what was acknowledged is there afterwards.
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import { connect } from '../../src/db/connect.ts'
import { killServer, makeDirectory, start, startProcess } from '../helpers/embedded.ts'

t.test(
  'no acknowledged row is lost in twenty deaths in a row',
  { skip: process.platform !== 'linux' && 'finds processes in /proc' },
  async t => {
    const directory = makeDirectory(t)
    const acknowledged: number[] = []
    for (let round = 1; round <= 20; round += 1) {
      const writer = await startProcess(t, [directory, 'write'])
      while (writer.acknowledged.length < 200) await sleep(5)
      await sleep(Math.random() * 100)
      killServer(directory)
      writer.process.kill('SIGKILL')
      await writer.ended
      acknowledged.push(...writer.acknowledged)
    }

    const embedded = await start(directory)
    const sql = connect({ url: embedded.url, poolSize: 1 })
    const rows = await sql<{ id: string }[]>`select id from writes`
    await sql.end()
    await embedded.stop()

    const kept = new Set(rows.map(({ id }) => Number(id)))
    t.ok(acknowledged.length >= 4000, `${acknowledged.length} rows were acknowledged`)
    t.strictSame(
      acknowledged.filter(id => !kept.has(id)),
      [],
      'all of them are there'
    )
  }
)
