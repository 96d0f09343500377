// How much work something is, where the clock on the wall would measure the machine's other guests too.

/** Processor time of this process and its threads for one run, in milliseconds. */
async function cpuOf(run: () => Promise<unknown>): Promise<number> {
  const before = process.cpuUsage()
  await run()
  const { user, system } = process.cpuUsage(before)
  return (user + system) / 1000
}

/**
 * The median work of each candidate, over rounds in which they take turns in a random order. Together with equal
 * statements, equal work is equal time to whoever waits for the answer.
 */
export async function medianWork<Name extends string>(
  rounds: number,
  candidates: Record<Name, (round: number) => Promise<unknown>>
): Promise<Record<Name, number>> {
  const names = Object.keys(candidates) as Name[]
  const work = Object.fromEntries(names.map(name => [name, [] as number[]])) as Record<Name, number[]>
  for (let round = 0; round < rounds; round++)
    for (const name of names.toSorted(() => Math.random() - 0.5))
      work[name].push(await cpuOf(() => candidates[name](round)))
  const median = (values: number[]) => values.sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN
  return Object.fromEntries(names.map(name => [name, median(work[name])])) as Record<Name, number>
}
