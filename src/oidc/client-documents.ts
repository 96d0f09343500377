// The metadata documents of applications, kept as long as they say. Whoever asks for a sign-in names the URL that we then
// fetch, so what can be had fetched is bounded: by site, by time, and at one moment.
import { readClientDocument } from '../clients/metadata-document-service.ts'
import type { Client } from '../clients/model.ts'
import type { Acceptance } from '../clients/registration-service.ts'
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

type Entry = { described: Described; freshUntil: number; goodUntil: number }

/** Remembers documents and failures. Whoever asks for the same document meanwhile waits in the cache of clients. */
export function createClientDocuments(ctx: Context, accepts: Acceptance): ClientDocuments {
  const entries = new Map<string, Entry>()
  let underWay = 0
  const mayFetch = createHostLimit(ctx.now)
  const time = () => ctx.now().getTime()

  const fetchAnew = async (clientId: string): Promise<Described> => {
    const known = entries.get(clientId)
    const outcome = await readClientDocument(ctx, clientId, accepts)
    const now = time()
    if (outcome.ok) {
      const row = rowOf(ctx, clientId, { metadata: outcome.metadata, known })
      const freshUntil = now + outcome.freshSeconds * 1000
      return keep(clientId, { described: { ok: true, row }, freshUntil, goodUntil: now + staleMilliseconds })
    }
    ctx.log.info({ clientId, reason: outcome.reason }, 'a client_id metadata document was not taken')
    const freshUntil = now + failureMilliseconds
    if (known?.described.ok === true && !outcome.gone && now < known.goodUntil)
      return keep(clientId, { ...known, freshUntil })
    const described = { ok: false as const, reason: outcome.reason }
    return keep(clientId, { described, freshUntil, goodUntil: freshUntil })
  }

  const keep = (clientId: string, entry: Entry): Described => {
    entries.delete(clientId)
    if (entries.size >= maximumEntries) entries.delete(entries.keys().next().value ?? '')
    entries.set(clientId, entry)
    return entry.described
  }

  const find = async (clientId: string): Promise<Described> => {
    const entry = entries.get(clientId)
    if (entry !== undefined && time() < entry.freshUntil) return entry.described
    if (underWay >= fetchesAtOnce || !mayFetch(new URL(clientId).host))
      return entry?.described.ok === true && time() < entry.goodUntil
        ? entry.described
        : { ok: false, reason: 'cannot be fetched just now: try again in a minute' }
    underWay += 1
    try {
      return await fetchAnew(clientId)
    } finally {
      underWay -= 1
    }
  }
  return { find }
}

type Said = { metadata: Parameters<typeof toClient>[0]; known: Entry | undefined }

function rowOf(ctx: Context, clientId: string, { metadata, known }: Said): Client {
  const at = ctx.now()
  return toClient(metadata, {
    clientId,
    clientSecretHash: null,
    clientSecretSealed: null,
    registeredBy: 'client_id_metadata_document',
    registrationAccessTokenHash: null,
    lastUsedAt: known?.described.ok === true ? known.described.row.lastUsedAt : null,
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
    minutes.delete(host)
    if (minutes.size >= maximumEntries) minutes.delete(minutes.keys().next().value ?? '')
    minutes.set(host, { since: at, count: 1 })
    return true
  }
}
