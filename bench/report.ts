// The figures as a table: for the terminal, and for bench/README.md.
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, cpus, totalmem } from 'node:os'
import { join } from 'node:path'
import { flows } from './load/flows.ts'
import type { Comparison, Figures } from './measure.ts'

export type Report = {
  comparisons: Comparison[]
  idleRssBytes: number
  /** argon2id hashes a second; null when no sign-ins were measured. */
  hashesPerSecond: number | null
  postgresVersion: string
  lanes: number
}

/** What Gatehouse aims for, as a share of the bare library's requests a second. */
export const aims: Record<string, number> = {
  'cc-opaque': 0.6,
  'cc-jwt': 0.9,
  code: 0.6,
  refresh: 0.6,
  introspection: 0.6,
  userinfo: 0.9,
  discovery: 2,
  jwks: 2
}

const columns = [
  'flow',
  'bare req/s',
  'Gatehouse req/s',
  'ratio',
  'aim',
  'p50 ms',
  'p99 ms',
  'CPU µs/req',
  'RSS MB',
  'SQL/req'
]

const round = (value: number) => value.toFixed(value < 100 ? 1 : 0)
const megabytes = (bytes: number) => (bytes / 2 ** 20).toFixed(0)

function rowOf({ flow, bare, gatehouse, statements }: Comparison): string[] {
  const pair = (of: (figures: Figures) => string) =>
    bare === null ? of(gatehouse) : `${of(bare)} → ${of(gatehouse)}`
  return [
    flows[flow]?.title ?? flow,
    bare === null ? '' : round(bare.perSecond),
    round(gatehouse.perSecond),
    bare === null ? '' : (gatehouse.perSecond / bare.perSecond).toFixed(2),
    aims[flow]?.toFixed(1) ?? '',
    pair(({ p50 }) => round(p50)),
    pair(({ p99 }) => round(p99)),
    pair(({ cpuMicroseconds }) => cpuMicroseconds.toFixed(0)),
    pair(({ rssBytes }) => megabytes(rssBytes)),
    round(statements)
  ]
}

/** What a change did to one flow: requests a second and processor time, from before to after. */
export function toLine({ flow, bare: before, gatehouse: after }: Omit<Comparison, 'statements'>): string {
  if (before === null) throw new Error('there is nothing before')
  const share = (of: (figures: Figures) => number) =>
    `${round(of(before))} → ${round(of(after))} (${(of(after) / of(before)).toFixed(3)})`
  const cpu = share(({ cpuMicroseconds }) => cpuMicroseconds)
  return `${(flows[flow]?.title ?? flow).padEnd(42)} req/s ${share(({ perSecond }) => perSecond)}   CPU µs/req ${cpu}`
}

/** The table and what stands below it, as Markdown that reads well in a terminal. */
export function toMarkdown({
  comparisons,
  idleRssBytes,
  hashesPerSecond,
  postgresVersion,
  lanes
}: Report): string {
  const rows = [columns, ...comparisons.map(rowOf)]
  const widths = columns.map((_, index) => Math.max(...rows.map(row => row[index]?.length ?? 0)))
  const line = (cells: string[]) =>
    `| ${cells.map((cell, index) => (index === 0 ? cell.padEnd(widths[index] ?? 0) : cell.padStart(widths[index] ?? 0))).join(' | ')} |`
  const rule = `|${widths.map((width, index) => (index === 0 ? `-${'-'.repeat(width)}-` : `-${'-'.repeat(width)}:`)).join('|')}|`
  const signIns = comparisons.find(({ flow }) => flow === 'sign-in')
  return [
    `${cpus()[0]?.model.trim() ?? 'unknown processor'}, ${availableParallelism()} cores, ${Math.round(totalmem() / 2 ** 30)} GiB; Node ${process.version}; PostgreSQL ${postgresVersion}; ${lanes} connections.`,
    '',
    line(columns),
    rule,
    ...rows.slice(1).map(line),
    '',
    `- Idle Gatehouse node after its start: ${megabytes(idleRssBytes)} MB RSS (aim: under 150).`,
    ...(hashesPerSecond === null || signIns?.bare == null
      ? []
      : [
          `- argon2id alone: ${round(hashesPerSecond)} hashes/s; sign-ins reach ${(signIns.gatehouse.perSecond / hashesPerSecond).toFixed(2)} of that (aim: 0.8), the bare library ${(signIns.bare.perSecond / hashesPerSecond).toFixed(2)}.`
        ])
  ].join('\n')
}

const readme = join(import.meta.dirname, 'README.md')
const begin = '<!-- figures -->'
const end = '<!-- /figures -->'

/** Puts the figures between the marks in bench/README.md. */
export function writeReadme(markdown: string, date: string): void {
  const text = readFileSync(readme, 'utf8')
  const [before, rest] = [text.split(begin)[0], text.split(end)[1]]
  if (rest === undefined) throw new Error(`${readme} lacks its marks`)
  writeFileSync(readme, `${before}${begin}\n\nMeasured ${date}. ${markdown}\n\n${end}${rest}`)
}
