// The development mailbox, and the start page. The mailbox is mounted only where config.developmentMailbox says so.
import type { FastifyInstance } from 'fastify'
import type { Config } from '../config/schema.ts'
import type { Context } from '../context.ts'
import { sendPage } from '../http/view.ts'
import { listMailbox } from './service.ts'
import { homePage, mailboxPage } from './views.ts'

export function mountMailbox(app: FastifyInstance, ctx: Context): void {
  app.get('/dev/mailbox.json', async () => await listMailbox(ctx))
  app.get(
    '/dev/mailbox',
    async (_request, reply) => await sendPage(reply, mailboxPage, { messages: await listMailbox(ctx) })
  )
}

export function mountHome(app: FastifyInstance, { issuer, developmentMailbox, port }: Config): void {
  const demoUrl = developmentMailbox ? `http://localhost:${port + 1}/` : null
  app.get('/', async (_request, reply) => await sendPage(reply, homePage, { issuer, demoUrl }))
}
