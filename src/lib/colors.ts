// Colours as #rrggbb: how well two can be told apart, and shades that can be read.

type Channels = [red: number, green: number, blue: number]

function parseColor(color: string): Channels {
  const value = Number.parseInt(color.slice(1), 16)
  return [value >> 16, (value >> 8) & 0xff, value & 0xff]
}

/** Relative luminance, 0 (black) to 1 (white). @see WCAG 2.2 “relative luminance” */
function luminance(color: string): number {
  const [red, green, blue] = parseColor(color).map(channel => {
    const share = channel / 255
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4
  }) as Channels
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}

/** Contrast ratio, 1 to 21. Text needs 4.5, the outline of a control 3. @see WCAG 2.2 §1.4.3, §1.4.11 */
export function contrast(a: string, b: string): number {
  const [darker, lighter] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number]
  return (lighter + 0.05) / (darker + 0.05)
}

/** `share` (0 to 1) of `other` mixed into `color`. */
export function mix(color: string, other: string, share: number): string {
  const to = parseColor(other)
  const channels = parseColor(color).map((from, i) => Math.round(from + ((to[i] ?? 0) - from) * share))
  return `#${channels.map(channel => channel.toString(16).padStart(2, '0')).join('')}`
}

/** Black or white, whichever is read better on `background`; one of them always reaches 4.5. */
export function readableOn(background: string): string {
  return contrast('#ffffff', background) >= 4.5 ? '#ffffff' : '#000000'
}

/**
 * The shade of `color` nearest to it that reaches `ratio` on every one of `backgrounds`, towards black or white as
 * `towards` says. The backgrounds must all be light or all be dark, or no shade can do.
 */
export function shadeFor(
  color: string,
  { backgrounds, towards, ratio }: { backgrounds: string[]; towards: string; ratio: number }
): string {
  for (let percent = 0; percent < 100; percent += 2) {
    const shade = mix(color, towards, percent / 100)
    if (backgrounds.every(background => contrast(shade, background) >= ratio)) return shade
  }
  return towards
}
