// Passkeys and security keys, and the challenges of ceremonies under way.
import type { Sql } from '../db/connect.ts'
import type { Ceremony, Passkey } from './webauthn-model.ts'

/** PostgreSQL has no unsigned 32 bits; in a float8 every counter is exact. */
const columns = (sql: Sql) => sql`
  id, account_id, credential_id, public_key, sign_count::float8 as sign_count, transports, aaguid, name,
  backup_eligible, backed_up, user_verified, sign_count_regressed_at, created_at, last_used_at
`

/** Oldest first. */
export async function listPasskeys(sql: Sql, accountId: string): Promise<Passkey[]> {
  return await sql<Passkey[]>`
    select ${columns(sql)} from webauthn_credentials where account_id = ${accountId} order by created_at, id
  `
}

export async function findPasskeyByCredentialId(sql: Sql, credentialId: Buffer): Promise<Passkey | null> {
  const [row] = await sql<Passkey[]>`
    select ${columns(sql)} from webauthn_credentials where credential_id = ${credentialId}
  `
  return row ?? null
}

/** Adds a passkey. False: a credential of this id is known already, here or with another account, and nothing changed. */
export async function insertPasskey(sql: Sql, passkey: Passkey): Promise<boolean> {
  const { count } = await sql`
    insert into webauthn_credentials (
      id, account_id, credential_id, public_key, sign_count, transports, aaguid, name,
      backup_eligible, backed_up, user_verified, created_at
    ) values (
      ${passkey.id}, ${passkey.accountId}, ${passkey.credentialId}, ${passkey.publicKey}, ${passkey.signCount},
      ${passkey.transports}, ${passkey.aaguid}, ${passkey.name},
      ${passkey.backupEligible}, ${passkey.backedUp}, ${passkey.userVerified}, ${passkey.createdAt}
    )
    on conflict (credential_id) do nothing
  `
  return count === 1
}

export type Use = { id: string; signCount: number; backedUp: boolean; userVerified: boolean; at: Date }

/**
 * Writes down one use, unless the counter did not grow: of two uses with one count the second is turned away. Zero
 * stays zero where an authenticator does not count. False too when the passkey is gone.
 */
export async function updatePasskeyUsed(
  sql: Sql,
  { id, signCount, backedUp, userVerified, at }: Use
): Promise<boolean> {
  const { count } = await sql`
    update webauthn_credentials
    set sign_count = ${signCount}, backed_up = ${backedUp}, user_verified = user_verified or ${userVerified}::boolean,
      last_used_at = ${at}
    where id = ${id} and (sign_count < ${signCount} or (sign_count = 0 and ${signCount}::bigint = 0))
  `
  return count === 1
}

/** Marks a passkey whose counter did not grow, for good. False: it did, or the passkey is gone. */
export async function updateSignCountRegressed(
  sql: Sql,
  { id, signCount, at }: { id: string; signCount: number; at: Date }
): Promise<boolean> {
  const { count } = await sql`
    update webauthn_credentials set sign_count_regressed_at = coalesce(sign_count_regressed_at, ${at})
    where id = ${id} and sign_count >= ${signCount} and sign_count > 0
  `
  return count === 1
}

/** Null: no such passkey, or somebody else's. */
export async function updatePasskeyName(
  sql: Sql,
  { id, accountId, name }: { id: string; accountId: string; name: string }
): Promise<Passkey | null> {
  const [row] = await sql<Passkey[]>`
    update webauthn_credentials set name = ${name} where id = ${id} and account_id = ${accountId}
    returning ${columns(sql)}
  `
  return row ?? null
}

/** Null: no such passkey, or somebody else's. */
export async function deletePasskey(sql: Sql, id: string, accountId: string): Promise<Passkey | null> {
  const [row] = await sql<Passkey[]>`
    delete from webauthn_credentials where id = ${id} and account_id = ${accountId} returning ${columns(sql)}
  `
  return row ?? null
}

export type Challenge = {
  challengeHash: Buffer
  ceremony: Ceremony
  /** Null: whoever has the passkey. */
  accountId: string | null
  boundTo: Buffer
}

export async function insertChallenge(
  sql: Sql,
  { challengeHash, ceremony, accountId, boundTo }: Challenge,
  { createdAt, expiresAt }: { createdAt: Date; expiresAt: Date }
): Promise<void> {
  await sql`
    insert into webauthn_challenges (challenge_hash, ceremony, account_id, bound_to, created_at, expires_at)
    values (${challengeHash}, ${ceremony}, ${accountId}, ${boundTo}, ${createdAt}, ${expiresAt})
  `
}

/** Takes a challenge, once. False: unknown, used, expired, or made for another ceremony, account or sign-in. */
export async function consumeChallenge(
  sql: Sql,
  { challengeHash, ceremony, accountId, boundTo }: Challenge,
  now: Date
): Promise<boolean> {
  const { count } = await sql`
    delete from webauthn_challenges
    where challenge_hash = ${challengeHash} and ceremony = ${ceremony} and bound_to = ${boundTo}
      and account_id is not distinct from ${accountId} and expires_at > ${now}
  `
  return count === 1
}

export async function deleteChallengesBefore(sql: Sql, before: Date, limit: number): Promise<number> {
  const { count } = await sql`
    delete from webauthn_challenges where challenge_hash in (
      select challenge_hash from webauthn_challenges where expires_at <= ${before}
      limit ${limit} for update skip locked
    )
  `
  return count
}

/** Removes what was added at that moment or later. Returns how many. */
export async function deletePasskeysSince(sql: Sql, accountId: string, since: Date): Promise<number> {
  const { count } = await sql`
    delete from webauthn_credentials where account_id = ${accountId} and created_at >= ${since}
  `
  return count
}
