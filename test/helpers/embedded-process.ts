// A process of its own that uses an embedded database, as the tests kill such processes.
// node embedded-process.ts <directory> hold|write: prints what it does as lines of JSON, until its input ends.
import { connect } from '../../src/db/connect.ts'
import { startEmbedded } from '../../src/db/embedded.ts'

const [directory = '', mode] = process.argv.slice(2)
const say = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`)
const log = { info: () => {}, warn: console.error, error: console.error }

const embedded = await startEmbedded({ directory, log })
say({ url: embedded.url })
if (mode === 'write') await write()
process.stdin.on('end', () => void embedded.stop()).resume()

/** Inserts without end over several connections; says a row's id once the server has acknowledged it. */
async function write(): Promise<void> {
  const sql = connect({ url: embedded.url, poolSize: 4 })
  await sql`create table if not exists writes (id bigserial primary key, text text not null)`
  const writer = async () => {
    for (;;) {
      const [row] = await sql<
        { id: string }[]
      >`insert into writes (text) values (repeat('x', 500)) returning id`
      say({ acknowledged: Number(row?.id) })
    }
  }
  await Promise.all([1, 2, 3, 4].map(writer))
}
