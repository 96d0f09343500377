import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, symlinkSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { connect } from '../../src/db/connect.ts'
import { startEmbedded } from '../../src/db/embedded.ts'

const cli = resolve(import.meta.dirname, '../../src/cli.ts')

async function gatehouse(program: string, words: string[], dataDir: string) {
  const child = spawn(process.execPath, [program, ...words], {
    env: { PATH: process.env.PATH, DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe']
  })
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: child.exitCode, out, err }
}

t.test('without DATABASE_URL commands work before, beside and after a running service', async t => {
  const dataDir = join(t.testdir(), 'data')
  // As npm installs it: a link in node_modules/.bin.
  const link = join(t.testdirName, 'gatehouse')
  symlinkSync(cli, link)

  const added = await gatehouse(link, ['resources', 'add', 'urn:shop:api'], dataDir)
  t.strictSame(added, { code: 0, out: 'Registered urn:shop:api.\n', err: '' })
  t.notOk(existsSync(join(dataDir, 'postgres', 'data', 'postmaster.pid')), 'nothing is left running')

  const log = { info: () => {}, warn: () => {}, error: () => {} }
  const service = await startEmbedded({ directory: join(dataDir, 'postgres'), log })
  t.teardown(() => service.stop())
  const beside = await gatehouse(cli, ['resources', 'list', '--json'], dataDir)
  t.match(JSON.parse(beside.out), [{ identifier: 'urn:shop:api' }])

  const pool = connect({ url: service.url, poolSize: 1 })
  t.match(
    await pool`select identifier from resources`,
    [{ identifier: 'urn:shop:api' }],
    'the service goes on'
  )
  await pool.end()
  await service.stop()
  t.match(await gatehouse(cli, ['resources', 'remove', 'urn:shop:api'], dataDir), { code: 0 })
})

t.test('config check leaves no file behind, as a process either', async t => {
  const dataDir = join(t.testdir(), 'data')
  t.match(await gatehouse(cli, ['config', 'check'], dataDir), { code: 0 })
  t.notOk(existsSync(dataDir))
})
