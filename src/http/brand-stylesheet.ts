// The colours of every page as CSS custom properties, derived from the operator's accent colour. They are computed
// here, not in CSS, so that text stays readable whatever the colour is, and served as a file, since the content
// security policy forbids inline styles.
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { mix, readableOn, shadeFor } from '../lib/colors.ts'

const iconPath = resolve(import.meta.dirname, '../../views/assets/favicon.svg')

type Theme = Record<string, string>

const light: Theme = {
  page: '#f4f5f7',
  surface: '#ffffff',
  text: '#181b20',
  muted: '#565d69',
  line: '#dfe2e8',
  outline: '#838b98',
  danger: '#b0241b',
  'danger-tint': '#fdf2f1',
  success: '#17683a',
  'success-tint': '#eff9f3'
}

const dark: Theme = {
  page: '#0e1115',
  surface: '#171b21',
  text: '#eceef2',
  muted: '#a6aebb',
  line: '#2b313a',
  outline: '#717b8a',
  danger: '#ff9d95',
  'danger-tint': '#2b1a1c',
  success: '#82d9a3',
  'success-tint': '#14251c'
}

/**
 * Every colour of both themes for one accent colour (#rrggbb).
 *
 * `accent` fills buttons just as chosen, `accent-edge` is drawn around them (3:1 against what is behind, so that a
 * pale button is seen too), `on-accent` is their text, `accent-text` is for links and focus rings (4.5:1 on page,
 * surface and tint).
 */
export function deriveThemes(accentColor: string): { light: Theme; dark: Theme } {
  return { light: withAccent(light, accentColor, '#000000'), dark: withAccent(dark, accentColor, '#ffffff') }
}

function withAccent(theme: Theme, accentColor: string, towards: string): Theme {
  const { page = '', surface = '' } = theme
  const edge = shadeFor(accentColor, { backgrounds: [page, surface], towards, ratio: 3 })
  const onAccent = readableOn(accentColor)
  const tint = mix(surface, edge, 0.1)
  return {
    ...theme,
    accent: accentColor,
    'accent-edge': edge,
    'on-accent': onAccent,
    // away from the text on it, so that hovering never makes it harder to read
    'accent-hover': mix(accentColor, onAccent === '#ffffff' ? '#000000' : '#ffffff', 0.14),
    'accent-text': shadeFor(accentColor, { backgrounds: [page, surface, tint], towards, ratio: 4.5 }),
    'accent-tint': tint
  }
}

/** The icon of the browser's tab: the castle on the accent colour. */
export function brandIcon(accentColor: string): string {
  return readFileSync(iconPath, 'utf8')
    .replace('#1f5fd6', accentColor)
    .replaceAll('#fff"', `${readableOn(accentColor)}"`)
}

/** The stylesheet that goes before gatehouse.css. */
export function brandStylesheet(accentColor: string): string {
  const themes = deriveThemes(accentColor)
  const properties = (theme: Theme) =>
    Object.entries(theme)
      .map(([name, value]) => `--${name}:${value}`)
      .join(';')
  return [
    `:root{color-scheme:light dark;${properties(themes.light)}}`,
    `@media (prefers-color-scheme:dark){:root{${properties(themes.dark)}}}\n`
  ].join('\n')
}
