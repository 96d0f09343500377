// Reads the documentation and refuses what is not so: links, files, settings, commands and client metadata that are not there.
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import t from 'tap'
import { members } from '../src/clients/member-model.ts'
import { parseClientMetadata } from '../src/clients/metadata-model.ts'
import type { Command } from '../src/commands/command.ts'
import { Settings } from '../src/config/schema.ts'

const root = resolve(import.meta.dirname, '..')

type Page = { path: string; text: string; prose: string }

const pages: Page[] = [
  'README.md',
  'CONTRIBUTING.md',
  ...readdirSync(join(root, 'docs'), { recursive: true, encoding: 'utf8' })
    .filter(path => path.endsWith('.md'))
    .map(path => join('docs', path))
].map(path => {
  const text = readFileSync(join(root, path), 'utf8')
  return { path, text, prose: text.replace(/^```.*?^```$/gms, '') }
})

/** What stands in backticks outside of blocks. */
const codeIn = (text: string): string[] => [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code)

const shellIn = ({ text }: Page): string[] =>
  [...text.matchAll(/^```sh\n(.*?)^```$/gms)].flatMap(([, block = '']) =>
    block.replaceAll('\\\n', ' ').split('\n')
  )

/** As GitHub makes them of headings. */
const anchorsOf = (text: string): string[] =>
  [...text.matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-')
  )

type Setting = { enum?: string[]; secret?: boolean }

const propertiesOf = (name: string): Setting | undefined =>
  Object.hasOwn(Settings.properties, name)
    ? (Settings.properties[name as keyof typeof Settings.properties] as Setting)
    : undefined

/** A secret may come from a file, too. */
const isSetting = (name: string): boolean =>
  propertiesOf(name) !== undefined || propertiesOf(name.replace(/_FILE$/, ''))?.secret === true

async function readCommands(): Promise<Command[]> {
  const folder = join(root, 'src/commands')
  const modules = await Promise.all(readdirSync(folder).map(file => import(join(folder, file))))
  return modules.flatMap(module => Object.values(module).filter(Array.isArray).flat()).filter(isCommand)
}

const isCommand = (value: unknown): value is Command =>
  typeof value === 'object' && value !== null && 'words' in value && 'options' in value

const quoted = /"([^"]*)"|'([^']*)'|(\S+)/g

/** What the command line would refuse of a line; of one that is not `whole` what is left out is no fault. */
function commandProblem(commands: Command[], line: string, whole: boolean): string | null {
  const args = [...line.replace(/\s#.*$/, '').matchAll(quoted)]
    .map(([, double, single, bare]) => double ?? single ?? bare ?? '')
    .slice(line.startsWith('npx ') ? 2 : 1)
  if (args[0] === 'help') return null
  const command = commands.find(({ words }) => `${args.join(' ')} `.startsWith(`${words} `))
  if (command === undefined)
    return !whole && commands.some(({ words }) => words.startsWith(`${args.join(' ')} `))
      ? null
      : 'no such command'
  try {
    const options = { ...command.options, json: { type: 'boolean' } } as const
    const { positionals } = parseArgs({ args, options, allowPositionals: true, strict: true })
    const operands = positionals.length - command.words.split(' ').length
    if (whole && operands !== command.operands.length)
      return `needs ${command.operands.join(' ') || 'no operand'}`
    return null
  } catch (error) {
    return (error as Error).message
  }
}

type Row = { header: string[]; cells: string[] }

/** The rows of every table, each with the table's first row. */
function tablesOf(text: string): Row[] {
  return [...text.matchAll(/^\|.*\|\n\|[ |-]+\|\n((?:\|.*\|\n)+)/gm)].flatMap(([table]) => {
    const [header = [], , ...rows] = table.trimEnd().split('\n').map(cellsOf)
    return rows.map(cells => ({ header, cells }))
  })
}

const cellsOf = (line: string): string[] =>
  line
    .replace(/^\||\|$/g, '')
    .split('|')
    .map(cell => cell.trim())

t.test('links lead somewhere, to the heading that they name', async t => {
  for (const { path, prose } of pages)
    for (const [, target = ''] of prose.matchAll(/\]\(([^)\s]+)\)/g)) {
      if (/^[a-z]+:/.test(target)) continue
      const [file = '', heading] = target.split('#')
      const linked = file === '' ? path : relative(root, resolve(root, dirname(path), file))
      t.ok(existsSync(join(root, linked)), `${path}: ${target}`)
      if (heading !== undefined && existsSync(join(root, linked)))
        t.ok(anchorsOf(readFileSync(join(root, linked), 'utf8')).includes(heading), `${path}: ${target}`)
    }
})

t.test('files that are named are there, tests among them', async t => {
  const named = /^(src|test|docs|views|config|migrations|examples|bench|deploy)\/[\w./-]*$/
  for (const { path, prose } of pages)
    for (const code of codeIn(prose))
      if (named.test(code))
        t.ok(existsSync(join(root, code)) || existsSync(join(root, 'src', code)), `${path}: ${code}`)
})

t.test('each specification that is supported has its test', async t => {
  const { text } = pages.find(({ path }) => path === 'docs/specifications.md') ?? { text: '' }
  const rows = tablesOf(text).filter(({ header }) => header[1] === 'supported')
  t.ok(rows.length > 60)
  for (const { cells } of rows)
    if (cells[1] !== 'no') t.match(cells[3], /^`test\/[\w/-]+\.test\.ts`$/, cells[0] ?? '')
})

t.test('settings that are named exist, with the values that are named', async t => {
  for (const page of pages.filter(({ path }) => path !== 'CONTRIBUTING.md')) {
    for (const text of [...codeIn(page.prose), ...shellIn(page)]) {
      const [, name = '', value] = /^([A-Z][A-Z0-9_]*)(?:=(\S+).*)?$/.exec(text) ?? []
      // Node has variables of its own.
      if ((value === undefined && !name.includes('_')) || name.startsWith('NODE_')) continue
      t.ok(isSetting(name), `${page.path}: ${name}`)
      const choices = propertiesOf(name)?.enum
      if (value !== undefined && choices !== undefined) t.ok(choices.includes(value), `${page.path}: ${text}`)
    }
  }
})

t.test('commands and options that are named exist', async t => {
  const commands = await readCommands()
  const problemOf = (line: string, whole: boolean) => commandProblem(commands, line, whole)
  for (const page of pages) {
    for (const line of shellIn(page))
      if (/^(npx )?gatehouse /.test(line)) t.equal(problemOf(line, true), null, `${page.path}: ${line}`)
    for (const code of codeIn(page.prose))
      if (/^(npx )?gatehouse /.test(code)) t.equal(problemOf(code, false), null, `${page.path}: ${code}`)
  }
})

t.test('client metadata and their options exist', async t => {
  const add = (await readCommands()).find(({ words }) => words === 'clients add')
  const rows = pages.flatMap(({ path, text }) => tablesOf(text).map(row => ({ path, ...row })))
  const ofClients = rows.filter(({ header }) => header[0] === 'client metadata')
  t.ok(ofClients.length > 50)
  for (const { path, header, cells } of ofClients) {
    for (const name of codeIn(cells[0] ?? '')) t.ok(Object.hasOwn(members, name), `${path}: ${name}`)
    if (header[1] !== 'option') continue
    for (const option of codeIn(cells[1] ?? '')) {
      const [, name = ''] = /^--([\w-]+)/.exec(option) ?? []
      t.ok(Object.hasOwn(add?.options ?? {}, name), `${path}: ${option}`)
    }
  }
})

t.test('registrations that are shown whole are accepted', async t => {
  const switchedOn = { ciba: true, jwtEncryption: true, authorizationDetailsTypes: [] }
  const shown = pages.flatMap(({ path, text }) =>
    [...text.matchAll(/^```json\n(\{\n {2}"client_name".*?)^```$/gms)].map(([, json = '']) => ({
      path,
      json
    }))
  )
  t.ok(shown.length > 3)
  for (const { path, json } of shown)
    t.match(parseClientMetadata(JSON.parse(json), switchedOn), { ok: true }, path)
})
