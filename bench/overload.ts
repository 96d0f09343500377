// npm run bench -- overload: 500 people press “Sign in” at the same moment. Some are served, the others are told when to
// come back, and what applications need meanwhile (keys, health) is answered as if nothing were.
import { setTimeout as sleep } from 'node:timers/promises'
import { header, openConnection } from './load/client.ts'
import { findForm, openSignIn, type Page, type Person, post, type Target } from './load/person.ts'
import { openBench } from './servers.ts'
import { percentile } from './statistics.ts'

const fullPlan = { people: 500, waves: 5 }
const quickPlan = { people: 500, waves: 1 }
const probed = ['/jwks', '/healthz'] as const
const wantedMs = 100
/** Between waves, until the line of hashes is empty again. */
const calmMs = 3000

type Visit = { person: Person; page: Page }

async function openVisits(target: Target): Promise<Visit[]> {
  const visits: Visit[] = []
  for (const index of target.people.keys()) {
    const person = { target, connection: openConnection(target.origin), cookies: new Map(), index }
    visits.push({ person, page: findForm(await openSignIn(person), 'sign-in-form') })
  }
  return visits
}

/** Everybody signs in at once, with the right password. Answers with the statuses; 503 and 429 must say when to come back. */
async function signInAtOnce(visits: Visit[]): Promise<string[]> {
  return await Promise.all(
    visits.map(async ({ person, page }) => {
      const { email, password } = person.target.people[person.index] ?? { email: '', password: '' }
      try {
        const answer = await post(person, page, { email, password })
        const orderly =
          ![429, 503].includes(answer.status) || header(answer.head, 'retry-after') !== undefined
        return orderly ? String(answer.status) : `${answer.status} without Retry-After`
      } catch (error) {
        return String(error)
      }
    })
  )
}

/** Asks for `path` every few milliseconds until stopped; how long each answer took, in milliseconds. */
function probe({ origin }: Target, path: string): { stop: () => Promise<number[]> } {
  const connection = openConnection(origin)
  const times: number[] = []
  let probing = true
  const done = (async () => {
    while (probing) {
      const startedAt = performance.now()
      const { status } = await connection.send({ method: 'GET', path })
      times.push(status === 200 ? performance.now() - startedAt : Number.POSITIVE_INFINITY)
      await sleep(5)
    }
  })()
  return {
    stop: async () => {
      probing = false
      await done
      connection.close()
      return times.sort((a, b) => a - b)
    }
  }
}

async function runWave(target: Target): Promise<{ statuses: string[]; times: number[][] }> {
  const visits = await openVisits(target)
  const probes = probed.map(path => probe(target, path))
  const statuses = await signInAtOnce(visits)
  const times = await Promise.all(probes.map(({ stop }) => stop()))
  for (const { person } of visits) person.connection.close()
  await sleep(calmMs)
  return { statuses, times }
}

/** Prints the counts and the probes' times. True when nothing but orderly answers came, and those of the probes in time. */
export async function overload({ quick }: { quick: boolean }): Promise<boolean> {
  const { people, waves } = quick ? quickPlan : fullPlan
  const bench = await openBench({ people })
  try {
    const { target } = await bench.startGatehouse({ counting: false })
    const results: Awaited<ReturnType<typeof runWave>>[] = []
    for (let wave = 0; wave < waves; wave++) results.push(await runWave(target))
    const statuses = results.flatMap(({ statuses }) => statuses)
    const count = (status: string) => statuses.filter(one => one === status).length
    const others = statuses.filter(status => !['303', '503'].includes(status))
    process.stdout.write(
      `${waves} × ${people} sign-ins at once: ${count('303')} signed in, ${count('503')} told to come back (503), ` +
        `${others.length} others ${[...new Set(others)].join(' | ')}\n`
    )
    const inTime = probed.map((path, index) => {
      const times = results.flatMap(({ times }) => times[index] ?? []).sort((a, b) => a - b)
      const [p50, p99, max] = [percentile(times, 50), percentile(times, 99), times.at(-1) ?? Number.NaN]
      const figures = `p50 ${p50.toFixed(1)} ms, p99 ${p99.toFixed(1)} ms, at most ${max.toFixed(1)} ms`
      process.stdout.write(
        `${path} meanwhile: ${figures} (${times.length} requests): ${p99 < wantedMs ? 'ok' : 'NOT OK'}\n`
      )
      return p99 < wantedMs
    })
    return others.length === 0 && count('303') > 0 && inTime.every(ok => ok)
  } finally {
    await bench.stop()
  }
}
