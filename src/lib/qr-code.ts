// QR codes as shapes that a view draws: a size and a path, so that no markup leaves here.
import { createRequire } from 'node:module'

// Loaded with the first code: it takes 14 MB.
const require = createRequire(import.meta.url)
const qrcode = () => require('qrcode') as typeof import('qrcode')

export type QrCode = {
  /** Modules a side, without the quiet zone of four that a reader needs around it. */
  size: number
  /** The dark modules as the `d` of an SVG path, a module being one unit. */
  path: string
}

/**
 * Draws `text`; up to 15 % of the code may be hidden or damaged.
 *
 * @see ISO/IEC 18004
 */
export function drawQrCode(text: string): QrCode {
  const { size, data } = qrcode().create(text, { errorCorrectionLevel: 'M' }).modules
  const bars: string[] = []
  for (let row = 0; row < size; row++) {
    for (let column = 0; column < size; column++) {
      let end = column
      while (end < size && data[row * size + end] === 1) end++
      if (end > column) bars.push(`M${column} ${row}h${end - column}v1H${column}z`)
      column = end
    }
  }
  return { size, path: bars.join('') }
}

/** The finder patterns alone, for pages that are shown as samples. */
export const sampleQrCode: QrCode = {
  size: 21,
  path: 'M0 0h7v7H0zM14 0h7v7h-7zM0 14h7v7H0zM10 9h3v3h-3zM15 16h2v2h-2z'
}
