// Forms as pages send them: a field that comes twice is a list, which no schema of a form lets in.
import type { FastifyInstance } from 'fastify'

/** Reads `application/x-www-form-urlencoded` bodies of up to the app's limit. */
export function registerForms(app: FastifyInstance): void {
  app.addContentTypeParser(
    'application/x-www-form-urlencoded',
    { parseAs: 'string' },
    (_request, body, done) => done(null, readForm(body as string))
  )
}

function readForm(text: string): Record<string, string | string[]> {
  // Without a prototype: __proto__ is a field like any other.
  const fields: Record<string, string | string[]> = Object.create(null)
  for (const [name, value] of new URLSearchParams(text)) {
    const before = fields[name]
    if (Array.isArray(before)) before.push(value)
    else fields[name] = before === undefined ? value : [before, value]
  }
  return fields
}
