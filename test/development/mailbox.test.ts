import fastify from 'fastify'
import t from 'tap'
import { mountMailbox } from '../../src/development/routes.ts'
import { createMailboxTransport } from '../../src/development/service.ts'
import { createContext } from '../helpers/context.ts'

t.test('the mailbox is JSON for tools, newest first', async t => {
  const ctx = await createContext(t)
  const transport = createMailboxTransport(ctx)
  const mail = {
    to: 'a@x.test',
    subject: 'first',
    text: 'see http://localhost:3000/a?b=c.',
    html: '<p>x</p>'
  }
  await transport.send({ ...mail, id: '00000000-0000-7000-8000-000000000001' })
  ctx.clock.advance(1000)
  await transport.send({
    ...mail,
    id: '00000000-0000-7000-8000-000000000002',
    subject: 'second',
    text: 'none'
  })
  const app = fastify()
  mountMailbox(app, ctx)
  const answer = await app.inject('/dev/mailbox.json')
  t.equal(answer.headers['cache-control'], 'no-store')
  const messages = answer.json<Record<string, unknown>[]>()
  t.strictSame(Object.keys(messages[0] ?? {}), ['id', 'to', 'subject', 'text', 'html', 'links', 'sentAt'])
  t.match(messages, [
    { subject: 'second', links: [], sentAt: ctx.now().toISOString() },
    { subject: 'first', links: ['http://localhost:3000/a?b=c'] }
  ])
})
