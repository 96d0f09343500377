// Which tokens a client may exchange (RFC 8693): data of its registration, by default nothing.
import { Type } from 'typebox'
import { Value } from 'typebox/value'
import { longestTokenSeconds } from '../keys/model.ts'

const text = Type.String({ pattern: '^[\\x21-\\x7e]{1,500}$' })
const names = Type.Array(text, { minItems: 1, maxItems: 50, uniqueItems: true })
const flag = Type.Optional(Type.Boolean())

/** The kinds of token that may be exchanged; `access_token` stands for its JWT form too. */
const subjectTokenTypes = Type.Enum(['access_token', 'id_token'])

const schema = Type.Object(
  {
    subject_clients: names,
    subject_token_types: Type.Optional(Type.Array(subjectTokenTypes, { minItems: 1, uniqueItems: true })),
    audiences: names,
    scopes: Type.Optional(Type.Record(text, names, { additionalProperties: false })),
    impersonation: flag,
    delegation: flag,
    actors: Type.Optional(names),
    max_lifetime_seconds: Type.Optional(Type.Integer({ minimum: 10, maximum: longestTokenSeconds }))
  },
  { additionalProperties: false }
)

export type ExchangePolicy = {
  /** The clients whose tokens it may exchange; its own only where it names itself. */
  subject_clients: string[]
  /** Absent: access tokens alone. */
  subject_token_types?: ('access_token' | 'id_token')[]
  /** The resources that the tokens it gets may be for. */
  audiences: string[]
  /**
   * What scopes of the subject token become at another resource than its own. Absent or without an entry: nothing,
   * since the same word may mean another thing there. An ID token counts as one with the scope `openid`.
   */
  scopes?: Record<string, string[]>
  /** It may get tokens that do not say who acts. */
  impersonation?: boolean
  /** It may get tokens that say who acts (`act`). */
  delegation?: boolean
  /** The clients whose tokens may say who acts; absent: itself. */
  actors?: string[]
  /** Tokens by exchange last no longer, whatever the resource allows. */
  max_lifetime_seconds?: number
}

/** What is wrong with an exchange policy, or null. */
export function exchangePolicyProblem(value: unknown): string | null {
  const [first] = Value.Errors(schema, value)
  if (first !== undefined) {
    const member = first.instancePath.slice(1).replaceAll('/', '.')
    return `${member} ${first.keyword === 'boolean' ? 'is not known' : first.message}`.trim()
  }
  const { impersonation = false, delegation = false, actors } = value as ExchangePolicy
  if (!impersonation && !delegation) return 'must allow impersonation or delegation'
  return actors !== undefined && !delegation ? 'must not name actors without delegation' : null
}
