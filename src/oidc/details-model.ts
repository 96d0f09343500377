// Authorization details (RFC 9396): what a request may ask for in a form of its own. Pure.
import { isDeepStrictEqual } from 'node:util'

export type AuthorizationDetail = { type: string } & Record<string, unknown>

/** A type as AUTHORIZATION_DETAILS_TYPES_FILE has it. */
export type DetailType = { title: string; schema: Record<string, unknown> }

/** One detail in words: what a person is shown and agrees to. */
export type DescribedDetail = { title: string; fields: { label: string; value: string }[] }

/** Members of RFC 9396 §2.2 that list what is allowed: fewer of them allow less. */
const lists = ['locations', 'actions', 'datatypes', 'privileges']

/**
 * Whether `requested` asks for nothing beyond `granted`: equal to it, but for fewer entries in its lists. A list that is
 * left out may stand for everything, so it must stay.
 */
export function isWithin(granted: AuthorizationDetail, requested: AuthorizationDetail): boolean {
  const names = new Set([...Object.keys(granted), ...Object.keys(requested)])
  return [...names].every(name => {
    const [own, asked] = [granted[name], requested[name]]
    if (lists.includes(name) && Array.isArray(own) && Array.isArray(asked))
      return asked.length > 0 && asked.every(entry => own.includes(entry))
    return isDeepStrictEqual(own, asked)
  })
}

/** The details of `wanted` that are not in `held`. */
export const detailsBeyond = (
  held: readonly AuthorizationDetail[],
  wanted: readonly AuthorizationDetail[]
): AuthorizationDetail[] => wanted.filter(detail => !held.some(known => isDeepStrictEqual(known, detail)))

/** What a token for `audience` may know: details for other places are none of its business. @see RFC 9396 §7, §14 */
export const detailsFor = (
  details: readonly AuthorizationDetail[],
  audience: unknown
): AuthorizationDetail[] =>
  details.filter(({ locations }) => !Array.isArray(locations) || locations.includes(audience))

/** Everything that a detail says, in words, in the schema's order and the rest after it: what is not shown is not agreed to. */
export function describeDetail(detail: AuthorizationDetail, { title, schema }: DetailType): DescribedDetail {
  const { type: _type, ...members } = detail
  return { title, fields: describeMembers(members, schema, '') }
}

type Schema = { title?: unknown; properties?: Record<string, Schema>; items?: Schema }

function describeMembers(
  members: object,
  { properties = {} }: Schema,
  prefix: string
): DescribedDetail['fields'] {
  // Storage keeps no order of members, so theirs would not be the application's in any case.
  const known = Object.keys(properties)
  const rank = (name: string) => (known.includes(name) ? known.indexOf(name) : known.length)
  const ordered = Object.entries(members).sort(([a], [b]) => rank(a) - rank(b))
  return ordered.flatMap(([name, value]) => {
    const schema = Object.hasOwn(properties, name) ? (properties[name] ?? {}) : {}
    const label = typeof schema.title === 'string' ? schema.title : toWords(name)
    return describeValue(value, schema, prefix === '' ? label : `${prefix}: ${label}`)
  })
}

function describeValue(value: unknown, schema: Schema, label: string): DescribedDetail['fields'] {
  if (Array.isArray(value) && value.some(entry => typeof entry === 'object'))
    return value.flatMap((entry, index) => describeValue(entry, schema.items ?? {}, `${label} ${index + 1}`))
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    const fields = describeMembers(value, schema, label)
    return fields.length > 0 ? fields : [{ label, value: '(nothing more said)' }]
  }
  if (Array.isArray(value) && value.length === 0) return [{ label, value: '(empty list)' }]
  return [{ label, value: [value].flat().map(toText).join(', ') }]
}

const toText = (value: unknown): string =>
  typeof value === 'boolean' ? (value ? 'yes' : 'no') : value === null ? 'none' : String(value)

/** instructedAmount, instructed_amount: Instructed amount. */
function toWords(name: string): string {
  const words = name
    .replace(/([a-z0-9])([A-Z])/g, '$1 $2')
    .replaceAll('_', ' ')
    .toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

/** Longer ones nobody reads before agreeing to them. */
const longestDetail = 5000

/**
 * What makes a detail unfit to be shown, or null. Direction marks, control characters and what leaves no ink make a page
 * read as something else.
 */
export function displayProblem(detail: AuthorizationDetail): string | null {
  const text = JSON.stringify(detail)
  if (text.length > longestDetail) return `is longer than ${longestDetail} characters`
  return hasHiddenText(detail) ? 'holds control characters or invisible ones' : null
}

function hasHiddenText(value: unknown): boolean {
  // U+2800 counts as a symbol and is a blank.
  if (typeof value === 'string')
    return /[\p{C}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800]/u.test(value)
  if (typeof value !== 'object' || value === null) return false
  return Object.entries(value).some(([name, member]) => hasHiddenText(name) || hasHiddenText(member))
}
