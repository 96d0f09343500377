// Turns a mail into its text and its HTML. The templates are in views/mail.
import { join } from 'node:path'
import { Eta } from 'eta'
import type { Config } from '../config/schema.ts'
import { type Mail, type RenderedMail, subjectOf } from './model.ts'
import { templateData } from './words-model.ts'

const views = join(import.meta.dirname, '../../views')

/** Makes the renderer of a process; templates are read once. */
export function createMailRenderer(config: Config): (mail: Mail & { id: string }) => RenderedMail {
  const html = new Eta({ views, cache: true })
  // Text is not HTML: `&amp;` in a link would break it.
  const text = new Eta({ views, cache: true, autoEscape: false })
  return mail => {
    const { id, kind, to } = mail
    const page = { brandName: config.brand.name, issuer: config.issuer, ...templateData(mail) }
    return {
      id,
      to,
      subject: subjectOf(kind, config.brand.name),
      text: `${text.render(`./mail/${kind}.text.eta`, page).trim()}\n`,
      html: html.render(`./mail/${kind}.html.eta`, page)
    }
  }
}
