// Whose assertions stand for a client (RFC 7523 §2.1): an issuer, and what its tokens must say. Pure.
import { jwksProblem } from './jwks-model.ts'
import type { Fault } from './model.ts'

export type Workload = {
  id: string
  clientId: string
  issuer: string
  /** Whom an assertion must be for; null: this installation. */
  audience: string | null
  /** A pattern (`subjectMatches`); null: any subject whose claims fit. */
  subject: string | null
  /** Claim to the values that it may have. */
  claims: Record<string, string[]>
  /** The issuer's keys; null: by its discovery document. */
  jwks: { keys: Record<string, unknown>[] } | null
  /** An assertion may be presented again until it expires. */
  reusable: boolean
  createdAt: Date
}

export type WorkloadInput = Omit<Workload, 'id' | 'createdAt' | 'jwks'> & { jwks: unknown }

/** What is wrong with a rule, all of it at once. Plain http is for issuers in one's own networks; fetching sees to that. */
export function workloadFaults(input: WorkloadInput): Fault[] {
  const faults: Fault[] = []
  const check = (field: string, wrong: boolean, message: string) =>
    void (wrong && faults.push({ field, message }))
  const { issuer, audience, subject, claims, jwks } = input
  check('issuer', !isIssuer(issuer), 'must be a URL like https://token.actions.githubusercontent.com')
  check('audience', audience !== null && !isText(audience), 'must be a text of at most 500 characters')
  check('subject', subject !== null && !isText(subject), 'must be a text of at most 500 characters')
  // Everybody whom a public issuer vouches for would be the client.
  check('subject', subject?.startsWith('*') === true, 'must not begin with *: say whose it is')
  check(
    'claims',
    subject === null && Object.keys(claims).length === 0,
    'or a subject is needed: else anybody with a token of the issuer would be the client'
  )
  for (const [name, values] of Object.entries(claims))
    check('claims', !isText(name) || values.length === 0 || !values.every(isText), `${name} must have values`)
  const problem = jwks === null ? null : jwksProblem(jwks)
  if (problem !== null) faults.push({ field: 'jwks', message: problem })
  return faults
}

const isText = (value: string) => value !== '' && value.length <= 500 && !/\p{Cc}/u.test(value)

function isIssuer(text: string): boolean {
  const url = URL.parse(text)
  return (
    url !== null &&
    text.length <= 500 &&
    ['https:', 'http:'].includes(url.protocol) &&
    url.username === '' &&
    !/[?#\s\\]/.test(text)
  )
}

export type AssertionClaims = Record<string, unknown> & { iss: string; sub: string; aud: string[] }

/** Whether an assertion says what the rule asks for. Its signature is not looked at here. */
export function workloadMatches(workload: Workload, claims: AssertionClaims, issuer: string[]): boolean {
  const audiences = workload.audience === null ? issuer : [workload.audience]
  return (
    claims.iss === workload.issuer &&
    claims.aud.some(audience => audiences.includes(audience)) &&
    (workload.subject === null || subjectMatches(workload.subject, claims.sub)) &&
    Object.entries(workload.claims).every(([name, values]) => hasValue(claims, name, values))
  )
}

/** Numbers and booleans count as they are written; what is neither text nor these has no value to compare. */
function hasValue(claims: AssertionClaims, name: string, values: string[]): boolean {
  const value = Object.hasOwn(claims, name) ? claims[name] : undefined
  return ['string', 'number', 'boolean'].includes(typeof value) && values.includes(String(value))
}

/**
 * Whether the whole of a subject fits a pattern: `*` stands for any characters but `/` and `:`, `**` for any but `:`.
 *
 * Neither goes beyond a colon, since that is where issuers put their subjects' parts together: a repository or branch whose
 * name imitates the next part does not become it. Takes time in proportion to both lengths, whatever they hold.
 */
export function subjectMatches(pattern: string, subject: string): boolean {
  const parts = pattern.match(/\*\*|./gsu) ?? []
  // Where in the pattern one may be, with every character read so far.
  let places = skipStars(parts, new Set([0]))
  for (const character of subject) {
    const next = new Set<number>()
    for (const place of places) {
      const part = parts[place]
      if (part === '**' && character !== ':') next.add(place)
      else if (part === '*' && character !== ':' && character !== '/') next.add(place)
      else if (part === character) next.add(place + 1)
    }
    places = skipStars(parts, next)
  }
  return places.has(parts.length)
}

/** A star may stand for nothing at all. */
function skipStars(parts: string[], places: Set<number>): Set<number> {
  // A set is walked to its end also while it grows.
  for (const place of places) if (parts[place] === '*' || parts[place] === '**') places.add(place + 1)
  return places
}
