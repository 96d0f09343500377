// The PostgreSQL server of a test run: TEST_DATABASE_URL, else an embedded one that all test files share.
//
// Each test process holds a connection to a keeper process, which runs the server while anybody is connected and a
// moment longer. So it needs no order of starts, serves a file run alone as well as a whole run, and is gone after a
// run that was killed: the system closes the connections of the dead.
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, openSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const root = resolve(import.meta.dirname, '../..')
const hash = createHash('sha256').update(root).digest('hex').slice(0, 8)

/** One a user and checkout, so that two checkouts can be tested at once. */
export const keeperDirectory = join(tmpdir(), `gatehouse-test-${userInfo().uid}-${hash}`)

let url: Promise<string> | undefined

/** The URL of the server's maintenance database. Its user may create databases. */
export function findServer(): Promise<string> {
  url ??= process.env.TEST_DATABASE_URL ? Promise.resolve(process.env.TEST_DATABASE_URL) : askKeeper()
  return url
}

/** Stops the server now if nobody else uses it, and waits for that. For the end of a run. */
export async function stopServer(): Promise<void> {
  const connection = connect(socketOf(keeperDirectory))
  connection.on('connect', () => connection.write('stop'))
  connection.resume()
  await new Promise<void>(done => connection.on('error', () => done()).on('close', () => done()))
}

/** Where the keeper of a directory listens. */
export const socketOf = (directory: string) => join(directory, 'keeper.sock')

async function askKeeper(): Promise<string> {
  mkdirSync(keeperDirectory, { recursive: true, mode: 0o711 })
  for (let waited = 0; waited < 60_000; waited += 50) {
    const answer = await hearKeeper()
    if (answer !== null) {
      if ('error' in answer) throw new Error(answer.error)
      return answer.url
    }
    if (waited % 10_000 === 0) spawnKeeper()
    await sleep(50)
  }
  throw new Error(`The test database did not start: see ${keeperDirectory}/keeper.log`)
}

type Answer = { url: string } | { error: string }

/** Null when there is no keeper, or one that is about to go. Else the connection stays open as long as this process. */
async function hearKeeper(): Promise<Answer | null> {
  const connection: Socket = connect(socketOf(keeperDirectory))
  return await new Promise(done => {
    connection.on('error', () => done(null))
    connection.on('close', () => done(null))
    connection.on('data', data => {
      connection.unref()
      done(JSON.parse(data.toString()) as Answer)
    })
  })
}

/** A second keeper at the same time sees the first and ends. */
function spawnKeeper(): void {
  const log = openSync(join(keeperDirectory, 'keeper.log'), 'a')
  const program = join(import.meta.dirname, 'database-keeper.ts')
  // The test runner's own environment would make it watch the keeper as a part of a test.
  const env = { PATH: process.env.PATH, TMPDIR: tmpdir() }
  spawn(process.execPath, [program, keeperDirectory], {
    env,
    detached: true,
    stdio: ['ignore', log, log]
  }).unref()
}
