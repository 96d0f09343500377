// PostgreSQL's programs as npm leaves them: without links, closed to others, or not there at all.
import { chmodSync, cpSync, existsSync, lstatSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { startEmbedded } from '../../src/db/embedded.ts'
import { type Binaries, findBinaries, readBinaries } from '../../src/db/embedded-binaries.ts'
import { isRoot, makeDirectory, quiet, serverOf } from '../helpers/embedded.ts'

type Test = Parameters<typeof makeDirectory>[0]
type Link = { source: string; target: string }

/** The package as it is before its install script: no links between libraries. */
function copyWithoutLinks(t: Test): { binaries: Binaries; links: string[] } {
  const original = findBinaries().directory
  const directory = mkdtempSync(join(tmpdir(), 'gatehouse-binaries-'))
  chmodSync(directory, 0o755)
  t.teardown(() => {
    chmodSync(join(directory, 'native/lib'), 0o755)
    rmSync(directory, { recursive: true })
  })
  cpSync(join(original, 'package.json'), join(directory, 'package.json'))
  cpSync(join(original, 'native'), join(directory, 'native'), { recursive: true, verbatimSymlinks: true })
  const list = JSON.parse(readFileSync(join(directory, 'native/pg-symlinks.json'), 'utf8')) as Link[]
  const links = list.map(({ target }) => join(directory, target))
  for (const link of links) rmSync(link, { force: true })
  return { binaries: readBinaries(directory), links }
}

t.test('libraries are linked where no install script did it', async t => {
  const { binaries, links } = copyWithoutLinks(t)
  const directory = makeDirectory(t)
  const embedded = await startEmbedded({ directory, log: quiet, binaries })
  t.ok(serverOf(directory))
  t.ok(links.length > 0 && links.every(link => lstatSync(link).isSymbolicLink()))
  t.notOk(existsSync(join(directory, 'runtime')), 'nothing was copied')
  await embedded.stop()
})

t.test('a package that cannot be used in its place is copied, once', async t => {
  const { binaries } = copyWithoutLinks(t)
  if (isRoot) chmodSync(binaries.directory, 0o700)
  else chmodSync(join(binaries.directory, 'native/lib'), 0o555)
  const directory = makeDirectory(t)
  const copy = join(directory, 'runtime', binaries.version)

  await (await startEmbedded({ directory, log: quiet, binaries })).stop()
  const { ctimeMs } = lstatSync(copy)
  const embedded = await startEmbedded({ directory, log: quiet, binaries })
  t.ok(serverOf(directory))
  t.equal(lstatSync(copy).ctimeMs, ctimeMs)
  await embedded.stop()
})

t.test('a machine without programs is told to set DATABASE_URL', async t => {
  t.throws(() => findBinaries({ platform: 'linux', arch: 'x64', musl: true }), {
    message:
      /does not run on linux-x64 with musl \(Alpine Linux\): set DATABASE_URL to a PostgreSQL 15 or newer/
  })
  t.throws(() => findBinaries({ platform: 'linux', arch: 'riscv64', musl: false }), {
    message: /has no programs for linux-riscv64 here .*: set DATABASE_URL to a PostgreSQL 15 or newer/
  })
})
