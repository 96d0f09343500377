// For load balancers and supervisors. Neither answer tells anything of the installation.
import type { FastifyInstance } from 'fastify'
import type { Context } from '../context.ts'

/** `/healthz`: the process answers. `/readyz`: it can also reach its database, within a second. */
export function mountHealth(app: FastifyInstance, { sql, log }: Context): void {
  app.get('/healthz', (_request, reply) => reply.send({ status: 'ok' }))
  app.get('/readyz', async (_request, reply) => {
    const late = new Promise<never>((_resolve, reject) =>
      setTimeout(() => reject(new Error('the database is slow')), 1000).unref()
    )
    try {
      await Promise.race([sql`select 1`, late])
      return await reply.send({ status: 'ok' })
    } catch (error) {
      log.warn({ err: error }, 'not ready')
      return await reply.code(503).header('retry-after', 5).send({ status: 'unavailable' })
    }
  })
}
