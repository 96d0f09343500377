// Fetches what an application says of itself at the URL that its client_id is. @see OAuth Client ID Metadata Document
import type { Context } from '../context.ts'
import type { Write } from '../db/batch.ts'
import { fetchOutbound } from '../http/outbound.ts'
import { documentFaults, freshSeconds } from './metadata-document-model.ts'
import type { Client, ClientMetadata, Fault } from './model.ts'
import { describeFaults, isJson, type Json } from './registration-model.ts'
import { upsertDocumentClient } from './registration-repository.ts'
import type { Acceptance } from './registration-service.ts'
import { checkSelfDescription } from './self-description-service.ts'

export type DocumentOutcome =
  | { ok: true; metadata: ClientMetadata; freshSeconds: number }
  /** `reason` reads on from "the document"; `gone`: its site answered, so what it said before holds no longer. */
  | { ok: false; reason: string; gone: boolean }

const maxBytes = 5 * 1024

/**
 * Fetches and checks the metadata document of a client_id that `isClientIdUrl`; what the library would not take
 * (`accepts`) is wrong too.
 *
 * Whatever the network said is one and the same reason: what lies behind an address is nothing that we tell.
 */
export async function readClientDocument(
  ctx: Context,
  clientId: string,
  accepts: Acceptance
): Promise<DocumentOutcome> {
  const { hosts } = ctx.config.clientIdMetadata
  const { host, hostname } = new URL(clientId)
  if (hosts.length > 0 && !hosts.includes(host) && !hosts.includes(hostname))
    return { ok: false, reason: 'is of a host that is not believed here', gone: true }
  const fetched = await fetchDocument(ctx, clientId)
  if (!fetched.ok) return fetched

  const { document } = fetched
  const faults = documentFaults(document, clientId)
  if (faults.length > 0) return wrong(faults)
  const checked = await checkSelfDescription(ctx, { token_endpoint_auth_method: 'none', ...document })
  const further = checked.ok ? accepts(checked.metadata) : checked.faults
  return checked.ok && further.length === 0
    ? { ok: true, metadata: checked.metadata, freshSeconds: fetched.freshSeconds }
    : wrong(further)
}

/**
 * Keeps the row of an application whose person lets it in, as part of that batch. Grants and consents refer to it; what
 * counts later is what its document says then.
 */
export const documentClientWrite = ({ now }: Pick<Context, 'now'>, row: Client): Write =>
  upsertDocumentClient({ ...row, lastUsedAt: now(), updatedAt: now() })

const wrong = (faults: Fault[]): DocumentOutcome => ({
  ok: false,
  reason: `is wrong: ${describeFaults(faults).error_description}`,
  gone: true
})

type Fetched = { ok: true; document: Json; freshSeconds: number } | (DocumentOutcome & { ok: false })

async function fetchDocument(ctx: Context, clientId: string): Promise<Fetched> {
  const unreachable = { ok: false, reason: 'could not be fetched' } as const
  try {
    const answer = await fetchOutbound(ctx.config, clientId, {
      headers: { accept: 'application/json' },
      maxBytes
    })
    if (answer.status !== 200) return { ...unreachable, gone: answer.status >= 400 && answer.status < 500 }
    const type = answer.headers.get('content-type') ?? ''
    if (!/^application\/([\w.-]+\+)?json\s*(;|$)/i.test(type))
      return { ok: false, reason: 'is not of type application/json', gone: true }
    const document: unknown = parse(await answer.text())
    return isJson(document)
      ? { ok: true, document, freshSeconds: freshSeconds(answer.headers) }
      : { ok: false, reason: 'is not a JSON object', gone: true }
  } catch (error) {
    ctx.log.info({ err: error, clientId }, 'a client_id metadata document could not be fetched')
    return { ...unreachable, gone: false }
  }
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return null
  }
}
