// Pages: a template, the type of what it shows, samples that a test renders, and how one is sent.
import { resolve } from 'node:path'
import fastifyView from '@fastify/view'
import { Eta } from 'eta'
import type { FastifyInstance, FastifyReply } from 'fastify'
import type { Config } from '../config/schema.ts'
import { type Assets, loadAssets, registerAssets } from './assets.ts'
import { csrfToken } from './csrf.ts'
import { type PagePermissions, pageContentSecurityPolicy } from './security-headers.ts'

const directory = resolve(import.meta.dirname, '../../views')

export type Page<Data extends object> = {
  template: string
  samples: Record<string, Data>
  /** What the template reads besides the data itself: reasons and scopes put into words. */
  present(data: Data): object
}

const pages: Page<object>[] = []

/** Every page there is, for the tests that render them all. A page is known once its views.ts is imported. */
export function listPages(): readonly Page<object>[] {
  return pages
}

/**
 * Binds `views/<template>.eta` to the type of its data and to samples of it: at least one for each state that the
 * page can be in.
 */
export function definePage<Data extends object>(
  template: string,
  samples: Record<string, Data>,
  present: (data: Data) => object = () => ({})
): Page<Data> {
  const page: Page<Data> = { template, samples, present }
  pages.push(page)
  return page
}

/** Makes `sendPage` and `renderPage` work on `app`, and serves the assets. */
export async function registerViews(app: FastifyInstance, config: Config): Promise<void> {
  const assets = loadAssets(config)
  registerAssets(app, assets)
  await app.register(fastifyView, {
    engine: { eta: new Eta({ views: directory, autoEscape: true, cache: true }) },
    templates: directory,
    production: true,
    defaultContext: pageLocals(config, assets)
  })
}

function pageLocals(config: Config, assets: Assets) {
  const logo =
    config.brand.logoPath === null ? null : [...assets.keys()].find(name => /^brand-logo\./.test(name))
  // Beside the operator's own logo, our castle in the browser's tab would be another brand's.
  const icon = assets.get(logo ?? 'favicon.svg')
  return {
    locale: 'en',
    brand: { name: config.brand.name, logoUrl: logo ? assets.get(logo)?.path : null },
    icon: { href: icon?.path, type: icon?.contentType },
    mailboxUrl: config.developmentMailbox ? '/dev/mailbox' : null,
    assets: Object.fromEntries([...assets].map(([name, { path }]) => [name, path]))
  }
}

/**
 * A page as HTML, for answers that do not pass through Fastify's reply. Such a page has no `_csrf` field: the
 * template must bring its own protection, as oidc-provider's sign-out does.
 */
export async function renderPage<Data extends object>(
  app: FastifyInstance,
  page: Page<Data>,
  data: Data
): Promise<string> {
  return await app.view(page.template, { ...data, ...page.present(data) })
}

/** Sends a page: 200 unless `status` says otherwise, never kept by a cache, with a policy of its own. */
export async function sendPage<Data extends object>(
  reply: FastifyReply,
  page: Page<Data>,
  data: Data,
  options: PagePermissions & { status?: number } = {}
): Promise<FastifyReply> {
  // Called by forms alone, so that pages without one set no cookie.
  const locals = { csrfToken: () => csrfToken(reply) }
  const html = await reply.server.view(page.template, { ...locals, ...data, ...page.present(data) })
  return reply
    .code(options.status ?? 200)
    .header('content-security-policy', pageContentSecurityPolicy(options))
    .header('cache-control', 'no-store')
    .type('text/html; charset=utf-8')
    .send(html)
}

/** `url` when it leads to the web, else null: a link to `javascript:` must not come out of stored data. */
export function webUrl(url: string | null): string | null {
  const protocol = url === null ? undefined : URL.parse(url)?.protocol
  return protocol === 'https:' || protocol === 'http:' ? url : null
}
