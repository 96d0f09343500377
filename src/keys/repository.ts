// The signing_keys table. Every change tells the other nodes in the same statement, so that none can be forgotten.
import type { Sql } from '../db/connect.ts'
import type { SigningAlg, SigningKey } from './model.ts'

/** Holds back every other transaction that would change the keys, until this one ends. */
export async function lockSigningKeys(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(hashtextextended('gatehouse signing keys', 0))`
}

/** All published keys in the order that the protocol library picks from: the first that fits signs. */
export async function listSigningKeys(sql: Sql): Promise<SigningKey[]> {
  return await sql<SigningKey[]>`
    select kid, alg, state, public_jwk, private_jwk_sealed, created_at, activated_at, retired_at
    from signing_keys
    order by array_position(array['active', 'next', 'retired'], state), created_at desc, kid
  `
}

export type NewSigningKey = Omit<SigningKey, 'activatedAt' | 'retiredAt'> & { state: 'next' | 'active' }

export async function insertSigningKey(sql: Sql, key: NewSigningKey): Promise<void> {
  await sql`
    with inserted as (
      insert into signing_keys (kid, alg, state, public_jwk, private_jwk_sealed, created_at, activated_at)
      values (
        ${key.kid}, ${key.alg}, ${key.state}, ${sql.json(key.publicJwk as Record<string, string>)},
        ${key.privateJwkSealed}, ${key.createdAt}, ${key.state === 'active' ? key.createdAt : null}
      )
      returning kid
    )
    select pg_notify('gatehouse_keys', kid) from inserted
  `
}

/** Stops the active key of an algorithm from signing. Returns its kid, or null when there is none. */
export async function updateKeyRetired(sql: Sql, alg: SigningAlg, at: Date): Promise<string | null> {
  const [row] = await sql<{ kid: string }[]>`
    with retired as (
      update signing_keys set state = 'retired', retired_at = ${at}
      where alg = ${alg} and state = 'active'
      returning kid
    )
    select kid, pg_notify('gatehouse_keys', kid) from retired
  `
  return row?.kid ?? null
}

export async function updateKeyActive(sql: Sql, kid: string, at: Date): Promise<void> {
  await sql`
    with activated as (
      update signing_keys set state = 'active', activated_at = ${at}
      where kid = ${kid} and state = 'next'
      returning kid
    )
    select pg_notify('gatehouse_keys', kid) from activated
  `
}

/** Removes the keys that were retired before the moment, and returns their kids. */
export async function deleteKeysRetiredBefore(sql: Sql, moment: Date): Promise<string[]> {
  const rows = await sql<{ kid: string }[]>`
    with deleted as (
      delete from signing_keys where state = 'retired' and retired_at <= ${moment}
      returning kid
    )
    select kid, pg_notify('gatehouse_keys', kid) from deleted
  `
  return rows.map(({ kid }) => kid)
}

/** Removes one key whatever tokens it signed: they verify nowhere from then on. */
export async function deleteSigningKey(sql: Sql, kid: string): Promise<void> {
  await sql`
    with deleted as (delete from signing_keys where kid = ${kid} returning kid)
    select pg_notify('gatehouse_keys', kid) from deleted
  `
}
