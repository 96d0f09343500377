// A process that runs the embedded PostgreSQL of the tests while test processes are connected to it.
import { rmSync } from 'node:fs'
import { connect, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import { type Embedded, type EmbeddedOptions, startEmbedded } from '../../src/db/embedded.ts'
import { findPostmaster } from '../../src/db/embedded-postmaster.ts'
import { socketOf } from './database-server.ts'

const [directory = ''] = process.argv.slice(2)
const socket = socketOf(directory)
const options: EmbeddedOptions = {
  directory: join(directory, 'postgres'),
  log: { info: () => {}, warn: console.warn, error: console.error },
  // Nothing here outlives the run; what must be durable is tested on servers with the real settings.
  settings: { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', max_connections: '200' }
}
/** Longer than the pause between two test files. */
const lingerMs = 3000

const clients = new Set<Socket>()
let closing = false
let idle: NodeJS.Timeout | undefined

const server = createServer(serve)
if (await anotherKeeps()) process.exit()
rmSync(socket, { force: true })
server.on('error', () => process.exit()).listen(socket)
closeUnlessUsed(60_000)
const embedded = start()
embedded.catch(async error => {
  for (const client of clients) client.end(JSON.stringify({ error: String(error) }))
  console.error(error)
  process.exitCode = 1
  await close()
})

function serve(client: Socket): void {
  if (closing) return void client.destroy()
  clients.add(client)
  client.on('error', () => {})
  client.on('close', () => {
    clients.delete(client)
    closeUnlessUsed(lingerMs)
  })
  // "stop": the run is over, nobody else need wait.
  client.on('data', () => {
    clients.delete(client)
    if (clients.size === 0) void close().then(() => process.exit())
    else client.end()
  })
  embedded.then(({ url }) => client.write(JSON.stringify({ url }))).catch(() => {})
}

function closeUnlessUsed(afterMs: number): void {
  clearTimeout(idle)
  idle = setTimeout(() => {
    if (clients.size === 0) void close().then(() => process.exit())
  }, afterMs)
}

async function start(): Promise<Embedded> {
  // What a killed run left: its server still up, or its files, which are not safe to use again without fsync.
  const left = () => findPostmaster(join(options.directory, 'cluster', 'data')) !== null
  if (left()) await (await startEmbedded(options)).stop()
  if (!left()) rmSync(options.directory, { recursive: true, force: true })
  return await startEmbedded(options)
}

/** The socket goes last, with the process: until then no other keeper touches the files. */
async function close(): Promise<void> {
  if (closing) return
  closing = true
  await embedded.then(({ stop }) => stop()).catch(() => {})
  rmSync(options.directory, { recursive: true, force: true })
  rmSync(socket, { force: true })
}

async function anotherKeeps(): Promise<boolean> {
  const connection = connect(socket)
  return await new Promise(done => {
    connection.on('error', () => done(false))
    connection.on('connect', () => done(true))
  })
}
