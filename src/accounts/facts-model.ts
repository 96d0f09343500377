// The part of an account that tokens and pages tell of, read along with whatever belongs to the account.

export type AccountFacts = {
  id: string
  email: string
  emailVerified: boolean
  name: string
  /** Further standard claims, by their names in OpenID Connect Core 1.0 §5.1. */
  profile: Record<string, unknown>
  /** Seconds since 1970. */
  updatedAt: number
}

/** The column `account` of a statement that joins accounts as `a`: AccountFacts, or null without an account. */
export const accountFactsColumn = `case when a.id is null then null else jsonb_build_object('id', a.id, 'email', a.email,
  'emailVerified', a.email_verified_at is not null, 'name', a.name, 'profile', a.profile,
  'updatedAt', floor(extract(epoch from a.updated_at))) end as account`
