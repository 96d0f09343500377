// npm run bench: the bare library and Gatehouse side by side. See README.md for what is compared, and how.
import { mkdirSync } from 'node:fs'
import { resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { flows } from './load/flows.ts'
import { type Comparison, compare, countStatements, type Plan } from './measure.ts'
import { overload } from './overload.ts'
import { toLine, toMarkdown, writeReadme } from './report.ts'
import { openBench } from './servers.ts'
import { median } from './statistics.ts'
import type { Usage } from './targets/usage.ts'
import { compareTimes } from './timing.ts'

const usage = `npm run bench -- [--quick] [--only flow]… [--write] [--profile directory]
npm run bench -- --against directory [--quick] [--only flow]…
npm run bench -- timing [--quick]
npm run bench -- overload [--quick]
flows: ${Object.keys(flows).join(' ')}`

const full: Plan = {
  rounds: 4,
  seconds: 2.5,
  warmUpSeconds: 1.5,
  steps: 1600,
  lanes: 16,
  profileDirectory: null
}
const quick: Plan = { ...full, rounds: 2, seconds: 0.8, warmUpSeconds: 0.5, steps: 400 }

async function run(plan: Plan, names: string[], write: boolean): Promise<void> {
  const bench = await openBench({ people: plan.lanes })
  try {
    const statements = await countStatements(bench, names, plan)
    const gatehouse = await bench.startGatehouse({ counting: false })
    await sleep(3000)
    const { rssBytes: idleRssBytes } = await gatehouse.child.ask<Usage>('usage')
    const servers = { gatehouse, bare: await bench.startBare() }
    const hashes: number[] = []
    const hashing = names.includes('sign-in') ? await bench.startHashing() : null
    const hash = async () =>
      void hashes.push((await hashing?.ask<number>('hash', plan.seconds)) ?? Number.NaN)
    const comparisons: Comparison[] = []
    for (const flow of names) {
      process.stderr.write(`${flows[flow]?.title}\n`)
      const work = { load: bench.load, flow, plan }
      const pair = flows[flow]?.gatehouseOnly ? { ...servers, bare: null } : servers
      const compared = await compare(work, pair, flow === 'sign-in' ? hash : undefined)
      comparisons.push({ ...compared, statements: statements.get(flow) ?? Number.NaN })
    }
    const markdown = toMarkdown({
      comparisons,
      idleRssBytes,
      hashesPerSecond: hashes.length === 0 ? null : median(hashes),
      postgresVersion: bench.database.version,
      lanes: plan.lanes
    })
    process.stdout.write(`\n${markdown}\n`)
    if (write) writeReadme(markdown, new Date().toISOString().slice(0, 10))
  } finally {
    await bench.stop()
  }
}

/**
 * This code and another checkout of it, each with a database of its own, by turns: what a change costs. Rows go from the
 * other checkout to this one; a flow that the other does not know yet is left out.
 */
async function runAgainst(plan: Plan, names: string[], directory: string): Promise<void> {
  const other = (await import(resolve(directory, 'bench/servers.ts'))) as { openBench: typeof openBench }
  const benches = [
    await openBench({ people: plan.lanes }),
    await other.openBench({ people: plan.lanes })
  ] as const
  try {
    const [bench, otherBench] = benches
    const gatehouse = await bench.startGatehouse({ counting: false })
    const before = await otherBench.startGatehouse({ counting: false })
    before.target.name = 'before'
    for (const flow of names) {
      const work = { load: bench.load, flow, plan }
      const compared = await compare(work, { bare: before, gatehouse })
      process.stdout.write(`${toLine(compared)}\n`)
    }
  } finally {
    for (const bench of benches) await bench.stop()
  }
}

/** What is measured by itself, each with an aim: the exit code says whether it was met. */
const others: Record<string, (options: { quick: boolean }) => Promise<boolean>> = {
  timing: compareTimes,
  overload
}

function readArguments() {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      quick: { type: 'boolean', default: false },
      only: { type: 'string', multiple: true },
      write: { type: 'boolean', default: false },
      profile: { type: 'string' },
      against: { type: 'string' }
    }
  })
  const names = values.only ?? Object.keys(flows)
  const [other, ...more] = positionals
  const known = other === undefined || Object.hasOwn(others, other)
  if (names.some(name => flows[name] === undefined) || !known || more.length > 0)
    throw new Error('there is no such flow')
  return { ...values, names, other: other === undefined ? undefined : others[other] }
}

let wanted: ReturnType<typeof readArguments>
try {
  wanted = readArguments()
} catch {
  process.stderr.write(`${usage}\n`)
  process.exit(2)
}
if (wanted.other !== undefined) {
  process.exitCode = (await wanted.other({ quick: wanted.quick })) ? 0 : 1
} else {
  const { profile = null, quick: rough, names, write, against } = wanted
  if (profile !== null) mkdirSync(profile, { recursive: true })
  const plan = { ...(rough ? quick : full), profileDirectory: profile }
  await (against === undefined ? run(plan, names, write) : runAgainst(plan, names, against))
}
