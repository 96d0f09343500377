// The keys of other issuers, as their discovery documents name them: fetched when first needed, kept for a while.
import { createLocalJWKSet, errors, type FlattenedJWSInput, type JWSHeaderParameters } from 'jose'
import type { Config } from '../config/schema.ts'
import type { Context } from '../context.ts'
import { fetchOutbound } from '../http/outbound.ts'

/** A key that its issuer takes back is believed no longer than this, while the issuer can be reached … */
const freshMilliseconds = 10 * 60_000
/** … and than this while it cannot. */
const staleMilliseconds = 60 * 60_000
/** Between two attempts at one issuer, whoever asks and whatever came of the first. */
const pauseMilliseconds = 30_000

export type KeySet = ReturnType<typeof createLocalJWKSet>

type Known = { keySet: KeySet | null; loadedAt: number; triedAt: number; loading: Promise<void> | null }

/** Of this process, by installation: each node fetches for itself. */
const installations = new WeakMap<Config, Map<string, Known>>()

/**
 * A key set that looks keys up at an issuer's own. For a key that is not in it, the set is fetched anew, at most
 * every half minute: made-up names cost the issuer nothing. Throws where no key fits or none could be fetched.
 *
 * @see OpenID Connect Discovery 1.0 §4
 */
export function issuerKeySet(ctx: Context, issuer: string) {
  return async (header: JWSHeaderParameters, input: FlattenedJWSInput) => {
    const known = await load(ctx, issuer)
    try {
      return await choose(known, header, input)
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || !mayTry(ctx, known)) throw error
      await refresh(ctx, issuer, known)
      return await choose(known, header, input)
    }
  }
}

async function choose({ keySet }: Known, header: JWSHeaderParameters, input: FlattenedJWSInput) {
  if (keySet === null) throw new Error('the keys of the issuer could not be fetched')
  return await keySet(header, input)
}

async function load(ctx: Context, issuer: string): Promise<Known> {
  const issuers = installations.get(ctx.config) ?? new Map<string, Known>()
  installations.set(ctx.config, issuers)
  const known = issuers.get(issuer) ?? { keySet: null, loadedAt: 0, triedAt: 0, loading: null }
  issuers.set(issuer, known)
  const age = ctx.now().getTime() - known.loadedAt
  if (known.loading !== null || (age >= freshMilliseconds && mayTry(ctx, known)))
    await refresh(ctx, issuer, known)
  if (ctx.now().getTime() - known.loadedAt >= staleMilliseconds) known.keySet = null
  return known
}

const mayTry = ({ now }: Context, known: Known): boolean =>
  known.loading !== null || now().getTime() - known.triedAt >= pauseMilliseconds

/** Everybody who waits for the same issuer waits for one fetch. A failure leaves what is known as it is. */
async function refresh(ctx: Context, issuer: string, known: Known): Promise<void> {
  known.triedAt = ctx.now().getTime()
  known.loading ??= fetchKeySet(ctx, issuer)
    .then(keySet => {
      Object.assign(known, { keySet, loadedAt: ctx.now().getTime() })
    })
    .catch(error =>
      ctx.log.warn({ err: error, issuer }, 'the keys of an issuer of workloads could not be fetched')
    )
    .finally(() => {
      known.loading = null
    })
  await known.loading
}

async function fetchKeySet(ctx: Context, issuer: string): Promise<KeySet> {
  const document = await fetchJson(ctx, `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`)
  // OpenID Connect Discovery 1.0 §4.3: else one issuer could speak for another.
  if (document.issuer !== issuer) throw new Error('the discovery document is of another issuer')
  if (typeof document.jwks_uri !== 'string') throw new Error('the discovery document names no jwks_uri')
  const { keys } = await fetchJson(ctx, document.jwks_uri)
  if (!Array.isArray(keys)) throw new Error('the key set holds no keys')
  return createLocalJWKSet({ keys })
}

async function fetchJson({ config }: Context, url: string): Promise<Record<string, unknown>> {
  const answer = await fetchOutbound(config, url, { headers: { accept: 'application/json' } })
  if (answer.status !== 200) throw new Error(`status ${answer.status}`)
  const value: unknown = await answer.json()
  if (typeof value !== 'object' || value === null) throw new Error('not a JSON object')
  return value as Record<string, unknown>
}
