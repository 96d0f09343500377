// Which ways of signing in an account has, read along with whatever belongs to the account.

export type FactorFacts = {
  password: boolean
  /** Authenticator applications. */
  totp: number
  /** Passkeys and security keys. */
  webauthn: number
  recoveryCodes: number
  /** No way of signing in may be changed before this moment, in milliseconds since 1970; null: now is fine. */
  frozenUntil: number | null
}

/** The column `factors` of a statement that joins accounts as `a`: FactorFacts, or null without an account. */
export const factorFactsColumn = `case when a.id is null then null else jsonb_build_object(
  'password', exists (select from password_credentials f where f.account_id = a.id),
  'totp', (select count(*) from totp_credentials f where f.account_id = a.id),
  'webauthn', (select count(*) from webauthn_credentials f where f.account_id = a.id),
  'recoveryCodes', (select count(*) from recovery_codes f where f.account_id = a.id),
  'frozenUntil', extract(epoch from a.factor_changes_frozen_until) * 1000) end as factors`

/**
 * Whether the account has a second factor. Recovery codes alone are none: they stand in for one that was lost. A passkey
 * is one beside a password: else who reads the mailbox would reset the password and walk around the passkey.
 */
export const hasSecondFactor = ({ totp, webauthn }: FactorFacts): boolean => totp + webauthn > 0
