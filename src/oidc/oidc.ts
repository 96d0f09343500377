// The running protocol: the current instance of the library, what it serves from memory, and how it is replaced.
import type { Configuration, Provider } from 'oidc-provider'
import { listClaimMappings } from '../clients/claim-repository.ts'
import type { Context } from '../context.ts'
import type { Sql } from '../db/connect.ts'
import { isOutage, outageSeconds } from '../http/errors.ts'
import { loadSigningKeys } from '../keys/service.ts'
import { type CustomClaims, createCustomClaims } from './custom-claims.ts'
import { registerGrants } from './extension-grants.ts'
import { type Document, metadataPaths, readDocument, settleBeforeAnswer, toDocument } from './mount.ts'
import { readVerificationKeys, type VerificationKeys } from './own-jwts.ts'
import { protectedResourceMetadata, protectedResourcePath } from './protected-resource.ts'
import { createProvider, type ProtocolPages, routes } from './provider.ts'
import type { Registry } from './registry.ts'
import { compileDetailTypes, type DetailChecks } from './rich-authorization.ts'

export type Instance = {
  provider: Provider
  registry: Registry
  callback: ReturnType<Provider['callback']>
  documents: Map<string, Document>
  /** The key set of `documents`, to verify our own tokens with. */
  keys: VerificationKeys
  customClaims: CustomClaims
}

export type Oidc = {
  ctx: Context
  issuer: URL
  /** Where clients bring their certificates: the issuer, or MTLS_BASE_URL. */
  mtlsOrigin: URL
  /** On every answer; the library adds its own to them. */
  headers: Record<string, string>
  current: () => Instance
  document: (path: string) => Document
  renderError: NonNullable<Configuration['renderError']>
  /** Builds a new instance from the keys and claims in the database and swaps it in; requests under way keep theirs. */
  reload: () => Promise<void>
}

export type Surroundings = {
  pages: ProtocolPages
  /** Set on every answer. */
  headers: Record<string, string>
  /** What most requests begin with is read here: `connectForLookups`. */
  lookups: Sql
}

/** Starts the protocol with the signing keys that there are. */
export async function startOidc(ctx: Context, surroundings: Surroundings): Promise<Oidc> {
  const { pages, headers } = surroundings
  const { config } = ctx
  const issuer = new URL(config.issuer)
  const details = await compileDetailTypes(config.authorizationDetailsTypes)
  let instance: Instance
  let begun = 0
  let newest = 0
  const oidc: Oidc = {
    ctx,
    issuer,
    mtlsOrigin: config.mtls.baseUrl === config.issuer ? issuer : new URL(config.mtls.baseUrl),
    headers,
    current: () => instance,
    document: path => {
      const document = instance.documents.get(path)
      if (document === undefined) throw new Error(`no document ${path}`)
      return document
    },
    renderError: pages.renderError,
    reload: async () => {
      const turn = ++begun
      const built = await build(oidc, { ...surroundings, details })
      // Of two at once the one that began later has read all that the other has.
      if (turn < newest) return
      newest = turn
      instance = built
    }
  }
  await oidc.reload()
  return oidc
}

async function build(oidc: Oidc, surroundings: Surroundings & { details: DetailChecks }): Promise<Instance> {
  const customClaims = createCustomClaims(await listClaimMappings(oidc.ctx.sql))
  const { provider, registry } = createProvider(oidc.ctx, await loadSigningKeys(oidc.ctx), {
    ...surroundings,
    customClaims
  })
  settleBeforeAnswer(oidc, provider)
  registerGrants(oidc, provider)
  reportFaults(oidc.ctx, provider)
  const documents = new Map<string, Document>()
  for (const path of metadataPaths)
    documents.set(path, toDocument(path, await readDocument(provider, oidc, path), oidc.headers))
  const resource = JSON.stringify(protectedResourceMetadata(oidc.ctx.config))
  documents.set(protectedResourcePath, toDocument(protectedResourcePath, resource, oidc.headers))
  const keySet = documents.get(routes.jwks)
  const keys: VerificationKeys = keySet === undefined ? new Map() : readVerificationKeys(keySet)
  return { provider, registry, callback: provider.callback(), documents, keys, customClaims }
}

/** What the library would swallow: its own failures, with the request they belong to. An outage says when to come back. */
function reportFaults({ log }: Context, provider: Provider): void {
  provider.on('server_error', (koa, error) => {
    log.error({ err: error, requestId: (koa.req as { id?: string }).id }, 'the protocol failed')
    if (!isOutage(error)) return
    koa.status = 503
    koa.set('retry-after', String(outageSeconds))
    if (koa.response.is('json'))
      koa.body = { error: 'temporarily_unavailable', error_description: 'try again in a moment' }
  })
  // Else Koa writes these to the console: mostly clients that went away, or sent what is not HTTP, half-way.
  const emitter: NodeJS.EventEmitter = provider as never
  emitter.on('error', error => log.debug({ err: error }, 'a request to the protocol broke off'))
}
