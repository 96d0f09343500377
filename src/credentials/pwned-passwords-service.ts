// Looks up whether a password was found in a breach, without telling which password it is.
import { hash } from 'node:crypto'
import type { Config } from '../config/schema.ts'
import type { Context } from '../context.ts'
import { type CircuitBreaker, createCircuitBreaker } from '../lib/circuit-breaker.ts'

/** For the whole look-up: a person waits for it. */
const timeoutMs = 1000
/** A padded answer has 800 to 1,000 lines of some 40 bytes; a range that grew tenfold still fits. */
const maxAnswerBytes = 512 * 1024

/** Of this process, by installation: each node finds out for itself, as its way there may be another. */
const breakers = new WeakMap<Config, CircuitBreaker>()

/**
 * Whether the password is among breached ones. Only the first five of its SHA-1's forty digits are sent, and the answer,
 * padded so that its size says nothing either, is searched here.
 *
 * False where no look-up is set up, and where it fails: somebody else's outage must not keep people from setting a
 * password. A failure is logged as a warning; after three in a row nothing is sent for a minute, then one look-up tries.
 *
 * @see https://haveibeenpwned.com/API/v3#PwnedPasswords
 */
export async function isBreached(ctx: Context, password: string): Promise<boolean> {
  const { pwnedPasswordsUrl } = ctx.config
  if (pwnedPasswordsUrl === null) return false
  const breaker = breakers.get(ctx.config) ?? createCircuitBreaker({ failuresInARow: 3, pauseMs: 60_000 })
  breakers.set(ctx.config, breaker)
  const now = ctx.now().getTime()
  if (!breaker.mayTry(now)) return false
  const digest = hash('sha1', password.normalize('NFC')).toUpperCase()
  try {
    const breached = hasSuffix(await fetchRange(`${pwnedPasswordsUrl}${digest.slice(0, 5)}`), digest.slice(5))
    breaker.succeeded()
    return breached
  } catch (error) {
    breaker.failed(now)
    ctx.log.warn(
      { reason: reasonOf(error) },
      'breached passwords could not be looked up; this one was let through'
    )
    return false
  }
}

/** Thrown with a message of ours, which is fit for the log. */
class UselessAnswer extends Error {}

async function fetchRange(url: string): Promise<string> {
  const answer = await fetch(url, {
    headers: { 'add-padding': 'true', 'user-agent': 'Gatehouse' },
    // A redirect would send the digits to somebody whom the operator did not choose.
    redirect: 'error',
    signal: AbortSignal.timeout(timeoutMs)
  })
  if (answer.status !== 200) {
    await answer.body?.cancel()
    throw new UselessAnswer(`status ${answer.status}`)
  }
  const chunks: Uint8Array[] = []
  let bytes = 0
  for await (const chunk of answer.body ?? []) {
    bytes += chunk.byteLength
    // Leaving the loop closes the connection.
    if (bytes > maxAnswerBytes) throw new UselessAnswer('too large')
    chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}

/** Padding looks like findings, but was found zero times. */
function hasSuffix(range: string, suffix: string): boolean {
  const lines = range.split(/\r?\n/).filter(line => line !== '')
  if (!lines.every(line => /^[0-9A-F]{35}:\d{1,12}$/i.test(line))) throw new UselessAnswer('not a range')
  return lines.some(line => line.slice(0, 35).toUpperCase() === suffix && Number(line.slice(36)) > 0)
}

/** What went wrong, in words that cannot have the address asked for in them: it ends in digits of the hash. */
function reasonOf(error: unknown): string {
  if (error instanceof UselessAnswer) return error.message
  const { name, cause } = error instanceof Error ? error : { name: 'unknown', cause: null }
  const code = cause instanceof Error && 'code' in cause ? ` ${String(cause.code)}` : ''
  return `${name}${code}`
}
