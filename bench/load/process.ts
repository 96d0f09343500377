// The load generator's process: keeps lanes for each server, prepares them and drives rounds when told to.
import { answerParent } from '../child.ts'
import { percentile } from '../statistics.ts'
import { openConnection } from './client.ts'
import { flows, type Lane } from './flows.ts'
import type { Target } from './person.ts'

export type Round = { target: Target; flow: string; lanes: number; seconds: number; steps: number }
export type RoundResult = { count: number; seconds: number; p50: number; p99: number }

const kept = new Map<string, Lane[]>()

function lanesOf({ target, flow, lanes }: Round): Lane[] {
  const key = `${target.name} ${flow}`
  const found =
    kept.get(key) ??
    Array.from({ length: lanes }, (_, index) => ({
      target,
      index,
      connection: openConnection(target.origin),
      cookies: new Map(),
      codes: []
    }))
  kept.set(key, found)
  return found
}

function flowOf({ flow }: Round) {
  const found = flows[flow]
  if (found === undefined) throw new Error(`there is no flow ${flow}`)
  return found
}

async function prepare(round: Round): Promise<void> {
  const { prepare } = flowOf(round)
  if (prepare !== undefined)
    await Promise.all(lanesOf(round).map(lane => prepare(lane, Math.ceil(round.steps / round.lanes))))
}

/** As many steps as there is time for, or `steps` if that is less. */
async function run(round: Round): Promise<RoundResult> {
  const { step } = flowOf(round)
  const startedAt = performance.now()
  const until = startedAt + round.seconds * 1000
  const durations: number[] = []
  await Promise.all(
    lanesOf(round).map(async lane => {
      for (let now = performance.now(); now < until && durations.length < round.steps; ) {
        if (!(await step(lane))) return
        const after = performance.now()
        durations.push(after - now)
        now = after
      }
    })
  )
  const seconds = (performance.now() - startedAt) / 1000
  durations.sort((a, b) => a - b)
  return { count: durations.length, seconds, p50: percentile(durations, 50), p99: percentile(durations, 99) }
}

/** Closes a flow's connections. */
function close({ target, flow }: Round): void {
  for (const { connection } of kept.get(`${target.name} ${flow}`) ?? []) connection.close()
  kept.delete(`${target.name} ${flow}`)
}

answerParent({ prepare, run, close })
