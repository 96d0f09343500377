import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import t from 'tap'
import { renderReference } from '../../config/generate-reference.ts'
import { Settings } from '../../src/config/schema.ts'

const path = resolve(import.meta.dirname, '../../config/reference.md')

t.test('the reference of the settings is the one that their descriptions make', async t => {
  t.equal(readFileSync(path, 'utf8'), renderReference(), 'run `npm run config:reference`')
})

t.test('every setting has a description', async t => {
  for (const [name, setting] of Object.entries(Settings.properties))
    t.ok((setting as { description?: string }).description, name)
})
