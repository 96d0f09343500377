// The development mailbox, and the start page. The mailbox is mounted only where config.developmentMailbox says so.
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Config } from '../config/schema.ts'
import type { Context } from '../context.ts'
import { PageNotFound } from '../http/errors.ts'
import { sendPage } from '../http/view.ts'
import { isLoopback } from '../lib/urls.ts'
import { listMailbox } from './service.ts'
import { homePage, mailboxPage } from './views.ts'

export function mountMailbox(app: FastifyInstance, ctx: Context): void {
  app.get('/dev/mailbox.json', { onRequest: requireLoopbackHost }, async () => await listMailbox(ctx))
  app.get(
    '/dev/mailbox',
    { onRequest: requireLoopbackHost },
    async (_request, reply) => await sendPage(reply, mailboxPage, { messages: await listMailbox(ctx) })
  )
}

/** A page from elsewhere may have its own name point here (DNS rebinding): then the browser sends that name. */
async function requireLoopbackHost({ headers }: FastifyRequest): Promise<void> {
  const url = URL.parse(`http://${headers.host}`)
  if (url === null || !isLoopback(url)) throw new PageNotFound()
}

export function mountHome(app: FastifyInstance, { issuer, developmentMailbox, port }: Config): void {
  const demoUrl = developmentMailbox ? `http://localhost:${port + 1}/` : null
  app.get('/', async (_request, reply) => await sendPage(reply, homePage, { issuer, demoUrl }))
}
