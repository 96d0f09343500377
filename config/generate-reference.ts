// Writes config/reference.md from the settings' own descriptions, so that the two cannot drift: npm run config:reference
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Settings } from '../src/config/schema.ts'

type Setting = {
  type?: string
  enum?: string[]
  default?: string | number
  minimum?: number
  maximum?: number
  minLength?: number
  maxLength?: number
  secret?: boolean
  description?: string
}

/** The text of config/reference.md. */
export function renderReference(): string {
  const settings = Object.entries(Settings.properties as Record<string, Setting>)
  return `# Settings

Every setting is an environment variable. None is needed for \`npm start\`; production needs those that say so.
\`gatehouse config check\` tells everything that is wrong with them at once.

A secret may also come from a file: \`NAME_FILE\` holds the path, as container platforms mount it.

This file is written by \`npm run config:reference\` from \`src/config/schema.ts\`.

${settings.map(([name, setting]) => renderSetting(name, setting)).join('\n')}`
}

function renderSetting(name: string, setting: Setting): string {
  const fallback = setting.default === '' ? null : `default \`${setting.default}\``
  const facts = [values(setting), fallback, setting.secret === true ? 'secret' : null]
  return `## ${name}

${facts.filter(fact => fact !== null).join(' · ')}

${setting.description}
`
}

function values({ type, enum: choices, minimum, maximum, minLength, maxLength }: Setting): string {
  if (choices !== undefined) return choices.map(choice => `\`${choice}\``).join(' | ')
  if (type === 'integer') return `whole number${range(minimum, maximum)}`
  return maxLength === undefined ? 'text' : `text of ${minLength ?? 0} to ${maxLength} characters`
}

function range(minimum: number | undefined, maximum: number | undefined): string {
  if (minimum !== undefined && maximum !== undefined) return `, ${minimum} to ${maximum}`
  return minimum === undefined ? '' : `, ${minimum} or more`
}

if (import.meta.main) writeFileSync(join(import.meta.dirname, 'reference.md'), renderReference())
