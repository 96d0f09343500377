import { readFileSync } from 'node:fs'
import t from 'tap'
import { brandStylesheet, deriveThemes } from '../../src/http/brand-stylesheet.ts'
import { contrast } from '../../src/lib/colors.ts'

/** What is written on what, and the ratio that it needs (WCAG 2.2 §1.4.3, §1.4.11). */
const pairs: [front: string, back: string, ratio: number][] = [
  ['text', 'page', 7],
  ['text', 'surface', 7],
  ['muted', 'page', 4.5],
  ['muted', 'surface', 4.5],
  ['danger', 'surface', 4.5],
  ['danger', 'danger-tint', 4.5],
  ['success', 'success-tint', 4.5],
  ['on-accent', 'accent', 4.5],
  ['on-accent', 'accent-hover', 4.5],
  ['accent-text', 'page', 4.5],
  ['accent-text', 'surface', 4.5],
  ['accent-text', 'accent-tint', 4.5],
  ['accent-edge', 'page', 3],
  ['accent-edge', 'surface', 3],
  ['outline', 'surface', 3]
]

t.test('every text can be read in both themes whatever the accent colour', async t => {
  const steps = ['00', '33', '66', '99', 'cc', 'ff']
  const colors = steps.flatMap(red => steps.flatMap(green => steps.map(blue => `#${red}${green}${blue}`)))
  for (const color of [...colors, '#1f5fd6', '#757575', '#767676', '#777777']) {
    for (const [name, theme] of Object.entries(deriveThemes(color))) {
      for (const [front, back, ratio] of pairs) {
        const found = contrast(theme[front] ?? '', theme[back] ?? '')
        if (!(found >= ratio)) t.fail(`${color}, ${name}: ${front} on ${back} is ${found}`)
      }
    }
  }
})

t.test('the stylesheet has a value for each colour that the pages use', async t => {
  const used = readFileSync(new URL('../../views/assets/gatehouse.css', import.meta.url), 'utf8').matchAll(
    /var\((--[\w-]+)\)/g
  )
  const stylesheet = brandStylesheet('#1f5fd6')
  for (const name of new Set([...used].map(match => match[1]))) t.match(stylesheet, `${name}:#`)
})
