// Reads every import under src/ and refuses what the layout forbids (docs/architecture.md, rules 1 to 5).
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative, resolve } from 'node:path'
import t from 'tap'

const root = resolve(import.meta.dirname, '../src')

/** Folders, and the files beside them, in their one order: a file imports from its own place or an earlier one. */
const order = [
  'lib',
  'config',
  'db',
  'context.ts',
  'http',
  'jobs',
  'mail',
  'audit',
  'keys',
  'clients',
  'accounts',
  'credentials',
  'federation',
  'roles',
  'sessions',
  'oidc',
  'interactions',
  'self-service',
  'admin',
  'development',
  'app.ts',
  'commands',
  'cli.ts',
  'main.ts'
]
const roles = ['model', 'repository', 'service', 'views', 'routes']

type Source = {
  path: string
  folder: string
  role: string | null
  text: string
  imports: { from: string; names: string }[]
}

const roleOf = (path: string): string | null =>
  roles.find(role => new RegExp(`(^|[/-])${role}\\.ts$`).test(path)) ?? null

function readSources(): Source[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.ts'))
    .map(path => {
      const text = readFileSync(join(root, path), 'utf8')
      const imports = [...text.matchAll(/^(?:import|export)\s+([^'"]*?)\s*from\s+'([^']+)'/gms)].map(
        match => ({ names: match[1] ?? '', from: match[2] ?? '' })
      )
      return { path, folder: path.split('/')[0] ?? path, role: roleOf(path), text, imports }
    })
}

const sources = readSources()
const target = (source: Source, from: string) => relative(root, resolve(root, source.path, '..', from))

t.test('1 every folder has its place, and imports come from the same place or an earlier one', async t => {
  for (const source of sources) {
    t.ok(order.includes(source.folder), `${source.path}: give its folder a place in the order`)
    for (const { from } of source.imports.filter(({ from }) => from.startsWith('.'))) {
      const folder = target(source, from).split('/')[0] ?? ''
      t.ok(order.indexOf(folder) <= order.indexOf(source.folder), `${source.path} must not import ${from}`)
    }
  }
})

t.test('2 inside a folder: model, repository, service, views, routes, never back', async t => {
  for (const source of sources.filter(({ role }) => role !== null)) {
    for (const { from } of source.imports.filter(({ from }) => from.startsWith('./'))) {
      const other = roleOf(from)
      if (other !== null)
        t.ok(
          roles.indexOf(other) <= roles.indexOf(source.role ?? ''),
          `${source.path} must not import ${from}`
        )
    }
  }
})

t.test(
  '3 other folders see services, models and reads of repositories; routes and views are mounted by app.ts alone',
  async t => {
    for (const source of sources) {
      for (const { from, names } of source.imports.filter(({ from }) => from.startsWith('.'))) {
        const path = target(source, from)
        if (path.split('/')[0] === source.folder || source.folder === 'app.ts') continue
        const role = roleOf(path)
        t.not(role, 'routes', `${source.path} must not import ${from}`)
        t.not(role, 'views', `${source.path} must not import ${from}`)
        if (role !== 'repository' || /^type\b/.test(names)) continue
        for (const name of names
          .replace(/[{}]/g, '')
          .split(',')
          .map(name => name.trim())
          .filter(name => name !== '' && !name.startsWith('type ')))
          t.match(name, /^(find|list|count)[A-Z]/, `${source.path} may only read from ${from}, not ${name}`)
      }
    }
  }
)

t.test(
  "4 a table is named by one folder's repository alone, but for read-only joins that say so",
  async t => {
    const migrations = readdirSync(resolve(root, '../migrations'))
      .map(file => readFileSync(resolve(root, '../migrations', file), 'utf8'))
      .join('\n')
    const tables = [...migrations.matchAll(/^create (?:unlogged )?table (\w+)/gm)]
      .map(match => match[1] ?? '')
      .filter(name => !name.endsWith('_default'))
    t.ok(tables.length > 0)
    for (const table of tables) {
      const writers = sources.filter(({ text }) =>
        new RegExp(`\\b(insert into|update|delete from)\\s+${table}\\b`, 'i').test(text)
      )
      for (const { path, role } of writers)
        t.equal(role, 'repository', `${path} writes ${table}: only a repository may`)
      t.ok(
        new Set(writers.map(({ folder }) => folder)).size <= 1,
        `${table} is written from ${writers.map(({ path }) => path).join(', ')}`
      )
      const owner = writers[0]?.folder
      for (const { path, folder, text } of sources) {
        if (folder === owner || !new RegExp(`\\b(from|join)\\s+${table}\\b`, 'i').test(text)) continue
        t.match(
          text,
          /read-only join/,
          `${path} reads ${table} of ${owner}: say why in a comment ("read-only join: …")`
        )
      }
    }
  }
)

t.test('5 libraries, the environment and the clock are used in their places only', async t => {
  const fastifyPlaces = (source: Source) =>
    ['http', 'oidc', 'app.ts', 'context.ts'].includes(source.folder) ||
    ['routes', 'views'].includes(source.role ?? '')
  for (const source of sources) {
    for (const { from } of source.imports) {
      if (from === 'postgres') t.equal(source.folder, 'db', `${source.path} must not import postgres`)
      if (from.startsWith('oidc-provider'))
        t.equal(source.folder, 'oidc', `${source.path} must not import oidc-provider`)
      if (/^@?fastify(\/|$)/.test(from)) t.ok(fastifyPlaces(source), `${source.path} must not import ${from}`)
    }
    if (source.path !== 'config/load.ts')
      t.notMatch(source.text, /process\.env\b/, `${source.path} must not read the environment`)
    if (!['main.ts', 'cli.ts'].includes(source.path))
      t.notMatch(
        source.text,
        /new Date\(\)|Date\.now\(\)/,
        `${source.path} must take the time from its context`
      )
  }
})
