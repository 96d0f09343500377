// npm run bench -- timing: whether the time of an answer tells what its text does not. Signing up at a taken address
// must take as long as at a new one, and signing in to an unknown account as long as with a wrong password.
import { openConnection } from './load/client.ts'
import { browse, findForm, openSignIn, type Page, type Person, post, type Target } from './load/person.ts'
import { openBench } from './servers.ts'
import { median } from './statistics.ts'

const samples = 300

type Pair = { title: string; aim: number; names: [string, string]; measure: Measure }
/** The milliseconds of one answer; `first` is which of the two it is. */
type Measure = (person: Person, first: boolean, index: number) => Promise<number>

async function timed(status: number, work: () => Promise<{ status: number; body: string }>): Promise<number> {
  const startedAt = performance.now()
  const answer = await work()
  const milliseconds = performance.now() - startedAt
  if (answer.status !== status) throw new Error(`${answer.status}: ${answer.body}`)
  return milliseconds
}

/** A new visitor at the page with the form; only the post is timed. */
async function openForm(person: Person, id: 'sign-in-form' | 'sign-up-form'): Promise<Page> {
  person.cookies.clear()
  const signIn = await openSignIn(person)
  if (id === 'sign-in-form') return findForm(signIn, id)
  const { action } = findForm(signIn, 'sign-in-form')
  return findForm(await browse(person, { method: 'GET', path: action.replace(/sign-in$/, 'sign-up') }), id)
}

const pairs: Pair[] = [
  {
    title: 'sign-up',
    aim: 0.1,
    names: ['a taken address', 'a new address'],
    measure: async (person, first, index) => {
      const page = await openForm(person, 'sign-up-form')
      // Each taken address once: after a few mails to one, no more are sent.
      const email = first ? (person.target.people[index]?.email ?? '') : `nobody-${index}@example.org`
      const fields = { email, name: 'Ada Lovelace', password: 'another good long password' }
      return await timed(303, () => post(person, page, fields))
    }
  },
  {
    title: 'sign-in',
    aim: 0.05,
    names: ['an unknown address', 'a wrong password'],
    measure: async (person, first, index) => {
      const page = await openForm(person, 'sign-in-form')
      const email = first ? `stranger-${index}@example.org` : (person.target.people[index]?.email ?? '')
      return await timed(422, () => post(person, page, { email, password: 'not the password of anyone' }))
    }
  }
]

async function comparePair({ title, aim, names, measure }: Pair, target: Target): Promise<boolean> {
  const person: Person = { target, connection: openConnection(target.origin), cookies: new Map(), index: 0 }
  const times: [number[], number[]] = [[], []]
  for (let index = 0; index < samples; index++) {
    // Which of the two comes first changes, so that neither always follows the other.
    for (const first of index % 2 === 0 ? [true, false] : [false, true])
      times[first ? 0 : 1].push(await measure(person, first, index))
  }
  person.connection.close()
  const [one, other] = [median(times[0]), median(times[1])]
  const difference = Math.abs(one - other) / Math.min(one, other)
  const ok = difference <= aim
  process.stdout.write(
    `${title}: ${names[0]} ${one.toFixed(2)} ms, ${names[1]} ${other.toFixed(2)} ms (medians of ${samples}): ` +
      `${(difference * 100).toFixed(1)} % apart, at most ${aim * 100} % wanted: ${ok ? 'ok' : 'NOT OK'}\n`
  )
  return ok
}

/** Prints the comparisons. True when all of them hold. */
export async function compareTimes(): Promise<boolean> {
  const bench = await openBench({ people: samples })
  try {
    const { target } = await bench.startGatehouse({ counting: false })
    const results: boolean[] = []
    for (const pair of pairs) results.push(await comparePair(pair, target))
    return results.every(ok => ok)
  } finally {
    await bench.stop()
  }
}
