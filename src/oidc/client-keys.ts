// When a client's jwks_uri is asked again. The library takes the document's word for how long it is good, up to for ever,
// and asks for it anew at every request while it cannot be had.
import type { Context } from '../context.ts'
import type { RegisteredClient } from './registry.ts'

/** A key that is not known yet is looked for this often at most, whoever claims to sign with it. */
const pauseSeconds = 10

type KeyStore = { fresh: () => boolean; refresh: () => Promise<void> }

/**
 * Lets a rotation of the client's keys be noticed by the first signature with a new one, and nobody make us ask its
 * server more than once in `pauseSeconds`, whether that answers or not. The keys are forgotten with the client's entry in
 * our cache, after a minute: a key that was taken back is believed no longer than that.
 *
 * @see OpenID Connect Core 1.0 §10.1.1
 */
export function limitKeyRequests({ now }: Pick<Context, 'now'>, client: RegisteredClient): RegisteredClient {
  if (client.jwksUri === undefined) return client
  const { asymmetricKeyStore: store } = client as unknown as { asymmetricKeyStore: KeyStore }
  const refresh = store.refresh.bind(store)
  let askedAt = Number.NEGATIVE_INFINITY
  store.fresh = () => now().getTime() - askedAt < pauseSeconds * 1000
  store.refresh = async () => {
    if (store.fresh()) return
    try {
      // While an answer is awaited the library lets everybody wait for that one.
      await refresh()
    } finally {
      askedAt = now().getTime()
    }
  }
  return client
}
