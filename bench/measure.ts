// Rounds of one flow, by turns on the bare library and on Gatehouse, so that what disturbs the machine hits both.
import { join } from 'node:path'
import type { Child } from './child.ts'
import type { Round, RoundResult } from './load/process.ts'
import type { Bench, Server } from './servers.ts'
import { median } from './statistics.ts'
import type { Usage } from './targets/usage.ts'

export type Plan = {
  rounds: number
  seconds: number
  warmUpSeconds: number
  /** For flows that spend what was made in advance. */
  steps: number
  lanes: number
  /** Where CPU profiles of a further round go. */
  profileDirectory: string | null
}

export type Figures = {
  perSecond: number
  p50: number
  p99: number
  cpuMicroseconds: number
  rssBytes: number
}
export type Comparison = { flow: string; bare: Figures | null; gatehouse: Figures; statements: number }

type Work = { load: Child; flow: string; plan: Plan }

const roundOf = ({ flow, plan }: Work, { target }: Server): Round => ({
  target,
  flow,
  lanes: plan.lanes,
  seconds: plan.seconds,
  steps: Number.MAX_SAFE_INTEGER
})

/** Prepares and drives one round. */
async function drive(work: Work, server: Server, over: Partial<Round> = {}): Promise<RoundResult> {
  const round = { ...roundOf(work, server), ...over }
  await work.load.ask('prepare', { ...round, steps: Math.min(round.steps, work.plan.steps) })
  return await work.load.ask<RoundResult>('run', round)
}

async function measureRound(work: Work, server: Server): Promise<Figures> {
  const round = roundOf(work, server)
  await work.load.ask('prepare', { ...round, steps: work.plan.steps })
  const before = await server.child.ask<Usage>('usage')
  const { count, seconds, p50, p99 } = await work.load.ask<RoundResult>('run', round)
  const after = await server.child.ask<Usage>('usage')
  return {
    perSecond: count / seconds,
    p50,
    p99,
    cpuMicroseconds: (after.cpuMicroseconds - before.cpuMicroseconds) / count,
    rssBytes: after.rssBytes
  }
}

function medians(rounds: Figures[]): Figures {
  const of = (key: keyof Figures) => median(rounds.map(round => round[key]))
  return {
    perSecond: of('perSecond'),
    p50: of('p50'),
    p99: of('p99'),
    cpuMicroseconds: of('cpuMicroseconds'),
    rssBytes: of('rssBytes')
  }
}

/** Statements for one step of each flow, counted on a server of its own. */
export async function countStatements(
  bench: Bench,
  names: string[],
  plan: Plan
): Promise<Map<string, number>> {
  const server = await bench.startGatehouse({ counting: true })
  const steps = 10
  const counts = new Map<string, number>()
  for (const flow of names) {
    const work: Work = { load: bench.load, flow, plan: { ...plan, lanes: 1, steps } }
    await drive(work, server, { steps: 2 })
    const round = { ...roundOf(work, server), steps }
    await bench.load.ask('prepare', round)
    const before = await server.child.ask<Usage>('usage')
    const { count } = await bench.load.ask<RoundResult>('run', round)
    const after = await server.child.ask<Usage>('usage')
    counts.set(flow, (after.statements - before.statements) / count)
    await bench.load.ask('close', round)
  }
  await server.child.stop()
  return counts
}

/** `bare` null: there is nothing to compare with. `beside` is run once before each round: what this flow is bounded by, say. */
export async function compare(
  work: Work,
  { bare, gatehouse }: { bare: Server | null; gatehouse: Server },
  beside: () => Promise<void> = async () => {}
): Promise<Omit<Comparison, 'statements'>> {
  const { plan } = work
  const servers = bare === null ? [gatehouse] : [bare, gatehouse]
  for (const server of servers)
    await drive(work, server, { seconds: plan.warmUpSeconds, steps: plan.steps / 4 })
  const figures = new Map<Server, Figures[]>(servers.map(server => [server, []]))
  for (let round = 0; round < plan.rounds; round++) {
    await beside()
    // Whoever comes second finds a warmer machine: they take turns in that, too.
    for (const server of round % 2 === 0 ? servers : servers.toReversed())
      figures.get(server)?.push(await measureRound(work, server))
  }
  for (const server of servers) {
    if (plan.profileDirectory !== null) await profile(work, server, plan.profileDirectory)
    await work.load.ask('close', roundOf(work, server))
  }
  return {
    flow: work.flow,
    bare: bare === null ? null : medians(figures.get(bare) ?? []),
    gatehouse: medians(figures.get(gatehouse) ?? [])
  }
}

async function profile(work: Work, server: Server, directory: string): Promise<void> {
  await work.load.ask('prepare', { ...roundOf(work, server), steps: work.plan.steps })
  await server.child.ask('startProfile')
  const { count } = await work.load.ask<RoundResult>('run', roundOf(work, server))
  const file = join(directory, `${work.flow}-${server.target.name}.cpuprofile`)
  await server.child.ask('endProfile', file)
  process.stderr.write(`${file}: ${count} requests\n`)
}
