// Makes, opens and rotates the signing keys. Publishing them is the protocol's work (oidc/).
import { recordEvent } from '../audit/service.ts'
import { type Context, inTransaction } from '../context.ts'
import { deriveKey, open, seal } from '../lib/sealed-box.ts'
import {
  createPrivateJwk,
  defaultPublishSeconds,
  type KeyState,
  type PrivateJwk,
  publicHalf,
  retiredKeySeconds,
  type SigningAlg,
  type SigningKey,
  signingAlgs
} from './model.ts'
import {
  deleteKeysRetiredBefore,
  deleteSigningKey,
  insertSigningKey,
  listSigningKeys,
  lockSigningKeys,
  updateKeyActive,
  updateKeyRetired
} from './repository.ts'

/**
 * Makes a signing key for each algorithm that has none that signs. Returns the kids of the new ones.
 *
 * Nodes that start at the same moment wait for each other and end with one set. Throws when the keys that are
 * there were sealed under another ENCRYPTION_KEY: a second set beside them would sign with what nobody expects.
 */
export async function ensureSigningKeys(
  ctx: Context,
  algs: readonly SigningAlg[] = signingAlgs
): Promise<string[]> {
  return await inTransaction(ctx, async tx => {
    await lockSigningKeys(tx.sql)
    const keys = await listSigningKeys(tx.sql)
    for (const key of keys) openKey(tx, key)

    const made: string[] = []
    for (const alg of algs) {
      if (keys.some(key => key.alg === alg && key.state === 'active')) continue
      made.push((await addKey(tx, alg, 'active')).kid)
    }
    return made
  })
}

/**
 * The private keys in the order of the protocol library's key store, where the first that fits signs: active, then
 * next, then retired.
 *
 * Throws when ENCRYPTION_KEY does not open them.
 */
export async function loadSigningKeys(ctx: Context): Promise<PrivateJwk[]> {
  return (await listSigningKeys(ctx.sql)).map(key => openKey(ctx, key))
}

export type RotationOptions = {
  /** How long a new key must have been published before it signs. */
  publishSeconds?: number
  /** Sign with the new key at once: applications that cached the key set fetch it again on the unknown kid. */
  now?: boolean
  /** Take the old key back at once, with every token that it signed: for a key that leaked. Implies `now`. */
  revoke?: boolean
}

export type RotationOutcome =
  | { step: 'published'; kid: string; signsFrom: Date }
  | { step: 'waiting'; kid: string; signsFrom: Date }
  | { step: 'promoted'; kid: string; retiredKid: string | null; revoked: boolean }

/**
 * Takes the rotation of one algorithm's key one step further.
 *
 * `published`: a next key was made and is in the key set, so that applications learn it before it signs ·
 * `waiting`: it is there, but not for long enough · `promoted`: it signs now, and the one before it is retired (or,
 * with `revoke`, gone). With `now` all of it happens in this call.
 * Records `signing_key.created` and `signing_key.promoted`.
 */
export async function rotateSigningKey(
  ctx: Context,
  alg: SigningAlg,
  { publishSeconds = defaultPublishSeconds, now = false, revoke = false }: RotationOptions = {}
): Promise<RotationOutcome> {
  return await inTransaction(ctx, async tx => {
    await lockSigningKeys(tx.sql)
    const keys = await listSigningKeys(tx.sql)
    for (const key of keys) openKey(tx, key)

    const waiting = keys.find(key => key.alg === alg && key.state === 'next')
    const next = waiting ?? (await addKey(tx, alg, 'next'))
    const signsFrom = new Date(next.createdAt.getTime() + publishSeconds * 1000)
    if (!now && !revoke && signsFrom > tx.now())
      return { step: waiting === undefined ? 'published' : 'waiting', kid: next.kid, signsFrom }
    return await promote(tx, next, revoke)
  })
}

/**
 * Does what has become due in every rotation: next keys that were published for long enough sign, retired ones whose
 * last token has ended are removed. Starts no rotation. A recurring job and `gatehouse keys rotate` call it.
 */
export async function finishRotations(
  ctx: Context,
  { publishSeconds = defaultPublishSeconds }: Pick<RotationOptions, 'publishSeconds'> = {}
): Promise<{ promoted: string[]; removed: string[] }> {
  return await inTransaction(ctx, async tx => {
    await lockSigningKeys(tx.sql)
    const due = new Date(tx.now().getTime() - publishSeconds * 1000)
    const ready = (await listSigningKeys(tx.sql)).filter(key => key.state === 'next' && key.createdAt <= due)
    for (const key of ready) {
      openKey(tx, key)
      await promote(tx, key, false)
    }
    const lastUse = new Date(tx.now().getTime() - retiredKeySeconds(tx.config) * 1000)
    return {
      promoted: ready.map(({ kid }) => kid),
      removed: await deleteKeysRetiredBefore(tx.sql, lastUse)
    }
  })
}

async function promote(
  tx: Context,
  next: { kid: string; alg: SigningAlg },
  revoke: boolean
): Promise<RotationOutcome> {
  const retiredKid = await updateKeyRetired(tx.sql, next.alg, tx.now())
  await updateKeyActive(tx.sql, next.kid, tx.now())
  if (revoke && retiredKid !== null) await deleteSigningKey(tx.sql, retiredKid)
  await recordEvent(tx, {
    type: 'signing_key.promoted',
    details: { kid: next.kid, retiredKid, revoked: revoke }
  })
  return { step: 'promoted', kid: next.kid, retiredKid, revoked: revoke && retiredKid !== null }
}

async function addKey(tx: Context, alg: SigningAlg, state: Exclude<KeyState, 'retired'>) {
  const jwk = await createPrivateJwk(alg)
  const key = { kid: jwk.kid, alg, state, publicJwk: publicHalf(jwk), createdAt: tx.now() }
  const privateJwkSealed = seal(sealingKey(tx), JSON.stringify(jwk), jwk.kid)
  await insertSigningKey(tx.sql, { ...key, privateJwkSealed })
  await recordEvent(tx, { type: 'signing_key.created', details: { kid: key.kid, alg, state } })
  return key
}

function openKey(ctx: Context, key: SigningKey): PrivateJwk {
  try {
    // Bound to the kid: a row whose sealed half was swapped for another's does not open.
    return JSON.parse(open(sealingKey(ctx), key.privateJwkSealed, key.kid).toString()) as PrivateJwk
  } catch (cause) {
    throw new Error(
      `ENCRYPTION_KEY does not open the signing key ${key.kid}: put the key that this database was first started with`,
      { cause }
    )
  }
}

const sealingKey = (ctx: Context): Buffer => deriveKey(ctx.config.encryptionKey, 'signing keys')
