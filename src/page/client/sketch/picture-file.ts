import { sheet, type Stroke } from './entries.ts'
import { placeLabels } from './labels.ts'
import { fontOf, type Names, paintNames, paintStroke, type Palette } from './painter.ts'
import { tracePath } from './path.ts'

/** What a saved picture shows; `palette` is the one for paper, whatever the screen is like. */
export type Shown = { title: string; strokes: readonly Stroke[]; names: Names; palette: Palette }

/** Height of a name's letters in a saved picture, in the sheet's units. */
const nameSize = 32

/** The sheet as a PNG, one pixel for each of the sheet's units; null where the browser cannot make one. */
export async function pngOf({ strokes, names, palette }: Shown): Promise<Blob | null> {
  const canvas = document.createElement('canvas')
  canvas.width = sheet.width
  canvas.height = sheet.height
  const context = canvas.getContext('2d')
  if (!context) return null
  context.fillStyle = palette.card
  context.fillRect(0, 0, sheet.width, sheet.height)
  for (const stroke of strokes) paintStroke(context, palette, stroke)
  paintNames(context, palette, strokes, names, nameSize)
  return await new Promise((done) => canvas.toBlob(done, 'image/png'))
}

/**
 * The sheet as the text of an SVG.
 * @param measure the width of a name, in the sheet's units
 */
export function svgOf({ title, strokes, names, palette }: Shown, measure: (text: string) => number): string {
  const { width, height } = sheet
  const paths = strokes.map(
    (stroke) =>
      `<path stroke="${escape(palette.pens[stroke.color] ?? '')}" stroke-width="${stroke.width}" d="${pathData(stroke)}"/>`,
  )
  const labels = placeLabels(strokes, names, { size: nameSize, measure }).map(
    ({ text, at }) => `<text x="${short(at.x)}" y="${short(at.y)}">${escape(text)}</text>`,
  )
  const written = [
    `<g font-family="${escape(palette.font)}" font-size="${nameSize}" font-weight="600" fill="${escape(palette.ink)}"`,
    ` stroke="${escape(palette.card)}" stroke-width="${nameSize / 3}" stroke-linejoin="round" paint-order="stroke">`,
    `\n${labels.join('\n')}\n</g>\n`,
  ].join('')
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">\n`,
    `<title>${escape(title)}</title>\n`,
    `<rect width="${width}" height="${height}" fill="${escape(palette.card)}"/>\n`,
    `<g fill="none" stroke-linecap="round" stroke-linejoin="round">\n${paths.join('\n')}\n</g>\n`,
    labels.length > 0 ? written : '',
    '</svg>\n',
  ].join('')
}

/** The width of a name in a saved picture, as this browser's font has it, in the sheet's units. */
export function measureNames(palette: Palette): (text: string) => number {
  const context = document.createElement('canvas').getContext('2d')
  if (context) context.font = fontOf(palette, nameSize)
  return (text) => context?.measureText(text).width ?? text.length * nameSize
}

/** Has the browser save it as a file of this name. */
export function saveFile(blob: Blob, name: string): void {
  const address = URL.createObjectURL(blob)
  const link = document.createElement('a')
  link.href = address
  link.download = name
  link.click()
  // A browser that asks where to put it reads it later.
  setTimeout(() => URL.revokeObjectURL(address), 60_000)
}

function pathData({ points }: Stroke): string {
  const parts: string[] = []
  tracePath(
    {
      moveTo: (x, y) => parts.push(`M${short(x)} ${short(y)}`),
      lineTo: (x, y) => parts.push(`L${short(x)} ${short(y)}`),
      quadraticCurveTo: (controlX, controlY, x, y) =>
        parts.push(`Q${short(controlX)} ${short(controlY)} ${short(x)} ${short(y)}`),
    },
    points,
  )
  return parts.join('')
}

const short = (value: number): string => String(Math.round(value * 10) / 10)

const escape = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;').replaceAll('"', '&quot;')
