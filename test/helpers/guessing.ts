// Whoever guesses: requests from networks and browsers, tries at secrets, and proof of work found as a browser finds it.
import type { Context, RequestFacts } from '../../src/context.ts'
import type { Guess } from '../../src/credentials/guess-model.ts'
import { giveBack, takeGuess } from '../../src/credentials/guess-service.ts'
import { type ProofOfWork, zeroBits } from '../../src/credentials/proof-of-work-model.ts'
import type { Pool } from '../../src/db/connect.ts'

/** The same service, asked by this address and browser. */
export const requestedBy = <C extends Context>(ctx: C, facts: Partial<RequestFacts>): C => ({
  ...ctx,
  request: { id: 'r1', ip: '203.0.113.1', userAgent: 'browser', ...facts }
})

/** What came of a try: `looked_at`, or why not. */
export async function tryOf(
  ctx: Context,
  emailKey: string,
  { right = false, proofOfWork }: { right?: boolean; proofOfWork?: ProofOfWork } = {}
): Promise<'looked_at' | 'too_many' | 'work_needed'> {
  const taken = await takeGuess(ctx, { emailKey, proofOfWork })
  if (!taken.ok) return taken.reason
  if (right) await giveBack(ctx, taken.guess)
  return 'looked_at'
}

/** A guess that must be looked at. */
export async function guessOf(ctx: Context, emailKey: string): Promise<Guess> {
  const taken = await takeGuess(ctx, { emailKey })
  if (!taken.ok) throw new Error(taken.reason)
  return taken.guess
}

export const countOf = <T extends string>(outcomes: T[], wanted: T): number =>
  outcomes.filter(outcome => outcome === wanted).length

/** Finds the number that a challenge asks for. */
export function solve(challenge: string): { challenge: string; solution: string } {
  const [bits = '', , , stamp = ''] = challenge.split('.')
  for (let counter = 0; ; counter++)
    if (zeroBits(stamp, String(counter)) >= Number(bits)) return { challenge, solution: String(counter) }
}

/** As if nobody had guessed at anything. */
export async function forgetGuesses(sql: Pool): Promise<void> {
  await sql`delete from guess_budgets`
}
