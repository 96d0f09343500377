// Works the mail queue and its dead letters.
import type { Config } from '../config/schema.ts'
import type { Job, JobHandler } from '../jobs/model.ts'
import type { MailTransport } from './model.ts'
import { giveUpMail, sendMail } from './service.ts'
import { createMailRenderer } from './templates.ts'

/** The handlers of the queues `mail` and `mail-failed`. */
export function mailHandlers(config: Config, transport: MailTransport): Record<string, JobHandler> {
  const render = createMailRenderer(config)
  return {
    mail: async (ctx, job) => void (await sendMail(ctx, mailIdOf(job), { render, transport })),
    'mail-failed': async (ctx, job) => void (await giveUpMail(ctx, mailIdOf(job), 'it was tried too often'))
  }
}

function mailIdOf({ data }: Job): string {
  if (!('mailId' in data) || typeof data.mailId !== 'string') throw new Error('a mail job without mailId')
  return data.mailId
}
