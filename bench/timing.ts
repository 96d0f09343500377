// npm run bench -- timing: whether the time of an answer tells what its text does not. Signing up at a taken address
// must take as long as at a new one, signing in to an account as long as to none, whatever state it is in, and asking for
// a new password as long for an address that nobody has.
import { type Connection, openConnection } from './load/client.ts'
import { browse, findForm, openSignIn, type Page, type Person, post, type Target } from './load/person.ts'
import { openBench } from './servers.ts'
import { median } from './statistics.ts'

const fullSamples = 300
const quickSamples = 20
const wrong = 'not the password of anyone'

type Pair = {
  title: string
  aim: number
  names: [string, string]
  /** Null where this installation has no such page. */
  open: (person: Person) => Promise<Measure | null>
}
/** The milliseconds of one answer; `first` is which of the two it is. */
type Measure = (first: boolean, index: number) => Promise<number>

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

const signUp: Pair = {
  title: 'sign-up',
  aim: 0.1,
  names: ['a taken address', 'a new address'],
  open: async person => async (first, index) => {
    const page = await openForm(person, 'sign-up-form')
    // Each taken address once: after a few mails to one, no more are sent.
    const email = first ? (person.target.people[index]?.email ?? '') : `nobody-${index}@example.org`
    const fields = { email, name: 'Ada Lovelace', password: 'another good long password' }
    return await timed(303, () => post(person, page, fields))
  }
}

/** Each address is tried once, so that none has to wait. `name` is what its accounts' addresses begin with. */
const signIn = (state: string, name: string): Pair => ({
  title: 'sign-in',
  aim: 0.05,
  names: ['an unknown address', state],
  open: async person => async (first, index) => {
    const page = await openForm(person, 'sign-in-form')
    const email = first ? `stranger-to-${name}-${index}@example.org` : `${name}-${index}@example.org`
    return await timed(422, () => post(person, page, { email, password: wrong }))
  }
})

const blocked: Pair = {
  title: 'sign-in while it has to wait',
  aim: 0.05,
  names: ['an unknown address', 'an account'],
  open: async person => {
    const page = await openForm(person, 'sign-in-form')
    const tryAt = (email: string) => post(person, page, { email, password: wrong })
    const block = async (email: string) => {
      for (let tries = 0; (await tryAt(email)).status !== 429; tries++)
        if (tries > 20) throw new Error(`${email} never has to wait`)
    }
    let blockedAt = Number.NEGATIVE_INFINITY
    return async first => {
      const emails = ['stranger-who-waits@example.org', person.target.people[0]?.email ?? '']
      if (performance.now() - blockedAt > 7000) {
        for (const email of emails) await block(email)
        blockedAt = performance.now()
      }
      return await timed(429, () => tryAt(emails[first ? 0 : 1] ?? ''))
    }
  }
}

const reset: Pair = {
  title: 'asking for a new password',
  aim: 0.05,
  names: ['an unknown address', 'an account'],
  open: async person => {
    person.cookies.clear()
    const page = await browse(person, { method: 'GET', path: '/reset-password' })
    if (page.status === 404) return null
    return async (first, index) => {
      const email = first ? `stranger-${index}@example.org` : (person.target.people[index]?.email ?? '')
      return await timed(303, () => post(person, findForm(page, 'reset-request-form'), { email }))
    }
  }
}

const pairs: Pair[] = [
  signUp,
  signIn('a wrong password', 'person'),
  signIn('a disabled account', 'disabled'),
  signIn('an account without password', 'passwordless'),
  blocked,
  reset
]

async function comparePair(pair: Pair, target: Target, samples: number): Promise<boolean> {
  const connection = openConnection(target.origin)
  try {
    return await compareOn(connection, { pair, target, samples })
  } finally {
    connection.close()
  }
}

async function compareOn(
  connection: Connection,
  { pair, target, samples }: { pair: Pair; target: Target; samples: number }
): Promise<boolean> {
  const { title, aim, names } = pair
  const measure = await pair.open({ target, connection, cookies: new Map(), index: 0 })
  if (measure === null) {
    process.stdout.write(`${title}: there is no such page\n`)
    return true
  }
  const times: [number[], number[]] = [[], []]
  for (let index = 0; index < samples; index++) {
    // Which of the two comes first changes, so that neither always follows the other.
    for (const first of index % 2 === 0 ? [true, false] : [false, true])
      times[first ? 0 : 1].push(await measure(first, index))
  }
  const [one, other] = [median(times[0]), median(times[1])]
  const difference = Math.abs(one - other) / Math.min(one, other)
  const ok = difference <= aim
  process.stdout.write(
    `${title}: ${names[0]} ${one.toFixed(2)} ms, ${names[1]} ${other.toFixed(2)} ms (medians of ${samples}): ` +
      `${(difference * 100).toFixed(1)} % apart, at most ${aim * 100} % wanted: ${ok ? 'ok' : 'NOT OK'}\n`
  )
  return ok
}

/** Prints the comparisons. True when all of them hold. `quick`: too few samples to tell, enough to see that it runs. */
export async function compareTimes({ quick }: { quick: boolean }): Promise<boolean> {
  const samples = quick ? quickSamples : fullSamples
  const bench = await openBench({ people: samples, inEachState: samples })
  try {
    const { target } = await bench.startGatehouse({ counting: false })
    const results: boolean[] = []
    for (const pair of pairs) results.push(await comparePair(pair, target, samples))
    return results.every(ok => ok)
  } finally {
    await bench.stop()
  }
}
