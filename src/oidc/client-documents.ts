// The metadata documents of applications, kept as long as they say. Whoever asks for a sign-in names the URL that we then
// fetch, so what can be had fetched is bounded: by site, by time, and at one moment.
import { readClientDocument } from '../clients/metadata-document-service.ts'
import type { Client } from '../clients/model.ts'
import type { Acceptance } from '../clients/registration-service.ts'
import { findClient } from '../clients/repository.ts'
import { toClient } from '../clients/service.ts'
import type { Context } from '../context.ts'

export type Described = { ok: true; row: Client } | { ok: false; reason: string }

export type ClientDocuments = { find: (clientId: string) => Promise<Described> }

const maximumEntries = 1000
const fetchesAtOnce = 20
const fetchesPerHostPerMinute = 12
const failureMilliseconds = 30_000
/** A site that is down for a while does not put out who signed in with its application today. */
const staleMilliseconds = 86_400_000

type Entry = { row: Client; freshUntil: number; goodUntil: number }
type Failure = { reason: string; until: number }

/** Remembers documents and failures. Whoever asks for the same document meanwhile waits in the cache of clients. */
export function createClientDocuments(ctx: Context, accepts: Acceptance): ClientDocuments {
  const entries = new Map<string, Entry>()
  // Apart, so that made-up addresses push out no document.
  const failures = new Map<string, Failure>()
  const strangers = createLane(ctx.now)
  // What some person let in is not to wait because somebody else names addresses of the same site.
  const letIn = createLane(ctx.now)
  const time = () => ctx.now().getTime()

  const fetchAnew = async (clientId: string): Promise<Described> => {
    const known = entries.get(clientId)
    const outcome = await readClientDocument(ctx, clientId, accepts)
    const now = time()
    if (outcome.ok) {
      const row = rowOf(ctx, clientId, { metadata: outcome.metadata, known })
      const freshUntil = now + outcome.freshSeconds * 1000
      remember(entries, clientId, { row, freshUntil, goodUntil: now + staleMilliseconds })
      failures.delete(clientId)
      return { ok: true, row }
    }
    const { reason, gone } = outcome
    ctx.log.info({ clientId, reason }, 'a client_id metadata document was not taken')
    const until = now + failureMilliseconds
    if (known !== undefined && !gone && now < known.goodUntil) {
      remember(entries, clientId, { ...known, freshUntil: until })
      return { ok: true, row: known.row }
    }
    entries.delete(clientId)
    remember(failures, clientId, { reason, until })
    return { ok: false, reason }
  }

  const find = async (clientId: string): Promise<Described> => {
    const entry = entries.get(clientId)
    if (entry !== undefined && time() < entry.freshUntil) return { ok: true, row: entry.row }
    const failure = failures.get(clientId)
    if (failure !== undefined && time() < failure.until) return { ok: false, reason: failure.reason }
    const lane = (await findClient(ctx.sql, clientId)) === null ? strangers : letIn
    if (lane.underWay >= fetchesAtOnce || !lane.mayFetch(new URL(clientId).host))
      return entry !== undefined && time() < entry.goodUntil
        ? { ok: true, row: entry.row }
        : { ok: false, reason: 'cannot be fetched just now: try again in a minute' }
    lane.underWay += 1
    try {
      return await fetchAnew(clientId)
    } finally {
      lane.underWay -= 1
    }
  }
  return { find }
}

function remember<T>(all: Map<string, T>, key: string, value: T): void {
  all.delete(key)
  if (all.size >= maximumEntries) all.delete(all.keys().next().value ?? '')
  all.set(key, value)
}

/** What may be fetched, counted for itself. */
const createLane = (now: () => Date) => ({ underWay: 0, mayFetch: createHostLimit(now) })

type Said = { metadata: Parameters<typeof toClient>[0]; known: Entry | undefined }

function rowOf(ctx: Context, clientId: string, { metadata, known }: Said): Client {
  const at = ctx.now()
  return toClient(metadata, {
    clientId,
    clientSecretHash: null,
    clientSecretSealed: null,
    registeredBy: 'client_id_metadata_document',
    registrationAccessTokenHash: null,
    lastUsedAt: known?.row.lastUsedAt ?? null,
    createdAt: at,
    updatedAt: at
  })
}

/** How often one site is asked, whichever of its documents. */
function createHostLimit(now: () => Date): (host: string) => boolean {
  const minutes = new Map<string, { since: number; count: number }>()
  return host => {
    const at = now().getTime()
    const minute = minutes.get(host)
    if (minute !== undefined && at - minute.since < 60_000) return ++minute.count <= fetchesPerHostPerMinute
    remember(minutes, host, { since: at, count: 1 })
    return true
  }
}
