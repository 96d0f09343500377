// The development mailbox for tools. Mounted only where config.developmentMailbox says so.
import type { FastifyInstance } from 'fastify'
import type { Context } from '../context.ts'
import { listMailbox } from './service.ts'

export function mountMailbox(app: FastifyInstance, ctx: Context): void {
  app.get('/dev/mailbox.json', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    return await listMailbox(ctx)
  })
}
