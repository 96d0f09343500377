// The composition root: the only file that knows every feature.
import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance, LogController } from 'fastify'
import { accountRetention } from './accounts/service.ts'
import { auditPartitionsJob } from './audit/service.ts'
import { initialAccessTokenRetention } from './clients/registration-token-service.ts'
import { unusedClientsJob } from './clients/unused-client-service.ts'
import type { Config } from './config/schema.ts'
import type { Context } from './context.ts'
import { guessHandlers, guessRetention } from './credentials/guess-service.ts'
import { credentialRetention } from './credentials/retention-service.ts'
import type { Pool } from './db/connect.ts'
import { type Listener, listen } from './db/listen.ts'
import { mountHome, mountMailbox } from './development/routes.ts'
import { createMailboxTransport } from './development/service.ts'
import { createClientErrorHandler } from './http/client-error.ts'
import { registerCsrf } from './http/csrf.ts'
import { answerFrameworkError, registerErrorHandler } from './http/error-handler.ts'
import { registerForms } from './http/forms.ts'
import { mountHealth } from './http/health.ts'
import { registerRateLimit } from './http/rate-limit.ts'
import { schemaController } from './http/schemas.ts'
import { registerSecurityHeaders } from './http/security-headers.ts'
import { tlsOptions } from './http/tls.ts'
import { registerViews } from './http/view.ts'
import { mountDevice } from './interactions/device-routes.ts'
import { mountEmailLink } from './interactions/email-link-routes.ts'
import { mountSignInLink } from './interactions/mail-code-routes.ts'
import { mountInteractions } from './interactions/routes.ts'
import type { RecurringJob } from './jobs/model.ts'
import { retentionJob } from './jobs/retention-service.ts'
import { startJobs } from './jobs/service.ts'
import { ensureSigningKeys, finishRotations } from './keys/service.ts'
import { createId } from './lib/ids.ts'
import { mailRetention } from './mail/service.ts'
import { createSmtpTransport } from './mail/smtp.ts'
import { mailHandlers } from './mail/worker.ts'
import { backChannelLogoutHandlers } from './oidc/back-channel-logout.ts'
import { mountProvider } from './oidc/mount.ts'
import { type Oidc, startOidc } from './oidc/oidc.ts'
import { createProtocolPages } from './oidc/pages.ts'
import { protocolRetention } from './oidc/retention-service.ts'
import { mountAccount } from './self-service/account-routes.ts'
import { mountApplications } from './self-service/application-routes.ts'
import { mountNotMe } from './self-service/not-me-routes.ts'
import { mountResetLink } from './self-service/reset-link-routes.ts'
import { mountReset } from './self-service/reset-routes.ts'
import { mountSecurity } from './self-service/security-routes.ts'
import { mountUndoAddress } from './self-service/undo-address-routes.ts'
import { mountWellKnown } from './self-service/well-known-routes.ts'
import { deviceRetention } from './sessions/device-service.ts'
import { newDeviceHandlers } from './sessions/new-device-service.ts'
import { sessionRetention } from './sessions/service.ts'

export type AppOptions = {
  config: Config
  pool: Pool
  /** Where rows are looked up by their keys, if not on the pool: `connectForLookups`. */
  lookups?: Pool
  now: () => Date
  logger: Context['log']
  /** Works jobs in this process; a test may leave that to another. */
  jobs?: { pollSeconds?: number; recurring?: RecurringJob[] } | false
}

/** How long requests under way have to end when the service stops. */
const drainMilliseconds = 5000

export type App = { http: FastifyInstance; ctx: Context; oidc: Oidc; close: () => Promise<void> }

/** Starts the service on a prepared database. It does not listen yet; `close` ends everything but the pools. */
export async function startApp({
  config,
  pool,
  lookups = pool,
  now,
  logger,
  jobs: plan = {}
}: AppOptions): Promise<App> {
  const http = createServer({ config, logger, now })
  const jobs = await startJobs(pool, http.log)
  const ctx: Context = { sql: pool, now, log: http.log, config, enqueue: jobs.enqueue }
  await ensureSigningKeys(ctx)

  registerForms(http)
  // Forms are all that is read, anything else is 415: in JSON an address could be a list or an object.
  http.removeContentTypeParser(['application/json', 'text/plain'])
  await registerSecurityHeaders(http, config)
  await registerViews(http, config)
  registerCsrf(http, config)
  registerErrorHandler(http)
  await registerRateLimit(http, config)
  const oidc = await startOidc(ctx, {
    pages: createProtocolPages(http),
    headers: http.securityHeaders,
    lookups
  })
  await mountProvider(http, oidc)
  await http.register(async pages => await mountPages(pages, ctx, oidc))
  await http.ready()

  const listeners = await hearNews(pool, oidc)
  const transport =
    config.smtpUrl === null
      ? createMailboxTransport(ctx)
      : createSmtpTransport({ ...config, smtpUrl: config.smtpUrl }, now)
  if (plan !== false)
    await jobs.work(ctx, {
      handlers: {
        ...mailHandlers(config, transport),
        ...guessHandlers,
        ...newDeviceHandlers,
        ...backChannelLogoutHandlers(oidc),
        ...(config.ciba ? (await import('./oidc/backchannel-service.ts')).backchannelHandlers(oidc) : {})
      },
      recurring: recurringJobs(),
      ...plan
    })
  const close = async () => {
    // Requests under way may end; sockets that browsers hold open without using them may not hold us up.
    const patience = setTimeout(() => http.server.closeAllConnections(), drainMilliseconds)
    await http.close()
    clearTimeout(patience)
    await jobs.stop()
    transport.close()
    await Promise.all(listeners.map(listener => listener.stop()))
  }
  return { http, ctx, oidc, close }
}

/** Whatever is not the protocol: a scope of its own, since the library reads its cookies itself. */
async function mountPages(pages: FastifyInstance, ctx: Context, oidc: Oidc): Promise<void> {
  await pages.register(cookie)
  mountHealth(pages, ctx)
  mountHome(pages, ctx.config)
  mountWellKnown(pages, ctx.config)
  mountInteractions(pages, ctx, oidc)
  mountDevice(pages, ctx, oidc)
  mountEmailLink(pages, ctx, oidc)
  if (ctx.config.mailSignIn) mountSignInLink(pages, ctx, oidc)
  mountAccount(pages)
  mountSecurity(pages, ctx, oidc)
  mountApplications(pages, ctx, oidc)
  if (ctx.config.ciba) (await import('./self-service/approval-routes.ts')).mountApprovals(pages, ctx, oidc)
  mountReset(pages, ctx, oidc)
  mountResetLink(pages, ctx)
  mountNotMe(pages, ctx, oidc)
  mountUndoAddress(pages, ctx, oidc)
  if (ctx.config.developmentMailbox) mountMailbox(pages, ctx)
}

function createServer({
  config,
  logger,
  now
}: Pick<AppOptions, 'config' | 'logger' | 'now'>): FastifyInstance {
  const limits = { headersTimeout: 20_000, maxHeaderSize: 16 * 1024 }
  const tls = tlsOptions(config)
  const server = {
    trustProxy: config.trustedProxies.length === 0 ? false : config.trustedProxies,
    bodyLimit: 64 * 1024,
    // Events are logged where they happen; a line for each request costs as much as the request.
    logController: new LogController({ disableRequestLogging: true }),
    genReqId: () => createId(now()),
    requestTimeout: 30_000,
    keepAliveTimeout: 65_000,
    forceCloseConnections: 'idle' as const,
    routerOptions: {
      caseSensitive: true,
      ignoreTrailingSlash: false,
      ignoreDuplicateSlashes: false,
      maxParamLength: 200
    },
    schemaController,
    onProtoPoisoning: 'error' as const,
    onConstructorPoisoning: 'error' as const,
    ...(tls === null ? { http: limits } : { https: { ...limits, ...tls } }),
    frameworkErrors: answerFrameworkError as never,
    clientErrorHandler: createClientErrorHandler(now)
  }
  return Fastify({ ...server, loggerInstance: logger }) as unknown as FastifyInstance
}

/** What another node changed reaches this one within a second; after a lost connection everything is read anew. */
async function hearNews(pool: Pool, oidc: Oidc): Promise<Listener[]> {
  const reload = () =>
    void oidc
      .reload()
      .catch(error => oidc.ctx.log.error({ err: error }, 'the protocol could not be reloaded'))
  const drop = (kind: 'clients' | 'resources') => (key?: string) => oidc.current().registry[kind].drop(key)
  const listeners = await Promise.all([
    listen(pool, 'gatehouse_clients', drop('clients'), drop('clients')),
    listen(pool, 'gatehouse_resources', drop('resources'), drop('resources')),
    listen(pool, 'gatehouse_keys', reload, reload),
    listen(pool, 'gatehouse_claims', reload, reload)
  ])
  // Keys and claims that changed after they were read and before anybody listened.
  await oidc.reload()
  return listeners
}

function recurringJobs(): RecurringJob[] {
  return [
    retentionJob([
      ...accountRetention,
      ...credentialRetention,
      ...guessRetention,
      ...mailRetention,
      ...sessionRetention,
      ...deviceRetention,
      ...protocolRetention,
      ...initialAccessTokenRetention
    ]),
    unusedClientsJob,
    { name: 'signing-keys', everySeconds: 3600, run: async ctx => void (await finishRotations(ctx)) },
    auditPartitionsJob
  ]
}
