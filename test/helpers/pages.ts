// An app with the http layer alone: pages, assets, headers, CSRF and errors, without database or sign-in.
import { randomBytes } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import cookie from '@fastify/cookie'
import Fastify, { type FastifyInstance } from 'fastify'
import type { Test } from 'tap'
import { loadConfig } from '../../src/config/load.ts'
import type { Config } from '../../src/config/schema.ts'
import { registerCsrf } from '../../src/http/csrf.ts'
import { answerFrameworkError, registerErrorHandler } from '../../src/http/error-handler.ts'
import { registerForms } from '../../src/http/forms.ts'
import { registerSecurityHeaders } from '../../src/http/security-headers.ts'
import { listPages, type Page, registerViews } from '../../src/http/view.ts'

/** The settings of a development installation with some changed. */
export function testConfig(settings: Record<string, string> = {}): Config {
  const outcome = loadConfig(
    { ENCRYPTION_KEY: randomBytes(32).toString('base64'), ...settings },
    { writeSecrets: false }
  )
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.faults))
  return outcome.config
}

/** Builds the app; `addRoutes` may add its own before it is ready. */
export async function createPagesApp(
  t: Test,
  config: Config = testConfig(),
  addRoutes: (app: FastifyInstance) => void = () => {}
): Promise<FastifyInstance> {
  // A browser holds sockets open that it has not used yet; waiting for those takes a minute.
  const app = Fastify({
    bodyLimit: 16_384,
    frameworkErrors: answerFrameworkError,
    forceCloseConnections: true
  })
  t.teardown(() => app.close())
  await registerSecurityHeaders(app, config)
  await app.register(cookie)
  registerForms(app)
  app.removeContentTypeParser('text/plain')
  registerCsrf(app, config)
  await registerViews(app, config)
  registerErrorHandler(app)
  addRoutes(app)
  await app.ready()
  return app
}

/** Imports every views.ts, so that all pages are known, and lists each with each of its samples. */
export async function listSamples(): Promise<{ id: string; page: Page<object>; sample: object }[]> {
  const root = resolve(import.meta.dirname, '../../src')
  const files = readdirSync(root, { recursive: true, encoding: 'utf8' })
  for (const file of files.filter(file => /(^|[/-])views\.ts$/.test(file))) await import(join(root, file))
  return listPages().flatMap(page =>
    Object.entries(page.samples).map(([name, sample]) => ({ id: `${page.template}--${name}`, page, sample }))
  )
}
